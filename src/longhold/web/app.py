"""The application: its addresses, the bodies of requests, and their answers."""

from collections.abc import Iterable
from importlib.resources import files
from typing import final

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from longhold.web.answers import Answer, Handler, Nothing, RequestBody, as_json, posted
from longhold.web.guard import Bucket, Guard, Keys
from longhold.web.model_session import ModelSession
from longhold.web.task_queue import Job, TaskQueue
from longhold.web.texts import Texts
from longhold.web.trainer import Trainer
from longhold.web.training import limits, training_routes

_SCRIPTS = (
    "app.js",
    "colours.js",
    "course.js",
    "inspecting.js",
    "messages.js",
    "pane.js",
    "panels.js",
    "plots.js",
    "reading.js",
    "refusals.js",
    "sections.js",
    "server.js",
    "state.js",
    "training.js",
    "training-words.js",
    "units.js",
    "views.js",
    "words.js",
    "writing.js",
)

ASSETS = {
    "": ("index.html", "text/html; charset=utf-8"),
    **{name: (name, "text/javascript; charset=utf-8") for name in _SCRIPTS},
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Addresses, the files behind them and their types; nothing else is ever opened."""

_Index = Field(ge=0, le=2**31)


@final
class Text(RequestBody):
    """A model and a text."""

    model: int = _Index
    """which model"""
    text: str
    """what it is about"""


@final
class Place(RequestBody):
    """A token of a trace."""

    trace: str
    """name of the trace"""
    place: int = _Index
    """which token"""


@final
class Unit(RequestBody):
    """A unit of a trace, and which of its numbers."""

    trace: str
    """name of the trace"""
    layer: int = _Index
    """which layer"""
    unit: int = _Index
    """which unit"""
    quantity: str
    """letter of a gate, or h, or c"""


@final
class UnitAtPlace(RequestBody):
    """A unit at a token of a trace."""

    trace: str
    """name of the trace"""
    place: int = _Index
    """which token"""
    layer: int = _Index
    """which layer"""
    unit: int = _Index
    """which unit"""


@final
class Trace(RequestBody):
    """A trace."""

    trace: str
    """its name"""


@final
class Writing(RequestBody):
    """A text to continue."""

    model: int = _Index
    """which model"""
    text: str = ""
    """what comes before"""
    length: int = Field(default=300, ge=1, le=2000)
    """tokens to write"""
    temperature: float = Field(default=0.8, ge=0, le=3)
    """as in `SamplingConfig`"""


def application(
    session: ModelSession,
    trainer: Trainer,
    hosts: Iterable[str],
    keys: Keys,
    bucket: Bucket | None = None,
    uploads: Bucket | None = None,
) -> ASGIApp:
    """Returns the page and its requests, behind the guard.

    Args:
        session: the models.
        trainer: what trains more of them.
        hosts: the Host headers that are answered, with their ports.
        keys: token and cookie.
        bucket: how often requests may come; None: the guard's own limit.
        uploads: how often a text may be sent; None: the guard's own limit.
    """

    async def about(request: Request) -> Response:
        training = None if trainer.training is None else trainer.training.state
        return as_json({**session.about(), **limits(), "training": training})

    queue = TaskQueue()
    routes = [Route(f"/{name}", _asset(*asset)) for name, asset in ASSETS.items()]
    routes += [Route("/api/about", about), *_tracing(session, queue), *_choosing(session), *_writing(session, queue)]
    app = Starlette(routes=[*routes, *training_routes(Texts(trainer.device), trainer)])
    app.router.redirect_slashes = False
    return Guard(app, hosts, keys, bucket, uploads)


def _tracing(session: ModelSession, queue: TaskQueue) -> list[Route]:
    """The routes that compute, one after the other."""

    async def trace(body: Text) -> Answer:
        return await queue.run(lambda stop: session.trace(stop, body.model, body.text))

    async def units(body: Text) -> Answer:
        return await queue.run(lambda stop: session.units(stop, body.model, body.text))

    async def constants(body: Trace) -> Answer:
        return await queue.run(lambda stop: session.constants(body.trace))

    async def lag(body: Place) -> Answer:
        return await queue.run(lambda stop: session.lag(body.trace, body.place))

    async def equations(body: UnitAtPlace) -> Answer:
        return await queue.run(lambda stop: session.equations(body.trace, body.place, body.layer, body.unit))

    return [
        posted("trace", Text, trace),
        posted("units", Text, units),
        posted("constants", Trace, constants),
        posted("lag", Place, lag),
        posted("equations", UnitAtPlace, equations),
    ]


def _choosing(session: ModelSession) -> list[Route]:
    """The routes that only look something up."""

    async def step(body: Place) -> Answer:
        return session.step(body.trace, body.place)

    async def unit(body: Unit) -> Answer:
        return session.unit(body.trace, body.layer, body.unit, body.quantity)

    return [posted("step", Place, step), posted("unit", Unit, unit)]


def _writing(session: ModelSession, queue: TaskQueue) -> list[Route]:
    """The routes of the job that writes, and of stopping."""

    async def write(body: Writing) -> Answer:
        session.checked_model(body.model)

        def work(job: Job) -> None:
            session.write(job, body.model, body.text, body.length, body.temperature)

        return _as_answer(queue.start("write", work))

    async def job(request: Request) -> Response:
        return as_json(_as_answer(queue.job))

    async def stop(body: Nothing) -> Answer:
        queue.stop()
        return {}

    return [Route("/api/job", job), posted("write", Writing, write), posted("stop", Nothing, stop)]


def _asset(name: str, kind: str) -> Handler:
    content = files("longhold.web").joinpath("assets", name).read_bytes()

    async def asset(request: Request) -> Response:
        return Response(content, headers={"content-type": kind})

    return asset


def _as_answer(job: Job | None) -> Answer:
    if job is None:
        return {"state": "none"}
    return {"kind": job.kind, "state": job.state, "text": job.text, "error": job.error}
