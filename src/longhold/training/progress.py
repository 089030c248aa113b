"""What a person sees while a model trains."""

import math
import time
import unicodedata
from collections import deque
from typing import Self, final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from longhold.training.report import Progress

_LINE_SECONDS = 10.0
_KEPT_SAMPLES = 3
_SAMPLE_LENGTH = 400
_SAME_UNIT = 5e-4  # bytes beyond one for a character, below which both figures are the same
_JOINERS = {"\u200c", "\u200d"}  # zero width, but part of how some scripts and emoji are written


def printable(text: str) -> str:
    """The text with whatever could steer a terminal or reorder a line written as an escape such as `\\x1b`.

    Line feeds, tabs and the zero-width joiners stay.
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return character.encode("unicode_escape").decode("ascii")
    return character


@final
class ProgressDisplay:
    """The `on_progress` of `train`: a live bar with the last samples at a terminal, plain lines elsewhere.

    Example:
        with ProgressDisplay() as display:
            train(model, batches, config, on_progress=display, sample=write)
    """

    def __init__(self, console: Console | None = None, *, characters_per_token: float | None = None) -> None:
        """Show on `console`; by default one on standard error.

        Args:
            console: a rich console.
            characters_per_token: to give bits per character for any tokenizer; None: as in the reports.
        """
        self._console = console if console is not None else Console(stderr=True)
        self._characters = characters_per_token
        self._samples: deque[tuple[int, str]] = deque(maxlen=_KEPT_SAMPLES)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._printed_at = -math.inf
        self._printed_held_out: float | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show where the run stands."""
        if progress.sample is not None:
            self._samples.append((progress.step, printable(progress.sample)[:_SAMPLE_LENGTH]))
        if self._live is not None:
            self._live.update(self._picture(progress), refresh=True)
        else:
            self._print(progress)

    def _figures(self, progress: Progress) -> str:
        characters = progress.characters_per_token if self._characters is None else self._characters
        bits = 1 / math.log(2) / characters
        parts = [
            f"loss {progress.smoothed:.3f}",
            f"{progress.smoothed * bits:.3f} bits per character",
            f"{progress.tokens_per_second:,.0f} tokens/s",
            f"{_clock(progress.eta_seconds)} left",
        ]
        if progress.held_out is not None:
            parts.insert(2, f"held-out {progress.held_out * bits:.3f}{self._per_byte(progress)}")
        return "  ".join(parts)

    def _per_byte(self, progress: Progress) -> str:
        wide = progress.bytes_per_token / progress.characters_per_token
        if progress.held_out is None or self._characters is not None or abs(wide - 1) < _SAME_UNIT:
            return ""
        return f" ({progress.held_out / math.log(2) / progress.bytes_per_token:.3f} per byte)"

    def _picture(self, progress: Progress) -> RenderableType:
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1)
        bar.add_row(
            Text(f"step {progress.step:,}/{progress.steps:,}"),
            ProgressBar(total=progress.steps, completed=progress.step),
        )
        samples = [Text.assemble((f"step {step:,}  ", "dim"), text) for step, text in self._samples]
        return Group(bar, Text(self._figures(progress)), *samples)

    def _print(self, progress: Progress) -> None:
        now = time.monotonic()
        news = progress.held_out != self._printed_held_out or progress.step == progress.steps
        if news or now - self._printed_at >= _LINE_SECONDS:
            self._printed_at, self._printed_held_out = now, progress.held_out
            self._line(f"step {progress.step}/{progress.steps}  {self._figures(progress)}")
        if progress.sample is not None:
            self._line(f"step {progress.step} writes: {self._samples[-1][1]}")

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def _clock(seconds: float) -> str:
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
