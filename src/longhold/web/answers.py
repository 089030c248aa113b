"""How a request is read and answered: JSON in, JSON out, one line where something cannot be used."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, final

from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from longhold.config import Config
from longhold.documents import DEEPEST, deeper_than
from longhold.errors import InputError
from longhold.web.task_queue import Busy, Stopped

Answer = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]


class RequestBody(Config):
    """The JSON object in a request. A number is a number and a text is a text: neither is converted into the other."""

    model_config = ConfigDict(strict=True)


BodyT = TypeVar("BodyT", bound=RequestBody)


@final
class Nothing(RequestBody):
    """An empty object."""


def posted(name: str, body: type[BodyT], answer: Callable[[BodyT], Awaitable[Answer]]) -> Route:
    """A route that takes a JSON object and answers with one."""

    async def handler(request: Request) -> Response:
        return as_json(await answer(body(**_object(await request.body()))))

    return Route(f"/api/{name}", guarded(name, handler), methods=["POST"])


def guarded(name: str, handler: Handler) -> Handler:
    """Returns the handler with answers of one line for what cannot be used, what was stopped, and a failure."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except InputError as error:
            return as_json({"error": str(error)}, status=503 if isinstance(error, Busy) else 422)
        except Stopped:
            return as_json({"error": "stopped", "stopped": True}, status=409)
        except Exception:
            logging.getLogger("longhold.web").exception("a request of the page failed: /api/%s", name)
            return as_json({"error": "the server failed; its terminal says why"}, status=500)

    return answered


def _object(body: bytes) -> dict[str, Any]:
    try:
        # NaN and its like come in, and are complained of by the name of their field
        found = json.loads(body, object_pairs_hook=_object_of)
    except InputError:
        raise
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON") from None
    if deeper_than(found, DEEPEST):
        raise InputError(f"the request has more than {DEEPEST} levels")
    if not isinstance(found, dict):
        raise InputError("the request is not a JSON object")
    return found


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
        raise InputError(f"the request has {name!r:.60} twice")
    return found


def as_json(answer: Answer, status: int = 200) -> Response:
    """JSON, ASCII only: an error may quote a lone surrogate, which has no UTF-8."""
    return Response(compact(answer), status, {"content-type": "application/json"})


def compact(answer: Answer) -> str:
    """One line of JSON in ASCII."""
    return json.dumps(answer, allow_nan=False, separators=(",", ":"))
