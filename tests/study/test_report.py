import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

from longhold.errors import InputError
from longhold.study import wording
from longhold.study.report import render_page, render_table, write_report
from tests.study.made_up import cell_rows, comparison, recall_rows

VOID = {"meta", "link", "img", "br", "hr", "input"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


class Page(HTMLParser):
    """The elements, attributes and text of a page; complains when the elements do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def every_number(made):
    for row in made.cells:
        yield from map(wording.whole, (row.hidden_size, row.tokens))
    yield from every_number_of_the_table(made)


def every_number_of_the_table(made):
    for row in made.cells:
        yield from map(wording.whole, (row.parameters, row.steps, row.tokens_per_second))
        yield wording.perplexity(row.train_perplexity)
        yield wording.bits(row.held_out_bits)
    for row in made.baselines:
        yield wording.bits(row.bits_per_character)
    for row in made.recall:
        yield wording.recall(row)


def test_the_page_shows_each_number_of_the_rows():
    made = comparison()
    words = Page(render_page(made)).words
    for number in every_number(made):
        assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d])", words), number
    for row in made.cells:
        for point in row.curve:
            assert wording.bits(point.bits_per_character) in words
            assert wording.seconds(point.seconds) in words
        assert " ".join(row.sample.split()) in words
        assert wording.seconds(row.seconds) in words
    for row in made.recall:
        assert f"({wording.whole(row.steps)})" in words


@pytest.mark.parametrize(
    "said",
    [
        "n = 3 seeds", "One run per cell", "trained at each lag", "mixture of short and long lags",
        "at most 1,234 steps",
        "2 cores", "torch 2.13.0+cpu", "Some Processor 9000", "longhold compare timemachine --budget 180s",
        "read as latin-1", "seed 3", "the loss became non-finite in step 12", "learning rate 0.003 for every row",
        "the machine ",
    ],
)  # fmt: skip
def test_the_page_says(said):
    assert said.strip() in Page(render_page(comparison())).words


def test_nobody_wins():
    assert not re.search(r"\b(winner|wins|best cell|beats)\b", Page(render_page(comparison())).words, re.IGNORECASE)


def test_the_page_loads_nothing_and_runs_nothing():
    text = render_page(comparison())
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "audio", "video"} & set(page.tags)
    names = {name for _, name, _ in page.attributes}
    assert not {"src", "href", "style", "srcset", "action", "xlink:href"} & names
    assert not any(name.startswith("on") for name in names)
    assert "://" not in text
    assert not re.search(r"@import|url\(", text)


def test_the_policy_allows_the_one_style_sheet_and_nothing_else():
    text = render_page(comparison())
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = next(v for tag, name, v in Page(text).attributes if name == "content" and "default-src" in v)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert text.index('charset="utf-8"') < 200


def hostile():
    cells = tuple(replace(row, sample=HOSTILE) for row in cell_rows())
    made = comparison(cells=cells, prompt=HOSTILE, command=HOSTILE)
    return replace(made, source=replace(made.source, name=HOSTILE, notes=(HOSTILE,)))


def test_hostile_names_and_texts_do_no_harm():
    page = Page(render_page(hostile()))
    assert not {"script", "img"} & set(page.tags)
    assert page.words.count("alert(1)") == 11  # title, heading, text, note, command; prompt and sample 3 times
    assert "{{ 7*7 }}" in page.words


def test_control_characters_become_visible():
    cells = tuple(replace(row, sample="a\x00b\x1b[31mc\u202ed\ud800") for row in cell_rows())
    text = render_page(comparison(cells=cells))
    text.encode()
    assert not set("\x00\x1b\u202e") & set(text)
    assert r"a\x00b\x1b[31mc\u202ed\ud800" in text


def test_chinese_stays_text():
    cells = tuple(replace(row, sample="却说宝玉") for row in cell_rows())
    assert Page(render_page(comparison(cells=cells))).words.count("却说宝玉") == 3


def test_series_differ_by_shape_and_not_by_colour_alone():
    text = render_page(comparison())
    shapes = {}
    for name, shape in re.findall(r'<path class="mark (rnn|gru|lstm|baseline)" d="([^"]+)"', text):
        shapes.setdefault(name, set()).add(shape)
    assert set(shapes) == {"rnn", "gru", "lstm", "baseline"}
    assert len(set.union(*shapes.values())) == 4


def test_each_recall_run_has_its_own_dot():
    text = render_page(comparison())
    tips = re.findall(r"<title>([^<]*, seed \d: recall [^<]*)</title>", text)
    assert len(tips) == len(set(tips)) == len(recall_rows())
    assert "RNN uniform, lag 32, seed 2: recall failed after 75 steps" in tips


def test_without_recall_the_page_does_not_speak_of_it():
    words = Page(render_page(comparison(recall=()))).words
    assert "symbol" not in words
    assert "Chrono" not in words


def test_one_cell_evaluated_once_still_makes_a_page():
    row = replace(cell_rows()[0], curve=cell_rows()[0].curve[:1])
    words = Page(render_page(comparison(cells=(row,)))).words
    assert "RNN on timemachine" in words
    assert "Learning" not in words


def test_the_table_shows_the_same_numbers():
    made = comparison()
    console = Console(width=80, record=True, file=StringIO())
    console.print(render_table(made))
    shown = console.export_text()
    for number in every_number_of_the_table(made):
        assert number in shown
    assert "n = 3 seeds" in " ".join(shown.split())


def test_the_table_does_not_obey_a_hostile_name():
    made = comparison()
    console = Console(width=150)
    with console.capture() as capture:
        console.print(render_table(replace(made, source=replace(made.source, name="[red]x[/red]\x1b[2J"))))
    assert "[red]x[/red]" in capture.get()
    assert "\x1b[2J" not in capture.get()


def test_the_file_is_what_was_rendered_or_is_not_written(tmp_path):
    path = write_report(comparison(), tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == render_page(comparison())
    with pytest.raises(InputError, match="nothing was written"):
        write_report(comparison(), tmp_path / "no folder" / "page.html")
