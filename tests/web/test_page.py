"""The page in Chromium: typing, walking, comparing, languages, widths, colours, accessibility, hostile texts."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.text import TextModel
from tests.web.small import TEXT, assert_accessible, text_model

Page = Any


def forgetful(model: TextModel) -> None:
    """Make a gated model forget within a step or two."""
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if "weight_hh" in name:
                parameter.mul_(0.02)
            if "bias_hh" in name:
                parameter.sub_(3)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A server with an LSTM, an RNN and a forgetful GRU; the list holds the address that opens it next."""
    folder = tmp_path_factory.mktemp("page")
    files: list[Path] = []
    for cell in ("lstm", "rnn", "gru"):
        files.append(folder / f"{cell}.safetensors")
        model = text_model(cell, hidden_size=12)
        if cell == "gru":
            forgetful(model)
        model.save(files[-1])
    command = [sys.executable, "-m", "longhold", "ui", *map(str, files), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        opened = re.search(r"open (http\S+)", server.stderr.readline())
        assert opened is not None
        yield [opened[1]]
        server.terminate()
        server.communicate(timeout=20)


@pytest.fixture(scope="module")
def state(browser: Any, address: list[str]) -> tuple[Any, Any, str]:
    """A browser, and the cookie that the one token was exchanged for."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address[0])
    found = browser, context.storage_state(), page.url
    context.close()
    return found


@pytest.fixture
def opened(state: Any) -> Iterator[Any]:
    """Opens pages in contexts of their own; afterwards none may have complained."""
    browser, cookies, url = state
    contexts, complaints = [], []

    def open_page(**options: Any) -> Page:
        cookie_only = {"cookies": cookies["cookies"], "origins": []}
        context = browser.new_context(**{"locale": "en-GB", "storage_state": cookie_only, **options})
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(url) else None)
        page.goto(url)
        page.wait_for_selector(".strip")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def until(page: Page, condition: str, seconds: float = 60) -> None:
    """Wait until the JavaScript `condition` holds; asked from outside, since the page's policy allows no eval."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not within {seconds} s: {condition}"
        page.wait_for_timeout(30)


def settled(page: Page) -> None:
    """Wait until the text is read."""
    until(page, "document.getElementById('readings').getAttribute('aria-busy') === 'false'")


def type_text(page: Page, text: str) -> None:
    page.fill("#text", text)
    settled(page)


def alone(page: Page) -> None:
    """Only the first model."""
    page.select_option("#beside", "")
    settled(page)
    assert page.locator("#readings > div").count() == 1


def test_typing_marks_every_character_and_tells_its_surprise(opened: Any) -> None:
    page = opened()
    alone(page)
    type_text(page, "said no")
    marks = page.locator("#readings .mark")
    assert marks.all_inner_texts() == list("said no")
    trace = text_model("lstm", hidden_size=12).trace("said no")
    page.click(".mark[data-index='3']")
    until(page, "document.querySelector('.inspector .readout').innerText.includes('“d”')")
    slider = page.locator(".marks")
    assert slider.get_attribute("aria-valuetext") == f"d: {float(trace.bits[3]):.2f} bits, character 4 of 7"
    assert slider.get_attribute("aria-valuenow") == "4"
    assert f"{float(trace.bits[3]):.2f} bits" in page.locator(".inspector .readout").inner_text()
    tokens = page.locator(".inspector .odds").nth(1).locator(".token").all_inner_texts()
    assert tokens[0] == trace.odds(4)[0].token.replace(" ", "␣").replace("\\n", "\\n")
    shown = float(page.locator(".strip-number").first.inner_text().replace("−", "-"))
    assert shown == pytest.approx(float(trace.gates.i[1, 3, 0]), abs=0.006)
    assert page.locator(".strip").count() == 6


def test_the_last_character_is_chosen_until_a_person_chooses(opened: Any) -> None:
    page = opened()
    alone(page)
    at = "document.querySelector('.marks').getAttribute('aria-valuenow')"
    assert page.evaluate(at) == page.locator(".marks").get_attribute("aria-valuemax") != "1"
    type_text(page, "said no")
    assert page.evaluate(at) == "7"
    page.locator("#lag").scroll_into_view_if_needed()
    until(page, "document.querySelector('#lags .note')?.innerText.includes('“o”')")
    type_text(page, "said so " * 300)
    assert page.evaluate(at) == "2400"
    ends = "document.querySelector('.marks').getBoundingClientRect().bottom"
    assert page.evaluate(f"document.querySelector('.mark.chosen').getBoundingClientRect().bottom <= {ends}")
    page.click(".mark[data-index='2399']")
    type_text(page, "said not")
    page.click(".mark[data-index='2']")
    type_text(page, "said nothing")
    assert page.evaluate(at) == "3"


def test_a_reading_that_is_overtaken_does_not_say_that_it_is_done(opened: Any) -> None:
    page = opened()
    alone(page)
    slow: list[Any] = []
    page.route("**/api/trace", lambda route: slow.append(route))
    page.fill("#text", "the first")
    while not slow:
        page.wait_for_timeout(20)
    page.fill("#text", "another")
    slow.pop().continue_()  # its answer comes while the typing has not paused
    page.unroute("**/api/trace")
    settled(page)
    assert page.locator("#readings .mark").all_inner_texts() == list("another")


def test_the_keyboard_does_what_the_pointer_does(opened: Any) -> None:
    page = opened(viewport={"width": 700, "height": 900})
    alone(page)
    type_text(page, "one two three four " * 8)
    page.focus(".marks")
    at = "Number(document.querySelector('.marks').getAttribute('aria-valuenow'))"
    page.keyboard.press("Home")
    for key, expected in [
        ("ArrowRight", 2),
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("End", 152),
        ("Home", 1),
        ("PageDown", 21),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(at) == expected
    page.keyboard.press("ArrowDown")
    below = page.evaluate(at)
    assert below > 30, "a line is longer than that"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(at) == 21
    assert page.locator(".mark.chosen").count() == 1
    until(page, "document.querySelector('.inspector .readout').innerText.length > 5")
    frame = page.locator(".strip-frame").first
    frame.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert frame.get_attribute("aria-valuenow") == "2"
    assert page.locator(".unit-choice input").input_value() == "2"
    page.keyboard.press("End")
    assert frame.get_attribute("aria-valuetext").startswith("unit 11: ")
    page.locator("#steps").scroll_into_view_if_needed()
    until(page, "document.querySelector('#equations .note')?.innerText.includes('unit 11 of layer 2')")


def test_hovering_peeks_and_leaving_gives_the_chosen_one_back(opened: Any) -> None:
    page = opened()
    alone(page)
    type_text(page, "said no")
    page.click(".mark[data-index='0']")
    readout = "document.querySelector('.inspector .readout strong').innerText"
    until(page, f"{readout} === '“s”'")
    page.hover(".mark[data-index='5']")
    until(page, f"{readout} === '“n”'")
    page.hover("h1")
    until(page, f"{readout} === '“s”'")


def test_the_equations_have_the_models_numbers_phase_by_phase(opened: Any) -> None:
    page = opened()
    alone(page)
    type_text(page, "said no")
    page.click(".mark[data-index='3']")
    page.locator("#steps").scroll_into_view_if_needed()
    until(page, "document.querySelector('#equations .note')?.innerText.includes('“d”')")
    gates = text_model("lstm", hidden_size=12).trace("said no").gates
    phases = page.locator(".phases button")
    assert [text.split("\n")[-1].strip() for text in phases.all_inner_texts()] == [
        "1 Forget",
        "2 Remember selectively",
        "3 Output",
    ]
    for phase, letters in enumerate(("f", "gi", "o")):
        phases.nth(phase).click()
        assert phases.nth(phase).get_attribute("aria-pressed") == "true"
        values = [float(text.replace("−", "-")) for text in page.locator(".equation b").all_inner_texts()]
        for value, letter in zip(values, letters, strict=False):
            assert value == pytest.approx(float(getattr(gates, letter)[1, 3, 0]), abs=6e-4)
    page.click("#after")
    until(page, "document.querySelector('#equations .note')?.innerText.includes('“␣”')")


def test_the_gradient_and_the_time_constants_have_tables_behind_them(opened: Any) -> None:
    page = opened()
    alone(page)
    type_text(page, "said no")
    page.click(".mark[data-index='6']")
    page.locator("#lag").scroll_into_view_if_needed()
    until(page, "document.querySelector('#lags .note')?.innerText.includes('“o”')")
    page.locator("#lags summary").click()
    rows = page.locator("#lags tbody tr")
    until(page, "document.querySelectorAll('#lags tbody tr').length === 7")
    assert [rows.nth(at).locator("td").first.inner_text() for at in range(7)] == [*"n␣dias", "⊢"]
    page.locator("#constants").scroll_into_view_if_needed()
    page.wait_for_selector("#times svg.plot, #times .plot svg")
    page.locator("#times summary").first.click()
    until(page, "document.querySelectorAll('#times tbody tr').length === 12")
    page.evaluate("scrollTo(0, 0)")
    page.click("label[for=by-gradient]")
    until(page, "document.querySelectorAll('#readings .mark.s5').length > 0")
    page.locator("#readings summary").click()
    until(page, "document.querySelectorAll('#readings tbody tr').length === 7")


def test_units_are_found_and_mark_the_text(opened: Any) -> None:
    page = opened()
    alone(page)
    type_text(page, (TEXT * 100)[:2100])
    page.click("#find")
    page.wait_for_selector(".property")
    assert page.locator(".property").count() == 5
    page.locator(".property button.link").first.click()
    until(page, "document.querySelectorAll('#readings .u4, #readings .u-4').length > 0")
    assert page.locator("#by-unit").is_checked()
    assert "from" in page.locator("#legend").inner_text()


def axes(page: Page, part: str) -> list[list[str]]:
    """What stands at the axes of each plot."""
    plots = page.locator(f"#{part} svg[role=img]").all()
    return [plot.locator("text").all_text_contents() for plot in plots]


def test_models_side_by_side_have_the_same_axes(opened: Any) -> None:
    page = opened()
    page.select_option("#beside", "2")
    type_text(page, "said no")
    page.locator("#lag").scroll_into_view_if_needed()
    until(page, "document.querySelectorAll('#lags svg[role=img]').length === 2")
    first, second = axes(page, "lag")
    assert first == second
    assert sum("10⁻" in label for label in first) > 2  # the forgetful one's gradients are many times smaller
    page.locator("#constants").scroll_into_view_if_needed()
    until(page, "document.querySelectorAll('#times svg[role=img]').length === 4")
    times = axes(page, "constants")
    assert times == times[:1] * 4
    page.click("label[for=by-gradient]")
    until(page, "document.querySelectorAll('#readings .mark.s5').length > 1")
    assert re.search(r"lstm: 100 % is \S+ nats per unit; gru: 100 % is \S+ nats", page.inner_text("#legend"))


def test_two_models_stand_side_by_side_and_are_walked_together(opened: Any) -> None:
    page = opened(viewport={"width": 1400, "height": 900})
    type_text(page, "said no")
    assert page.locator(".marks").count() == 2
    boxes = [page.locator(".marks").nth(at).bounding_box() for at in (0, 1)]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 5
    assert boxes[1]["x"] > boxes[0]["x"] + boxes[0]["width"]
    page.locator(".marks").nth(1).focus()
    page.keyboard.press("End")
    assert [page.locator(".marks").nth(at).get_attribute("aria-valuenow") for at in (0, 1)] == ["7", "7"]
    until(page, "document.querySelectorAll('.inspector .readout').length === 2")
    assert "An RNN has no gates" in page.locator("#inspectors").inner_text()
    page.locator("#steps").scroll_into_view_if_needed()
    until(page, "document.querySelectorAll('#equations .card').length === 2")
    assert "Rewrite" in page.locator("#equations").inner_text()
    page.select_option("#model", "2")
    until(page, "document.querySelector('#name').innerText.startsWith('gru')")
    until(page, "document.querySelector('#equations').innerText.includes('Propose')")


def test_chinese_is_offered_and_remembered_without_the_text(opened: Any) -> None:
    page = opened()
    type_text(page, "said no")
    page.click("#languages button[lang='zh-Hans']")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.locator("#reading-heading").inner_text() == "模型眼中的文本"
    assert page.evaluate("Object.entries(localStorage)") == [["longhold-language", "zh-Hans"]]
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    page.wait_for_selector(".strip")
    assert page.locator("#reading-heading").inner_text() == "模型眼中的文本"
    assert page.input_value("#text") != "said no"
    assert opened(locale="zh-CN").locator("#text-heading").inner_text() == "文本"


def test_an_input_method_is_waited_for(opened: Any) -> None:
    page = opened()
    alone(page)
    type_text(page, "said")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "api/trace" in request.url else None)
    page.evaluate(
        """() => { const field = document.getElementById('text');
        field.dispatchEvent(new CompositionEvent('compositionstart'));
        field.value = 'nihao'; field.dispatchEvent(new InputEvent('input', { isComposing: true })); }"""
    )
    page.wait_for_timeout(600)
    assert asked == []
    page.evaluate(
        """() => { const field = document.getElementById('text');
        field.value = '其眼'; field.dispatchEvent(new CompositionEvent('compositionend')); }"""
    )
    until(page, "[...document.querySelectorAll('#readings .mark')].map(m => m.innerText).join('') === '其眼'")


@pytest.mark.parametrize(
    ("scheme", "width", "language"),
    [("dark", 390, "zh-CN"), ("light", 1360, "en-GB")],
)
def test_it_is_accessible_and_fits(opened: Any, scheme: str, width: int, language: str) -> None:
    page = opened(viewport={"width": width, "height": 844}, color_scheme=scheme, locale=language)
    type_text(page, TEXT)
    page.click(".mark[data-index='5']")
    for part in ("steps", "lag", "constants"):
        page.locator(f"#{part}").scroll_into_view_if_needed()
        until(page, f"document.querySelector('#{part} .panes').children.length === 2")
    page.click("#find")
    page.wait_for_selector(".property")
    for summary in page.locator("summary:visible").all():
        summary.click()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)
    for mode, mark in (("unit", ".u4, .u-4"), ("gradient", ".s5")):
        page.click(f"label[for=by-{mode}]")
        page.wait_for_selector(f"#readings :is({mark})")
        assert_accessible(page, "[aria-labelledby=reading-heading]")  # nothing else has changed


