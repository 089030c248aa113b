"""The application: addresses, what is read from a request, what is answered."""

from collections.abc import Iterable
from importlib.resources import files
from typing import final

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from longhold.web.answers import Answer, Asked, Handler, Nothing, as_json, posted
from longhold.web.desk import Desk, Job
from longhold.web.guard import Bucket, Guard, Keys
from longhold.web.studio import Studio
from longhold.web.teaching import limits, teaching
from longhold.web.texts import Texts
from longhold.web.trainer import Trainer

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
class Text(Asked):
    """A model and a text."""

    model: int = _Index
    """which model"""
    text: str
    """what it is about"""


@final
class Place(Asked):
    """A token of a trace."""

    trace: str
    """name of the trace"""
    place: int = _Index
    """which token"""


@final
class Unit(Asked):
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
class UnitAtPlace(Asked):
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
class Trace(Asked):
    """A trace."""

    trace: str
    """its name"""


@final
class Writing(Asked):
    """A text to go on from."""

    model: int = _Index
    """which model"""
    text: str = ""
    """what comes before"""
    length: int = Field(default=300, ge=1, le=2000)
    """tokens to write"""
    temperature: float = Field(default=0.8, ge=0, le=3)
    """as in `SamplingConfig`"""


def application(
    studio: Studio,
    trainer: Trainer,
    hosts: Iterable[str],
    keys: Keys,
    bucket: Bucket | None = None,
    uploads: Bucket | None = None,
) -> ASGIApp:
    """The page and its questions, behind the guard.

    Args:
        studio: the models.
        trainer: what trains more of them.
        hosts: the Host headers that are answered, with their ports.
        keys: token and cookie.
        bucket: how often it may be asked; None: the guard's own limit.
        uploads: how often a text may be sent; None: the guard's own limit.
    """
    desk = Desk()

    async def writing(asked: Writing) -> Answer:
        studio.checked_model(asked.model)

        def work(job: Job) -> None:
            studio.write(job, asked.model, asked.text, asked.length, asked.temperature)

        return _told(desk.start("write", work))

    async def stop(asked: Nothing) -> Answer:
        desk.stop()
        return {}

    async def trace(asked: Text) -> Answer:
        return await desk.ask(lambda stop: studio.trace(stop, asked.model, asked.text))

    async def units(asked: Text) -> Answer:
        return await desk.ask(lambda stop: studio.units(stop, asked.model, asked.text))

    async def constants(asked: Trace) -> Answer:
        return await desk.ask(lambda stop: studio.constants(asked.trace))

    async def lag(asked: Place) -> Answer:
        return await desk.ask(lambda stop: studio.lag(asked.trace, asked.place))

    async def equations(asked: UnitAtPlace) -> Answer:
        return await desk.ask(lambda stop: studio.equations(asked.trace, asked.place, asked.layer, asked.unit))

    async def step(asked: Place) -> Answer:
        return studio.step(asked.trace, asked.place)

    async def unit(asked: Unit) -> Answer:
        return studio.unit(asked.trace, asked.layer, asked.unit, asked.quantity)

    async def about(request: Request) -> Response:
        training = None if trainer.training is None else trainer.training.state
        return as_json({**studio.about(), **limits(), "training": training})

    async def job(request: Request) -> Response:
        return as_json(_told(desk.job))

    routes = [Route(f"/{name}", _asset(*asset)) for name, asset in ASSETS.items()]
    routes += [Route("/api/about", about), Route("/api/job", job)]
    routes += [
        posted("trace", Text, trace),
        posted("step", Place, step),
        posted("unit", Unit, unit),
        posted("units", Text, units),
        posted("constants", Trace, constants),
        posted("lag", Place, lag),
        posted("equations", UnitAtPlace, equations),
        posted("write", Writing, writing),
        posted("stop", Nothing, stop),
    ]
    app = Starlette(routes=[*routes, *teaching(Texts(trainer.device), trainer)])
    app.router.redirect_slashes = False
    return Guard(app, hosts, keys, bucket, uploads)


def _asset(name: str, kind: str) -> Handler:
    content = files("longhold.web").joinpath("assets", name).read_bytes()

    async def asset(request: Request) -> Response:
        return Response(content, headers={"content-type": kind})

    return asset


def _told(job: Job | None) -> Answer:
    if job is None:
        return {"state": "none"}
    return {"kind": job.kind, "state": job.state, "text": job.text, "error": job.error}
