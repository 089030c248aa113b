"""The application: addresses, what is read from a request, what is answered."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from typing import Any, TypeVar, final

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from longhold.errors import InputError
from longhold.models.config import Config
from longhold.web.desk import Desk, Job, Stopped
from longhold.web.guard import Bucket, Guard, Keys
from longhold.web.studio import Answer, Studio

_SCRIPTS = ("app.js", "pane.js", "panels.js", "plots.js", "views.js", "messages.js")

ASSETS = {
    "": ("index.html", "text/html; charset=utf-8"),
    **{name: (name, "text/javascript; charset=utf-8") for name in _SCRIPTS},
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Addresses, the files behind them and their types; nothing else is ever opened."""

_Index = Field(ge=0, le=2**31)


@final
class Text(Config):
    """A model and a text."""

    model: int = _Index
    """which model"""
    text: str
    """what it is about"""


@final
class Place(Config):
    """A token of a trace."""

    trace: str
    """name of the trace"""
    place: int = _Index
    """which token"""


@final
class Unit(Config):
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
class UnitAtPlace(Config):
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
class Trace(Config):
    """A trace."""

    trace: str
    """its name"""


@final
class Writing(Config):
    """A text to go on from."""

    model: int = _Index
    """which model"""
    text: str = ""
    """what comes before"""
    length: int = Field(default=300, ge=1, le=2000)
    """tokens to write"""
    temperature: float = Field(default=0.8, ge=0, le=3)
    """as in `SamplingConfig`"""


@final
class Nothing(Config):
    """A request that says nothing."""


AskedT = TypeVar("AskedT", bound=Config)
Handler = Callable[[Request], Awaitable[Response]]


def application(studio: Studio, hosts: Iterable[str], keys: Keys, bucket: Bucket | None = None) -> ASGIApp:
    """The page and its questions, behind the guard.

    Args:
        studio: the models.
        hosts: the Host headers that are answered, with their ports.
        keys: token and cookie.
        bucket: how often it may be asked; None: the guard's own limit.
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
        return _json(studio.about())

    async def job(request: Request) -> Response:
        return _json(_told(desk.job))

    routes = [Route(f"/{name}", _asset(*asset)) for name, asset in ASSETS.items()]
    routes += [Route("/api/about", about), Route("/api/job", job)]
    routes += [
        _posted("trace", Text, trace),
        _posted("step", Place, step),
        _posted("unit", Unit, unit),
        _posted("units", Text, units),
        _posted("constants", Trace, constants),
        _posted("lag", Place, lag),
        _posted("equations", UnitAtPlace, equations),
        _posted("write", Writing, writing),
        _posted("stop", Nothing, stop),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return Guard(app, hosts, keys, bucket)


def _asset(name: str, kind: str) -> Handler:
    content = files("longhold.web").joinpath("assets", name).read_bytes()

    async def asset(request: Request) -> Response:
        return Response(content, headers={"content-type": kind})

    return asset


def _posted(name: str, asked: type[AskedT], answer: Callable[[AskedT], Awaitable[Answer]]) -> Route:
    """A route that takes a JSON object and answers with one; what cannot be used is said in one line."""

    async def handler(request: Request) -> Response:
        try:
            return _json(await answer(asked(**_object(await request.body()))))
        except InputError as error:
            return _json({"error": str(error)}, status=422)
        except Stopped:
            return _json({"error": "stopped", "stopped": True}, status=409)
        except Exception:
            logging.getLogger("longhold.web").exception("a question of the page failed: /api/%s", name)
            return _json({"error": "the server failed; its terminal says why"}, status=500)

    return Route(f"/api/{name}", handler, methods=["POST"])


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON") from None
    if not isinstance(found, dict):
        raise InputError("the request is not a JSON object")
    return found


def _told(job: Job | None) -> Answer:
    if job is None:
        return {"state": "none"}
    return {"kind": job.kind, "state": job.state, "text": job.text, "error": job.error}


def _json(answer: Answer, status: int = 200) -> Response:
    """ASCII only: an error may quote a lone surrogate, which has no UTF-8."""
    body = json.dumps(answer, allow_nan=False, separators=(",", ":"))
    return Response(body, status, {"content-type": "application/json"})
