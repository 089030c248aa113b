"""What models of text came to, on the page."""

import re

import pytest

from longhold.study.report import render_markdown, render_page, study_document
from longhold.study.report.axis import axis_from_zero
from longhold.study.report.plots import value_scale, value_strip
from longhold.study.report.writing import train_perplexity
from tests.study.columns import row_of
from tests.study.report.pages import Page, markdown_page
from tests.study.tiny import row, spec

HOSTILE = "</script><script>alert(1)</script><img src=x>\n\n    # {{ 7*7 }} `*|`\x1b[31m\u202e却说"


def writing(bits: float, sample: str = "it was so") -> dict[str, object]:
    return {
        "bits": bits, "characters": 17_898, "frequency_bits": 4.4412, "ngram_bits": 2.1391, "xz_bits": 2.6352,
        "xz_alone_bits": 3.4763, "best_step": 120, "prime": "the machine\nstood", "temperature": 0.8, "sample": sample,
    }  # fmt: skip


def rows(seeds: int = 1, sample: str = "it was so") -> list[dict[str, object]]:
    made = []
    for cell, bits in (("rnn", 2.25), ("lstm", 2.5)):
        for seed in range(seeds):
            values = row(spec(cell=cell, seed=seed)).to_json()
            told = {"writing": writing(bits + 0.01 * seed, sample), "curve": [(150, 1.25, 0.6)], "vary": None}
            made.append({**values, **told, "experiment": "book.txt", "protocol": "text", "level": None, "lag": None})
    return made


def page(found: list[dict[str, object]]) -> Page:
    return Page(render_page(study_document(map(row_of, found), None, "command")))


def test_bits_of_every_arm_and_rival_stand_together() -> None:
    shown = page(rows(3))
    (numbers,) = [table for table in shown.numbers() if "training perplexity, mean" in table[0]]
    assert numbers[1:] == [
        ["rnn uniform", "900", "150, 120", "3.49", "2.260", "2.250, 2.260, 2.270"],
        ["lstm uniform", "900", "150, 120", "3.49", "2.510", "2.500, 2.510, 2.520"],
        ["n-gram of order 6", "", "", "", "2.139", ""],
        ["xz after training", "", "", "", "2.635", ""],
        ["xz alone", "", "", "", "3.476", ""],
        ["token frequencies", "", "", "", "4.441", ""],
    ]
    titles = [title for title in shown.titles if "bits" in title]
    assert len(titles) == 6 + 4
    assert "rnn uniform · bits = 2.270" in titles
    assert "first 17,898 characters" in shown.words()
    assert "2.260, mean of 3 seeds from 2.250 to 2.270" in shown.words()


def test_a_rate_that_falls_is_told() -> None:
    fallen = [{**values, "spec": {**values["spec"], "final_fraction": 0.05}} for values in rows()]  # type: ignore[dict-item]
    assert "learning rate 0.02, falling to 0.05 of it; 1 seed" in page(fallen).words()
    assert "learning rate 0.02; 1 seed" in page(rows()).words()


def test_a_text_is_learnt_and_not_solved() -> None:
    words = page(rows()).words()
    for absent in ("Results of each seed", "Time to solve", "seeds that solve", "text horizon"):
        assert absent not in words
    assert "2.250 (1 seed)" in words
    assert "Learning curves" in words
    assert "some arms have only 1 seed, a claim needs 10" in words


@pytest.mark.parametrize(("seeds", "told"), [(9, True), (10, False)])
def test_enough_seeds_are_not_called_few(seeds: int, told: bool) -> None:
    assert ("a claim needs 10" in page(rows(seeds)).words()) == told


def test_each_arm_has_a_sample_after_the_same_words() -> None:
    text = render_page(study_document(map(row_of, rows(2)), None, "command"))
    assert text.count("<b>the machine\nstood</b>it was so</p>") == 2
    assert "“the machine stood”, at temperature 0.8" in Page(text).words()


def test_what_a_model_writes_does_no_harm_and_nothing_of_it_is_lost() -> None:
    document = study_document(map(row_of, rows(sample=HOSTILE)), None, "command")
    text, written = render_page(document), render_markdown(document)
    shown = Page(text)
    for known in (shown, markdown_page(written)):
        assert not {"script", "img"} & set(known.tags)
        assert known.words().count("alert(1)") >= 2
        assert "{{ 7*7 }} `*|`" in known.words()
        assert "却说" in known.words()
    assert not set("\x1b\u202e") & set(text + written)
    assert r"\x1b[31m\u202e却说" in shown.words()


def test_without_a_model_that_wrote_bits_are_those_of_its_tests() -> None:
    found = [{**values, "writing": None, "score": 2.125} for values in rows()]
    words = page(found).words()
    assert "bits per token, held out" in words
    assert "2.125 (1 seed)" in words
    assert "What they write" not in words


def test_a_strip_has_a_sign_for_each_value_and_a_stem_to_their_mean() -> None:
    axis = axis_from_zero([1.0, 4.0])
    drawn = value_strip([1.0, 3.0], ["one", "three"], axis, "gru")
    assert re.findall(r'<svg class="free" x="([\d.]+)%"', drawn) == [f"{3 + 94 * v / 4:.2f}" for v in (1, 3)]
    assert f'x1="3.00%" x2="{3 + 94 * 2 / 4:.2f}%"' in drawn
    assert re.findall("<title>(.*?)</title>", drawn) == ["one", "three"]
    assert re.findall(">([0-9.]+)</text>", value_scale(axis)) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([2.1, 4.4], [0, 1, 2, 3, 4, 5]),
        ([0.31], [0, 0.1, 0.2, 0.3, 0.4]),
        ([7.9, 1.0], [0, 2, 4, 6, 8]),
        ([5.0], [0, 1, 2, 3, 4, 5]),
        ([0.0], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([120.0, 90.0], [0, 50, 100, 150]),
    ],
)
def test_an_axis_begins_at_0_and_has_ticks_that_a_person_would_choose(values: list[float], ticks: list[float]) -> None:
    axis = axis_from_zero(values)
    assert list(axis.ticks) == pytest.approx(ticks)
    assert (axis.fraction(0.0), axis.fraction(axis.high)) == (0.0, 1.0)


def test_a_loss_beyond_the_floats_is_no_error() -> None:
    assert train_perplexity([(1, 9.0, 0.0), (2, 0.0, 0.0)]) == 1.0
    assert train_perplexity([(1, 1e9, 0.0)]) == float("inf")
