"""What is shown, at a terminal and elsewhere, and what a sample can not do to either."""

from __future__ import annotations

import io
import math
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from longhold.training import Progress, ProgressDisplay, printable

AT_40 = Progress(
    step=40,
    steps=100,
    loss=1.5,
    smoothed=2 * math.log(2),
    tokens_per_second=12345.6,
    seconds=9.0,
    eta_seconds=3661.0,
    held_out=3 * math.log(2),
    lr=1e-3,
    grad_norm=0.5,
)


def shown(*reports: Progress, terminal: bool, characters_per_token: float | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    with ProgressDisplay(console, characters_per_token=characters_per_token) as display:
        for report in reports:
            display(report)
    return stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_figures(terminal: bool) -> None:
    text = shown(AT_40, terminal=terminal)
    for figure in (
        "40/100",
        "loss 1.386",
        "2.000 bits per character",
        "held-out 3.000",
        "12,346 tokens/s",
        "1:01:01 left",
    ):
        assert figure in text
    halved = shown(AT_40, terminal=terminal, characters_per_token=2.0)
    assert "1.000 bits per character" in halved
    assert "held-out 1.500" in halved
    assert "per byte" not in text + halved


@pytest.mark.parametrize("terminal", [False, True])
def test_reports_may_bring_their_own_scale(terminal: bool) -> None:
    chinese = replace(AT_40, characters_per_token=0.8, bytes_per_token=2.4)
    text = shown(chinese, terminal=terminal)
    for figure in ("2.500 bits per character", "held-out 3.750 (1.250 per byte)"):
        assert figure in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_sample_is_text_and_nothing_else(terminal: bool) -> None:
    sample = "[bold]no[/bold] [/] \x1b[31mred \x9b0m \x07 \r \u202eback [link=x]y"
    text = shown(replace(AT_40, sample=sample), terminal=terminal)
    assert r"[bold]no[/bold] [/] \x1b[31mred \x9b0m \x07 \r \u202eback [link=x]y" in text.replace("\n", "")
    if not terminal:
        assert "\x1b" not in text


def test_without_a_terminal_lines_are_few() -> None:
    reports = [replace(AT_40, step=step, held_out=None) for step in range(1, 100)]
    lines = shown(*reports, terminal=False).splitlines()
    assert len(lines) == 1
    reports += [replace(AT_40, step=100)]
    assert len(shown(*reports, terminal=False).splitlines()) == 2
    news = [replace(AT_40, step=1), replace(AT_40, step=2, held_out=1.0), replace(AT_40, step=3, held_out=1.0)]
    assert len(shown(*news, terminal=False).splitlines()) == 2


def test_a_terminal_keeps_the_last_samples() -> None:
    reports = [replace(AT_40, step=step, sample=f"sample {step}.") for step in range(1, 6)]
    last = shown(*reports, replace(AT_40, step=6), terminal=True).rsplit("step 6/100", maxsplit=1)[-1]
    assert [f"sample {step}." in last for step in range(1, 6)] == [False, False, True, True, True]


def test_lines_are_not_wrapped_or_long_samples_shown_whole() -> None:
    text = shown(replace(AT_40, sample="x" * 1000), terminal=False)
    assert len(text.splitlines()) == 2
    assert text.count("x") == 400


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_leaves_nothing_that_steers(text: str) -> None:
    found = printable(text)
    kept = [c for c in found if c not in "\n\t\u200c\u200d"]
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in kept)
    found.encode()  # no lone surrogate is left
    assert printable(found) == found


def test_printable_keeps_what_is_text() -> None:
    assert printable("naïve 时间机器\n\tनमस्ते 👩‍🚀 \\") == "naïve 时间机器\n\tनमस्ते 👩‍🚀 \\"
    assert printable("a\x00b\x7f\u2028\ud800") == "a\\x00b\\x7f\\u2028\\ud800"
