"""An exported page in Chromium, offline, and what Python's stepper writes beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from longhold.data.tokenizers import Tokenizer
from longhold.integer import IntegerModel, IntegerStepper, IntegerWriter


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """The page in an offline browser; whatever it complains of or asks the network for fails the test."""
    wrong: list[str] = []
    context = browser.new_context(offline=True, **options)
    context.set_default_timeout(120_000)  # a busy machine is no failure
    tab = context.new_page()
    tab.on("console", lambda message: wrong.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    tab.on("request", lambda request: request.url.startswith("file://") or wrong.append(f"request: {request.url}"))
    tab.add_init_script(
        "globalThis.refusals = []; addEventListener('securitypolicyviolation', (e) => refusals.push(e.blockedURI))"
    )
    tab.goto(path.as_uri())
    yield tab
    assert tab.evaluate("refusals") == []
    assert wrong == []
    context.close()


def until(tab: Any, condition: str) -> None:
    while not tab.evaluate(condition):
        tab.wait_for_timeout(50)


def dial(tab: Any, name: str, value: int) -> None:
    tab.locator(f"#{name}").evaluate(f"(e) => {{ e.value = {value}; e.dispatchEvent(new Event('input')); }}")


def by_python(
    model: IntegerModel, tokenizer: Tokenizer, prime: list[int], tokens: int, temperature: int, seed: int
) -> tuple[str, IntegerStepper]:
    """What Python's stepper writes after `prime`, and the stepper as it stands then."""
    vocabulary = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    writer, decoder = IntegerWriter(model, vocabulary, seed), tokenizer.stream()
    writer.read(prime)
    written = [decoder.push(writer.write(temperature)) for _ in range(tokens)]
    return "".join(written), writer.stepper
