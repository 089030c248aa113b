"""The routes of training: a text that arrives, a forecast of training on it, the one training, its file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, final, get_args

from pydantic import Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from longhold.errors import InputError
from longhold.options import Cell, TextOptions, help_of
from longhold.training.recipe import SHORTEST_TEXT
from longhold.web.answers import Answer, Nothing, RequestBody, as_json, compact, guarded, posted
from longhold.web.guard import LARGEST_UPLOAD, UPLOAD
from longhold.web.task_queue import TaskQueue
from longhold.web.texts import Encoding, Texts
from longhold.web.trainer import Trainer

LONGEST_BUDGET: Final = 86_400
"""Seconds that a training may take."""

MOST_WATCHERS: Final = 8
"""Event streams that are open at a time."""

_CELL: Final = TextOptions.model_fields["cell"]
_LONGEST_NAME: Final = 60
_EVERY: Final = 0.25  # seconds between two looks for news
_STILL_HERE: Final = 40  # looks without news before a line says that the stream lives


class ForecastBody(RequestBody):
    """A training, to be forecast."""

    text: str
    """name of the text, from the answer that took it"""
    cell: Cell = Field(default=_CELL.default, description=help_of("cell"))
    seconds: float | None = Field(default=None, ge=1, le=LONGEST_BUDGET)
    """time for it; None: what suits the text"""


@final
class TrainBody(ForecastBody):
    """A training, to be started."""

    title: str = "text"
    """what people call it; never a path"""


def limits() -> Answer:
    """What the page should know before it sends a text."""
    return {
        "largest_text": LARGEST_UPLOAD,
        "shortest_text": SHORTEST_TEXT,
        "longest_budget": LONGEST_BUDGET,
        "encodings": list(get_args(Encoding)),
        "cells": list(reversed(get_args(Cell))),
        "cell": _CELL.default,
    }


def training_routes(texts: Texts, trainer: Trainer) -> list[Route]:
    """The routes."""
    queue, watchers = TaskQueue(), Watchers(trainer)

    async def take(request: Request) -> Response:
        raw, encoding = await request.body(), _encoding(request.query_params.get("encoding"))
        return as_json(await queue.run(lambda stop: texts.take(raw, encoding)))

    async def forecast(body: ForecastBody) -> Answer:
        return await queue.run(lambda stop: texts.forecast(body.text, body.cell, body.seconds))

    async def train(body: TrainBody) -> Answer:
        return trainer.start(texts.named(body.text), title(body.title), body.cell, body.seconds).as_answer()

    async def cancel(body: Nothing) -> Answer:
        trainer.stop()
        return {}

    async def watch(request: Request) -> Response:
        return watchers.stream()

    async def file(request: Request) -> Response:
        found = trainer.file(request.path_params["number"])
        return FileResponse(found, media_type="application/octet-stream", headers={"content-disposition": "attachment"})

    return [
        Route(UPLOAD, guarded("text", take), methods=["POST"]),
        Route("/api/watch", guarded("watch", watch), methods=["POST"]),
        Route("/api/file/{number:int}", guarded("file", file), methods=["GET"]),
        posted("forecast", ForecastBody, forecast),
        posted("train", TrainBody, train),
        posted("cancel", Nothing, cancel),
    ]


@final
class Watchers:
    """Event streams of the training: what there is, then what is new, until it is over."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._count = 0

    def stream(self) -> Response:
        """One more stream, whose place is taken now; InputError where there is none left, or nothing to watch."""
        if self._trainer.training is None:
            raise InputError("no training to watch")
        if self._count >= MOST_WATCHERS:
            raise InputError(f"{MOST_WATCHERS} pages are watching: close one")
        self._count += 1
        return _Watching(self._news(), self._leave)

    def _leave(self) -> None:
        self._count -= 1

    async def _news(self) -> AsyncIterator[str]:
        training = self._trainer.training
        seen, sent, quiet = -1, (0, 0, 0), 0
        while training is not None and not self._trainer.closed:
            if training.version != seen:
                seen, quiet, over = training.version, 0, training.over
                news = training.as_answer(sent)
                counts = [len(news[name]) for name in ("training", "held_out", "samples")]
                sent = (sent[0] + counts[0], sent[1] + counts[1], sent[2] + counts[2])
                yield f"data: {compact(news)}\n\n"
                if over:
                    return
            elif (quiet := quiet + 1) % _STILL_HERE == 0:
                yield ":\n\n"
            await asyncio.sleep(_EVERY)


@final
class _Watching(StreamingResponse):
    """A stream that gives its place back however it ends, even where nothing of it was ever sent."""

    def __init__(self, events: AsyncIterator[str], leave: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


def title(given: str) -> str:
    """What a text is called: the last part of what looks like a path, what can be shown of it, and not too long."""
    last = given.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last)).strip()[:_LONGEST_NAME] or "text"


def _encoding(given: str | None) -> Encoding | None:
    known: tuple[Encoding, ...] = get_args(Encoding)
    found = next((encoding for encoding in known if encoding == given), None)
    if given and found is None:
        raise InputError(f"encoding {given!r:.40}: expected one of {', '.join(known)}")
    return found