def test_no_motion_where_none_is_wanted(opened: Any) -> None:
    page = opened(reduced_motion="reduce")
    seconds = "parseFloat(getComputedStyle(e, '::after').transitionDuration)"
    moving = f"[...document.querySelectorAll('*')].filter(e => {seconds}).length"
    page.locator("#steps").scroll_into_view_if_needed()
    page.wait_for_selector(".swing")
    assert page.evaluate(moving) == 0


HOSTILE = {
    "script": "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
    "controls": "".join(map(chr, [*range(9), *range(11, 13), *range(14, 32), 127])) + "end",
    "right to left": "שלום עולם مرحبا \u202eabc\u202c",
    "emoji": "🏳️‍🌈👨‍👩‍👧‍👦🙂 e\u0301",
    "joined": "क्षत्रिय ไทย",
    "private": "\ufeff\ue000\U000f0000",
    "long word": "x" * 3000,
    "lines": "\n" * 200,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_only_text(opened: Any, name: str) -> None:
    page = opened()
    alone(page)
    title = page.title()
    type_text(page, HOSTILE[name])
    page.focus(".marks")
    page.keyboard.press("End")
    page.wait_for_timeout(200)
    assert page.title() == title
    assert page.locator(".marks img, .marks script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    if name == "emoji":
        assert page.locator("#readings .mark").all_inner_texts() == ["🏳️‍🌈", "👨‍👩‍👧‍👦", "🙂", " ", "e\u0301"]
    if name == "right to left":
        assert "\u202e" not in page.locator(".marks").inner_text()
        assert "⟨202E⟩" in page.locator(".marks").inner_text()
        assert page.evaluate("getComputedStyle(document.querySelector('.marks')).direction") == "rtl"
    if name == "controls":
        assert "␀" in page.locator(".marks").inner_text()


def test_what_is_too_long_is_said_and_not_sent(opened: Any) -> None:
    page = opened()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "api/trace" in request.url else None)
    page.evaluate(
        "() => { const field = document.getElementById('text'); field.value = 'x'.repeat(3e5); "
        "field.dispatchEvent(new InputEvent('input')); }"
    )
    until(page, "document.getElementById('status').innerText.includes('300,000 characters')")
    assert asked == []
    type_text(page, "said")


def test_the_model_goes_on_and_an_empty_text_is_no_error(opened: Any) -> None:
    page = opened()
    page.fill("#text", "")
    until(page, "document.getElementById('status').innerText === 'Nothing to read yet.'")
    type_text(page, "said ")
    page.click("#write")
    until(page, "document.getElementById('text').value.length > 20 && document.getElementById('stop').hidden")
    assert page.input_value("#text").startswith("said ")
    assert not page.locator("#text").evaluate("field => field.readOnly")
