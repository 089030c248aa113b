import math

import pytest

from longhold.study.report import render_markdown
from longhold.study.report.document import Cell, Code, Document, Paragraph, Section, Table
from longhold.study.report.localized import LocalizedText, counted, exact, listed, recall, short, spread, steps
from tests.study.report.pages import markdown_page


def test_both_languages_are_filled_in():
    assert LocalizedText("{} of {}", "{} / {}").format(3, LocalizedText("seeds", "种子")) == LocalizedText(
        "3 of seeds", "3 / 种子"
    )
    assert LocalizedText.same("a{}").format("{}") == LocalizedText("a{}", "a{}")
    assert listed(["a", LocalizedText("b", "乙")]) == LocalizedText("a, b", "a、乙")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.999, "1.00"), (-0.001, "0.00"), (0.125, "0.12"), (-0.1, "-0.10"), (-4.18345e33, "-4.18e+33")],
)
def test_recalls_have_two_digits(value, shown):
    assert recall(value) == LocalizedText.same(shown)


def test_a_run_that_failed_has_no_recall():
    assert recall(None) == LocalizedText("failed", "失败")


def test_numbers():
    assert (short(0.00031), short(1234.5), spread([0.001, 0.01]), spread([3, 3])) == (
        "0.00031",
        "1,234",
        "0.001–0.01",
        "3",
    )
    assert (exact([7024, 7081]), exact([5]), steps(math.inf), steps(1500.4)) == ("7,024–7,081", "5", "–", "1,500")
    assert counted(1, "seed", "seeds", "个种子").en == "1 seed"
    assert counted(1200, "seed", "seeds", "个种子").en == "1,200 seeds"


@pytest.mark.parametrize(
    "text",
    [
        "a|b",
        "*a* _b_ `c`",
        "[x](y) ![i](j)",
        "<b>&amp;</b>",
        "# no heading\nnew line",
        "1 < 2 & 3 > 2",
        "a\\|b",
        "$x$ ~y~",
    ],
)
def test_markdown_shows_a_text_as_it_is(text):
    table = Table(LocalizedText.same("t"), ("head", Cell(LocalizedText.same("n"), number=True)), ((text, "1"),))
    blocks = (Paragraph(LocalizedText.same(text)), table, Code("x"))
    page = markdown_page(
        render_markdown(Document(*[LocalizedText.same(text)] * 3, (), (Section(LocalizedText.same("s"), blocks),)))
    )
    plain = " ".join(text.split())
    assert page.tables[0][1] == [plain, "1"]
    assert page.words().count(plain) == 10
    assert not {"b", "em", "a", "img"} & set(page.tags)
