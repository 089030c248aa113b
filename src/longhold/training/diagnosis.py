"""How a run goes, in plain words, from its evaluations."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, final

from longhold.training.report import Progress

Kind: TypeAlias = Literal["memorising", "learnt little", "improving", "level"]
"""What a diagnosis says; see `diagnose`."""

_RISE = 0.005
_STILL_FALLING = 0.01
_WORTH_SAYING = 2  # evaluations without a new best
_ENOUGH = 4  # evaluations that a run must have had for a word on its last quarter


class Reading(NamedTuple):
    """One evaluation of a run."""

    step: int
    """Steps taken before it."""
    loss: float
    """Training loss, smoothed, nats per token."""
    held_out: float
    """Held-out loss, nats per token."""


class Diagnosis(NamedTuple):
    """What is to be said of a run."""

    kind: Kind
    """What it is."""
    sentence: str
    """The same in words, with its figures."""


@dataclass(frozen=True)
class Scale:
    """What turns a run's numbers into those that people know."""

    characters_per_token: float
    """of the held-out text; bits per character are nats / ln 2 / this"""
    bytes_per_token: float
    """of the held-out text in UTF-8"""
    steps_per_epoch: int
    """steps in which the text is read once"""
    guess: float
    """held-out nats per token of a guess by how frequent each token is in the training text"""

    def bits(self, nats: float) -> float:
        """Bits per character."""
        return nats / math.log(2) / self.characters_per_token

    def bits_per_byte(self, nats: float) -> float:
        """Bits per byte of UTF-8."""
        return nats / math.log(2) / self.bytes_per_token

    def when(self, step: int) -> str:
        """`epoch 7`, or before the second epoch `step 40`."""
        return f"epoch {math.ceil(step / self.steps_per_epoch)}" if step > self.steps_per_epoch else f"step {step}"


def diagnose(readings: Sequence[Reading], scale: Scale, *, over: bool) -> Diagnosis | None:
    """What the evaluations of a run say, or None where they say nothing yet.

    In this order:
        memorising      held-out loss has risen by half a percent over at least two evaluations, and training loss fell
        learnt little   it is over, and held-out loss is no better than a guess by frequency
        improving       it is over, and over its last quarter the best held-out loss fell by a percent or more
        level           it is over, and it fell by less
    """
    if len(readings) < 2:
        return None
    best = min(readings, key=lambda reading: reading.held_out)
    last = readings[-1]
    since = sum(reading.step > best.step for reading in readings)
    if since >= _WORTH_SAYING and last.held_out > (1 + _RISE) * best.held_out and last.loss < best.loss:
        return Diagnosis("memorising", _memorising(best, last, scale, over))
    if not over:
        return None
    if best.held_out >= scale.guess:
        return Diagnosis(
            "learnt little",
            f"it has learnt little: held-out {scale.bits(best.held_out):.2f} bits per character, and how frequent each "
            f"character is gives {scale.bits(scale.guess):.2f}; it needs more time, or more text",
        )
    return _end(readings, best, scale) if len(readings) >= _ENOUGH else None


def _memorising(best: Reading, last: Reading, scale: Scale, over: bool) -> str:
    figures = f"{scale.bits(best.held_out):.2f} to {scale.bits(last.held_out):.2f} bits per character"
    ended = "was" if over else "is"
    return (
        f"it is memorising: held-out has risen since {scale.when(best.step)} ({figures}) while it learns the training "
        f"text ({scale.bits(last.loss):.2f}); the best {ended} kept"
    )


def _end(readings: Sequence[Reading], best: Reading, scale: Scale) -> Diagnosis:
    last = readings[-1]
    before = [reading.held_out for reading in readings if reading.step <= 0.75 * last.step] or [readings[0].held_out]
    fall = 1 - best.held_out / min(before)
    bits = f"held-out {scale.bits(best.held_out):.2f} bits per character"
    if fall >= _STILL_FALLING:
        return Diagnosis("improving", f"still improving: {bits}, {fall:.1%} less than a quarter of the run ago")
    return Diagnosis(
        "level",
        f"it has levelled off: {bits}, {max(fall, 0):.1%} less than a quarter of the run ago; a larger model or more "
        "text would bring more than time",
    )


@final
class Watch:
    """An `on_progress` that collects evaluations, says what they mean, and passes reports on with that and a scale."""

    def __init__(
        self,
        scale: Scale,
        interval: int,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_note: Callable[[str], None],
        earlier: Sequence[Reading] = (),
    ) -> None:
        """Watch a run.

        Args:
            scale: of its text.
            interval: steps between two evaluations.
            on_progress: who else wants the reports.
            on_note: who wants the sentences.
            earlier: evaluations of a run that goes on; those beyond the step where it does so are left out.
        """
        self.scale, self._interval = scale, interval
        self._on_progress, self._on_note = on_progress, on_note
        self._earlier = earlier
        self.readings: list[Reading] = []
        self._said: Kind | None = None
        self._said_at = 0

    def __call__(self, progress: Progress) -> None:
        """Take a report."""
        self._take_earlier(progress.step)
        evaluated = progress.step % self._interval == 0 or progress.step == progress.steps
        newer = not self.readings or progress.step > self.readings[-1].step
        if progress.held_out is not None and evaluated and newer:
            self.readings.append(Reading(progress.step, progress.smoothed, progress.held_out))
            self._say(diagnose(self.readings, self.scale, over=False))
        if self._on_progress is not None:
            scale = self.scale
            self._on_progress(
                replace(
                    progress,
                    characters_per_token=scale.characters_per_token,
                    bytes_per_token=scale.bytes_per_token,
                    diagnosis=self._said,
                )
            )

    def end(self) -> Diagnosis | None:
        """The last word on a run that is over; said, unless the last evaluation said it already."""
        self._take_earlier(None)
        found = diagnose(self.readings, self.scale, over=True)
        if found is not None and (found.kind, self.readings[-1].step) != (self._said, self._said_at):
            self._on_note(found.sentence)
        return found

    def _take_earlier(self, step: int | None) -> None:
        self.readings += [reading for reading in self._earlier if step is None or reading.step < step]
        self._earlier = ()

    def _say(self, found: Diagnosis | None) -> None:
        if found is not None and found.kind != self._said:
            self._said_at = self.readings[-1].step
            self._on_note(found.sentence)
        self._said = None if found is None else found.kind
