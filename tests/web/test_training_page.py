"""Training in the page, in Chromium, by the process that trains: paste, plan, watch, cancel, look inside, take away."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import longhold
from tests.web.small import assert_accessible
from tests.web.test_page import until

TEXT = "".join(f"{n} times {n} is {n * n}, as everybody knows.\n" for n in range(90))
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\u202e\u0000🙂 甲\n" * 12

Page = Any


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """A server without a model."""
    command = [sys.executable, "-m", "longhold", "ui", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        yield running
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert "Traceback" not in running.communicate(timeout=30)[1]


@pytest.fixture(scope="module")
def page(browser: Any, server: subprocess.Popen[str]) -> Iterator[Page]:
    """One page for all tests of this file; it may never have complained."""
    assert server.stderr is not None
    opened = re.search(r"open (http\S+)", server.stderr.readline())
    assert opened is not None
    complaints: list[str] = []
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    made = context.new_page()
    made.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.goto(opened[1])
    until(made, "document.getElementById('train').hidden === false")
    yield made
    assert [line for line in complaints if "422" not in line] == []
    context.close()


def planned(page: Page, text: str) -> str:
    page.fill("#corpus", text)
    until(page, "document.getElementById('forecast').textContent !== ''")
    return str(page.inner_text("#forecast"))


POINTS = "document.querySelector('#curves svg[role=img] > .line.second').getAttribute('d').split(/[ML]/).length - 1"
"""Of the training curve."""


def test_without_a_model_the_page_opens_to_train_one(page: Page) -> None:
    assert page.inner_text("h1:visible") == page.title().removesuffix(" – longhold") == "Train on your own text"
    assert page.is_disabled("#to-look")
    assert page.is_disabled("#train-begin")
    assert page.locator("#choices").is_hidden()


def test_what_is_too_short_or_too_large_is_said_and_not_sent(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.fill("#corpus", "much too short")
    until(page, "document.getElementById('train-status').innerText === '14 characters: at least 200 are needed.'")
    page.evaluate(
        "() => { const files = new DataTransfer(); files.items.add(new File([new Uint8Array(2 ** 24 + 1)], 'big.txt'));"
        "const field = document.getElementById('file'); field.files = files.files;"
        "field.dispatchEvent(new Event('change')); }"
    )
    until(page, "document.getElementById('train-status').innerText.includes('at most 16 MB can be sent')")
    assert asked == []
    assert page.is_disabled("#train-begin")


def test_a_file_is_read_with_its_encoding_shown(page: Page) -> None:
    text = "子曰：學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？" * 12
    page.set_input_files("#file", {"name": "論語.txt", "mimeType": "text/plain", "buffer": text.encode("big5")})
    until(page, "document.getElementById('corpus-facts').innerText.includes('312 characters, big5')")
    assert "guessed" in page.inner_text("#corpus-facts")
    assert page.inner_text("#corpus-facts .sample").startswith("子曰：學而時習之")
    page.select_option("#encoding", "utf-8")
    until(
        page,
        "document.getElementById('train-status').innerText.startsWith('This cannot be read as text: it is not utf-8')",
    )
    assert page.inner_text("#corpus-facts") == page.inner_text("#forecast") == ""
    page.select_option("#encoding", "")


def test_hostile_text_is_only_text(page: Page) -> None:
    planned(page, HOSTILE)
    sample = page.inner_text("#corpus-facts .sample")
    assert "<img src=x onerror" in sample
    assert "⟨202E⟩␀" in sample
    assert page.locator("#train img, #train script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_from_a_text_to_a_model(page: Page, tmp_path: Path) -> None:
    said = planned(page, TEXT)
    assert f"{len(TEXT) - round(len(TEXT) / 10):,} characters to learn from: LSTM, 1 × 128 units" in said
    assert "little to learn from" in page.inner_text("#corpus-facts")
    page.focus("#cell-lstm")
    page.keyboard.press("ArrowRight")
    until(page, "document.getElementById('forecast').textContent.includes('GRU, 1 × 128')")
    page.select_option("#budget", "60")
    until(page, "document.getElementById('forecast').textContent.includes('as many as fit into 60 s')")
    assert "with AWD-LSTM’s dropouts" in page.inner_text("#forecast")
    page.focus("#train-begin")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id === 'cancel'")
    until(page, "document.getElementById('course-state').textContent === 'Training.'", 120)
    until(page, "document.querySelectorAll('#curves circle').length > 0", 120)
    before = page.evaluate(POINTS)
    page.click("#evaluations summary")
    rows = "document.querySelectorAll('#evaluation-rows tbody tr').length"
    until(page, f"{rows} > 0 && {rows} === document.querySelectorAll('#curves circle').length")
    until(page, f"{POINTS} > {before + 3}")
    assert page.is_disabled("#train-begin")
    page.reload()  # whoever comes later is told all
    until(page, "document.querySelectorAll('#curves circle').length > 0")
    assert page.evaluate(POINTS) > before
    page.focus("#cancel")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id === 'look-inside'")
    assert page.inner_text("#course-state").startswith("Cancelled. The best so far is kept:")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "text.safetensors"
    model = longhold.load(download.value.path())
    assert (model.model.config.cell, model.facts.corpus) == ("gru", "text")
    page.click("#look-inside")
    page.wait_for_selector(".strip")
    assert page.inner_text("#name") == "text"
    page.fill("#text", "7 times 7")
    until(page, "document.querySelectorAll('#readings .mark').length === 9")
    bits = float(page.evaluate("parseFloat(document.querySelector('#readings .summary').textContent)"))
    assert bits == pytest.approx(model.score("7 times 7").bits_per_character, abs=0.006)


@pytest.mark.parametrize(("scheme", "width", "language"), [("dark", 390, "zh-Hans"), ("light", 1280, "en")])
def test_it_is_accessible_and_fits(page: Page, scheme: str, width: int, language: str) -> None:
    """Looked at after the training: text, plan, curves, table, samples and results are all there."""
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.click(f"#languages button[lang={language}]")
    page.click("#to-train")
    planned(page, TEXT)
    if not page.evaluate("document.getElementById('evaluations').open"):
        page.click("#evaluations summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    svg = page.locator("#curves svg[role=img]").bounding_box()
    assert svg["x"] + svg["width"] <= width
    assert bool(re.search("[一-鿿]", page.inner_text("#course-state"))) == (language == "zh-Hans")
    assert_accessible(page, "#train")
