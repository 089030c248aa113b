"""The page: what is in the file, and what Chromium, offline, makes of it beside Python's stepper."""

from __future__ import annotations

import base64
import getpass
import hashlib
import html.parser
import json
import re
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.browsing import by_python, dial, opened, until

from longhold import InputError, TextModel
from longhold.data.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.export.html import LARGEST_LOSS, choose_width, export_html, page
from longhold.integer import TOTAL, IntegerModel, IntegerStepper, packed, quantize
from longhold.models import LanguageModel, LanguageModelConfig

TEXT = "The Time Traveller (for so it will be convenient to speak of him) was expounding.\nไทย עברית 😀 我能吞下玻璃\n"
CHARACTERS = CharTokenizer.train(TEXT)
FACTS = {"corpus": "diary-of-somebody.txt", "characters": 1234, "held_out_bits_per_character": 2.5, "seconds": 9.5}


def language_model(tokenizer: Tokenizer, cell: str = "lstm", **options: Any) -> LanguageModel:
    config = LanguageModelConfig(**{"hidden_size": 12, **options}, cell=cell, vocab_size=tokenizer.vocab_size)
    model = LanguageModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # odds that differ from token to token
    return model.eval()


class Elements(html.parser.HTMLParser):
    """Every element with its attributes and the text directly in it."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "writer.html"
    export_html(language_model(CHARACTERS), CHARACTERS, path, TEXT * 5, FACTS)
    return path


def test_the_policy_allows_this_script_and_this_style_alone(exported: Path) -> None:
    found = Elements(exported.read_text(encoding="utf-8"))
    policy = next(a["content"] for a, _ in found.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    (_, style), scripts = found.of("style")[0], found.of("script")

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": digest(next(text for attributes, text in scripts if not attributes)),
        "style-src": digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(found.of("style")) == 1
    assert [attributes for attributes, _ in scripts] == [{"type": "application/json", "id": "model"}, {}]
    loading = {"src", "href", "srcset", "action", "style", "background"}
    assert not [entry for entry in found.found if loading & entry[1].keys() or any(k[:2] == "on" for k in entry[1])]


def test_the_model_in_it_is_the_model(exported: Path) -> None:
    found = Elements(exported.read_text(encoding="utf-8"))
    model = json.loads(next(text for attributes, text in found.of("script") if attributes))
    assert model["facts"] == {"characters": 1234, "held_out_bits_per_character": 2.5}
    torch.manual_seed(0)
    again = packed(quantize(language_model(CHARACTERS), 8), CHARACTERS)
    assert {**model, "facts": {}} == {**again, "facts": {}}


def test_nothing_in_the_file_tells_who_where_and_on_what(exported: Path) -> None:
    source = exported.read_text(encoding="utf-8")
    text = re.sub(r'"data":"[^"]*"', "", source)
    for private in (str(exported.parent), str(Path.home()), "/home/", "/root", "/work", "diary", TEXT[:12]):
        assert private not in text
    for name in (getpass.getuser(), socket.gethostname()):
        assert len(name) < 5 or name not in text
    assert re.findall(r"[\w:]*//[\w./]+", text.replace("http://www.w3.org/2000/svg", "")) == []


def test_text_cannot_end_the_script_it_stands_in() -> None:
    words = WordTokenizer(["script", "</", "<!--"][:1])
    model = packed(quantize(language_model(words), 8), words, {"</script><script>alert(1)</script>": "<!--"})
    source = page(model)
    assert source.count("</script>") == 2
    assert "<!--" not in source
    read = json.loads(next(text for attributes, text in Elements(source).of("script") if attributes))
    assert read == json.loads(json.dumps(model))


def test_eight_bits_where_they_cost_little() -> None:
    model = language_model(CHARACTERS)
    integers, losses = choose_width(model, CHARACTERS, TEXT * 5)
    assert integers.bits == 8
    assert losses.keys() == {8}
    assert losses[8] <= LARGEST_LOSS


def test_sixteen_bits_where_eight_cost_much() -> None:
    model = language_model(CHARACTERS)
    with torch.no_grad():
        model.output.weight[:, 0] = 300.0  # the same for every token: it changes no odds, and eats the 8 bits of a row
    text = "".join(TextModel(model, CHARACTERS).write(length=600, temperature=1, seed=1))
    integers, losses = choose_width(model, CHARACTERS, text)
    assert integers.bits == 16
    assert losses.keys() == {8, 16}
    assert losses[16] < LARGEST_LOSS < losses[8]


def test_the_cost_is_that_of_characters_not_of_tokens() -> None:
    tokenizer = ByteTokenizer()
    model, text = language_model(tokenizer, "gru"), "我能吞下玻璃而不伤身体。"
    ids = tokenizer.encode(text)
    columns = len(ids) // 32
    assert columns == 1
    integers, losses = choose_width(model, tokenizer, text)
    stepper = IntegerStepper(integers, 1)
    bits = -sum(np.log2(stepper.step(ids[k : k + 1])[0, ids[k + 1]] / TOTAL) for k in range(len(ids) - 1))
    with torch.no_grad():
        nats = model.loss(torch.from_numpy(ids[:-1, None]), torch.from_numpy(ids[1:, None]))[0].item()
    expected = (bits / (len(ids) - 1) - nats / np.log(2)) * len(ids) / len(text)
    assert losses[integers.bits] == pytest.approx(expected, abs=1e-6)


def test_what_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least 2"):
        export_html(language_model(CHARACTERS), CHARACTERS, tmp_path / "x.html", "T")
    with pytest.raises(InputError, match="layer_norm"):
        export_html(language_model(CHARACTERS, layer_norm=True), CHARACTERS, tmp_path / "x.html", TEXT)
    with pytest.raises(InputError, match="cannot save"):
        export_html(language_model(CHARACTERS), CHARACTERS, tmp_path / "no" / "x.html", TEXT)
    assert not list(tmp_path.iterdir())


CHINESE = CharTokenizer("".join(map(chr, range(0x4E00, 0x4E00 + 3744))))
CASES: dict[str, tuple[Tokenizer, str, dict[str, Any]]] = {
    "lstm": (CHARACTERS, "lstm", {"num_layers": 2}),
    "gru, bytes": (ByteTokenizer(), "gru", {"embedding_size": 7}),
    "rnn, tied": (CHARACTERS, "rnn", {"embedding_size": 12, "tie_weights": True}),
    "Chinese, V = 4,000": (CHINESE, "lstm", {"embedding_size": 16, "hidden_size": 16}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_page_writes_what_python_writes(browser: Any, case: str, tmp_path: Path) -> None:
    tokenizer, cell, options = CASES[case]
    integers = quantize(language_model(tokenizer, cell, **options), 8)
    (tmp_path / "writer.html").write_text(page(packed(integers, tokenizer)), encoding="utf-8")
    prime = "一丁" if tokenizer is CHINESE else "Time"
    tokens = 10_000 if cell == "lstm" else 2_000
    with opened(browser, tmp_path / "writer.html") as tab:
        tab.fill("#prime", prime)
        tab.fill("#seed", "20261123")
        dial(tab, "temperature", 130)
        dial(tab, "speed", 10)
        tab.click("#run")
        until(tab, f"longhold.page.writer.count >= {tokens}")
        tab.click("#run")
        count = tab.evaluate("longhold.page.writer.count")
        written = tab.locator("#written").evaluate("(e) => e.textContent")
    ids = tokenizer.encode(prime).tolist()
    expected, _ = by_python(integers, tokenizer, ids, count, 130, 20261123)
    assert len(set(expected)) > 20
    assert "\ufffd" not in expected
    assert written == expected


@pytest.mark.slow
@pytest.mark.parametrize("case", ["lstm", "Chinese, V = 4,000"])
def test_the_page_expects_what_python_expects(browser: Any, case: str, tmp_path: Path) -> None:
    tokenizer, cell, options = CASES[case]
    integers = quantize(language_model(tokenizer, cell, **options), 8)
    (tmp_path / "writer.html").write_text(page(packed(integers, tokenizer)), encoding="utf-8")
    ids = np.random.default_rng(3).integers(tokenizer.vocab_size, size=10_000)
    code = """async (ids) => {
      const stepper = new longhold.Stepper(longhold.packed);
      const digests = [];
      for (let begin = 0; begin < ids.length; begin += 100) {
        const all = ids.slice(begin, begin + 100).flatMap((id) => Array.from(stepper.step(id)));
        const digest = await crypto.subtle.digest("SHA-256", Int32Array.from(all).buffer);
        digests.push(Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join(""));
      }
      return digests;
    }"""
    with opened(browser, tmp_path / "writer.html") as tab:
        found = tab.evaluate(code, ids.tolist())
    stepper = IntegerStepper(integers)
    rows = np.stack([stepper.step(ids[k : k + 1])[0] for k in range(len(ids))])
    assert (rows.sum(1) == TOTAL).all()
    assert found == [hashlib.sha256(part.astype("<i4").tobytes()).hexdigest() for part in np.split(rows, 100)]


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, IntegerModel]:
    integers = quantize(language_model(CHARACTERS, num_layers=2), 8)
    path = tmp_path / "writer.html"
    path.write_text(page(packed(integers, CHARACTERS)), encoding="utf-8")
    return path, integers


def test_the_shares_shown_are_the_frequencies(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, integers = written
    with opened(browser, path) as tab:
        tab.fill("#prime", "The 😀")
        tab.click("#again")
        dial(tab, "temperature", 50)
        shown = tab.locator("#odds .share").all_inner_texts()
        tokens = [int(value) for value in tab.locator("#odds button").evaluate_all("(all) => all.map((b) => b.value)")]
    stepper = IntegerStepper(integers)
    for token in CHARACTERS.encode("The 😀"):
        stepper.step(np.array([token]))
    rule = CHARACTERS.continuations
    assert rule is not None
    frequencies = stepper.frequencies(50, rule.allowed(0))[0]
    assert tokens == np.argsort(-frequencies, kind="stable")[: len(tokens)].tolist()
    assert shown == [f"{100 * frequencies[token] / TOTAL:.1f} %" for token in tokens]


def test_amid_a_character_only_what_completes_it_is_offered(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    first = len(CHARACTERS.characters)
    with opened(browser, path) as tab:
        for byte in (0xF4, 0x8A, 0x80):
            tab.evaluate(f"longhold.page.one({first + byte})")
            buttons = tab.locator("#odds button").evaluate_all("(all) => all.map((b) => [b.value, b.style.visibility])")
            offered = [int(value) - first for value, visibility in buttons if visibility != "hidden"]
            assert offered
            assert set(offered) <= set(range(0x80, 0x90 if byte == 0xF4 else 0xC0))
            shares = tab.locator("#odds .share").all_inner_texts()[: len(offered)]
            assert byte != 0xF4 or sum(float(share.split()[0]) for share in shares) > 50
        tab.evaluate(f"longhold.page.one({first + ord('A')})")  # from a button of an earlier place
        assert tab.evaluate("longhold.page.writer.count") == 3
        tab.evaluate(f"longhold.page.one({first + 0x80})")
        assert tab.locator("#written").evaluate("(e) => e.textContent") == b"\xf4\x8a\x80\x80".decode()


def test_a_token_can_be_chosen_by_hand_and_by_keyboard(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    with opened(browser, path) as tab:
        text, decoder = "", CHARACTERS.stream()
        for rank in (0, 3):
            button = tab.locator("#odds button").nth(rank)
            text += decoder.push(int(button.get_attribute("value")))
            button.focus()
            tab.keyboard.press("Enter")
        assert tab.locator("#written").evaluate("(e) => e.textContent") == text
        assert tab.evaluate("longhold.page.writer.count") == 2
        tab.focus("#step")
        tab.keyboard.press("Space")
        assert tab.evaluate("longhold.page.writer.count") == 3
        assert tab.inner_text("#status") == "Paused after 3 tokens."


def test_strips_and_table_show_the_gates(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, integers = written
    with opened(browser, path) as tab:
        tab.fill("#prime", "Ti")
        tab.click("#again")
        tab.locator("canvas[tabindex]").nth(7).focus()  # of two layers with i f g o c h: the second's forget gate
        for key in ("End", "ArrowLeft", "ArrowLeft"):
            tab.keyboard.press(key)
        shown = tab.locator(".strip output").nth(7).inner_text()
        tab.locator("summary").nth(1).click()
        cells = tab.locator("details").nth(1).locator("td").all_inner_texts()
        name = tab.locator("canvas[tabindex]").nth(7).get_attribute("aria-label")
        tab.locator("canvas[tabindex]").nth(7).focus()
        tab.keyboard.press("ArrowDown")
        before = tab.locator(".strip output").nth(7).inner_text()
        tab.click("#step")
        tab.locator("canvas[tabindex]").nth(7).focus()
        after = tab.locator(".strip output").nth(7).inner_text()
    stepper = IntegerStepper(integers)
    for token in CHARACTERS.encode("Ti"):
        stepper.step(np.array([token]))
    view = stepper.gates()[1]
    assert shown == f"unit 9, now: {view.gates['f'][0, 9]:.3f}"
    assert name == "Layer 2, f, forget gate: 12 units, last 24 tokens; arrow keys read the numbers"
    columns = [view.gates[gate][0] for gate in "ifgo"] + [view.c[0], view.h[0]]
    assert cells == [f"{value:.3f}" for unit in zip(*columns, strict=True) for value in unit]
    assert before == "unit 9, 1 before: nothing yet"
    assert after == f"unit 9, 1 before: {view.gates['f'][0, 9]:.3f}"


def test_the_same_seed_begins_the_same_text(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    with opened(browser, path) as tab:

        def begun(seed: str) -> str:
            tab.fill("#seed", seed)
            tab.click("#again")
            tab.focus("#step")
            for _ in range(12):
                tab.keyboard.press("Enter")
            return str(tab.locator("#written").evaluate("(e) => e.textContent"))

        assert begun("7") == begun("7") != begun("8")
        for seed in ("", "-1", "1.5", "9007199254740992"):
            tab.fill("#seed", seed)
            tab.click("#run")
            assert tab.inner_text("#status").startswith("The seed must be an integer"), seed
            assert tab.inner_text("#run") == "Start"


def test_start_and_pause(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    with opened(browser, path) as tab:
        dial(tab, "speed", 0)
        tab.click("#run")
        until(tab, "longhold.page.writer.count >= 2")
        assert tab.inner_text("#run") == "Pause"
        tab.click("#run")
        count = tab.evaluate("longhold.page.writer.count")
        assert tab.inner_text("#status") == f"Paused after {count} tokens."
        tab.wait_for_timeout(1200)  # at this speed one more would have come
        assert tab.evaluate("longhold.page.writer.count") == count


LONG = "The Time Traveller (for so it will be convenient to speak of him) was expounding. " * 60
SLOW_CLOCK = "{ let clock = 0; performance.now = () => (clock += 10); }"  # as if the model were large
PRESS = "(name) => { document.getElementById(name).click(); return document.getElementById('run').textContent; }"


def test_a_long_prime_is_read_in_turns_and_to_the_same_end(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, integers = written
    prime = LONG[:800]
    with opened(browser, path) as tab:
        tab.evaluate(SLOW_CLOCK)
        tab.evaluate(
            "() => { const { writer } = longhold.page; const read = writer.read.bind(writer); globalThis.turns = [0];"
            "writer.read = (time) => { const over = read(time); turns.push(writer.done); return over; }; }"
        )
        tab.fill("#prime", prime)
        tab.fill("#seed", "5")
        assert tab.evaluate(PRESS, "step") == "Cancel"
        assert re.fullmatch(r"Reading: \d0? % of 800 tokens\.", tab.evaluate("document.all.status.textContent"))
        until(tab, "longhold.page.writer.count === 1")
        turns = tab.evaluate("turns")
        assert turns[-1] == 800
        assert 0 < max(after - before for before, after in pairwise(turns)) <= 20
        assert tab.inner_text("#run") == "Start"
        tab.focus("#step")
        for _ in range(7):
            tab.keyboard.press("Enter")
        text = tab.locator("#written").evaluate("(e) => e.textContent")
    assert text == by_python(integers, CHARACTERS, CHARACTERS.encode(prime).tolist(), 8, 80, 5)[0]


def test_a_reading_can_be_cancelled_and_begun_again(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, integers = written
    with opened(browser, path) as tab:
        tab.evaluate(SLOW_CLOCK)
        tab.fill("#prime", LONG[:4900])
        assert tab.evaluate(PRESS, "run") == "Cancel"
        tab.evaluate("longhold.page.one(0)")  # a token chosen meanwhile is not written
        assert tab.evaluate(PRESS, "run") == "Start"
        assert tab.inner_text("#status") == "Cancelled: nothing was read. Start reads it again."
        assert tab.evaluate("longhold.page.writer.count") == 0
        assert tab.locator("#primed").evaluate("(e) => e.textContent") == ""
        assert tab.evaluate(PRESS, "run") == "Cancel", "it reads again"
        tab.fill("#prime", "Time")
        tab.click("#again")  # and so does another prime
        tab.click("#step")
        assert tab.evaluate("longhold.page.writer.count") == 1
        text = tab.locator("#written").evaluate("(e) => e.textContent")
    assert text == by_python(integers, CHARACTERS, CHARACTERS.encode("Time").tolist(), 1, 80, 1)[0]


@pytest.mark.parametrize(
    "hostile",
    [
        "</script><img src=x onerror=alert(1)>",
        "<!-- \u2028 \u0000\u202e evil",
        "😀" * 100,
        "\x1b[2J\r\n\t",
        "x" * 1_000,
    ],
)
def test_hostile_text_stays_text(browser: Any, hostile: str, tmp_path: Path) -> None:
    words = WordTokenizer([" <b", "onerror"][1:])
    model = packed(quantize(language_model(words), 8), words, {"</script>": "<img src=x onerror=alert(1)>"})
    model["tokens"][256] = base64.b64encode(b"<img src=x onerror=alert(1)>").decode()
    (tmp_path / "writer.html").write_text(page(model), encoding="utf-8")
    with opened(browser, tmp_path / "writer.html") as tab:
        tab.fill("#prime", hostile)
        tab.click("#again")
        until(tab, "!longhold.page.reading")
        tab.evaluate("longhold.page.one(256)")
        assert tab.locator("#written").evaluate("(e) => e.textContent").endswith("<img src=x onerror=alert(1)>")
        assert tab.locator("img, #text script, #text b").count() == 0
        assert tab.locator("#primed").evaluate("(e) => e.textContent") == tab.locator("#prime").input_value()


def test_characters_without_a_token_are_told(browser: Any, tmp_path: Path) -> None:
    closed = CharTokenizer("abc ", fallback=False)
    (tmp_path / "writer.html").write_text(page(packed(quantize(language_model(closed), 8), closed)), encoding="utf-8")
    with opened(browser, tmp_path / "writer.html") as tab:
        tab.fill("#prime", "a z ab 字")
        tab.click("#run")
        assert tab.inner_text("#status").endswith("z 字")


def test_it_speaks_chinese_and_english(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    with opened(browser, path, locale="zh-CN") as tab:
        assert tab.inner_text("h1") == "会生成文本的小网络"
        assert tab.evaluate("document.documentElement.lang") == "zh-Hans"
        assert not re.search("[A-Za-z]{6,}", tab.inner_text("main").replace("English", ""))
        tab.click("[data-language=en]")
        assert tab.inner_text("h1") == tab.title() == "A small network that writes"
        assert not re.search("[一-鿿]", tab.inner_text("main"))


@pytest.mark.parametrize("width", [390, 320, 1200])
def test_nothing_runs_over_the_edge(browser: Any, written: tuple[Path, IntegerModel], width: int) -> None:
    path, _ = written
    with opened(browser, path, viewport={"width": width, "height": 800}) as tab:
        for locator in tab.locator("summary").all():
            locator.click()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        sizes = tab.locator("button").evaluate_all("(all) => all.map((b) => b.getBoundingClientRect().height)")
        assert min(sizes) >= 24


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser: Any, written: tuple[Path, IntegerModel], scheme: str) -> None:
    """WCAG AA: 4.5 to 1, for every colour of text on what is behind it."""
    path, _ = written
    with opened(browser, path, color_scheme=scheme) as tab:
        tab.click("#step")
        pairs = tab.evaluate(
            """() => Array.from(document.querySelectorAll("body *")).filter((e) =>
              e.checkVisibility() && Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim())
            ).map((e) => {
                const ink = getComputedStyle(e).color;
                let behind = e;
                while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
                return [ink, getComputedStyle(behind).backgroundColor];
              })"""
        )
        bar = tab.locator("#odds .bar").first.evaluate("(e) => getComputedStyle(e).backgroundColor")
    inks = {ink for ink, _ in pairs}
    assert len(inks) >= 2
    for ink, behind in [*{tuple(pair) for pair in pairs}, (pairs[0][0], bar)]:
        assert contrast(ink, behind) >= 4.5, (ink, behind)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_page_that_keeps_still_repaints_when_it_pauses(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    with opened(browser, path, reduced_motion="reduce") as tab:
        first = tab.locator("#odds .share").all_inner_texts()
        dial(tab, "speed", 6)
        tab.click("#run")
        until(tab, "longhold.page.writer.count > 2")
        assert tab.locator("#odds .share").all_inner_texts() == first
        tab.click("#run")
        assert tab.locator("#odds .share").all_inner_texts() != first


def test_everything_has_a_name_and_headings_go_in_order(browser: Any, written: tuple[Path, IntegerModel]) -> None:
    path, _ = written
    with opened(browser, path) as tab:
        named = tab.locator("button, input, textarea, canvas[tabindex], [role=region], [role=group]").evaluate_all(
            """(all) => all.map((e) => e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim()
              || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent)"""
        )
        headings = tab.locator("h1, h2, h3").evaluate_all("(all) => all.map((e) => Number(e.tagName[1]))")
    assert len(named) > 20
    assert None not in named
    assert "" not in named, named
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, written: tuple[Path, IntegerModel], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    path, _ = written
    with opened(browser, path, color_scheme=scheme) as tab:
        tab.click("#step")
        tab.locator("summary").first.click()
        found = axe.Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()
