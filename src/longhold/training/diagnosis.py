"""A diagnosis of a run from its evaluations, as a sentence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, final

from longhold.training.report import Progress

Kind: TypeAlias = Literal["overfitting", "diverged", "short", "learned little", "improving", "annealed", "level"]
"""Kinds of diagnosis; see `diagnose`."""

FEW_STEPS = 100
"""Steps below which a network has hardly learned more than token frequencies, so that no diagnosis is made."""

_RISE = 0.005
_STILL_FALLING = 0.01
_NO_BETTER = 0.97  # of the loss of a guess by frequency, in which each token counts once more than it stands
_RISING = 2  # evaluations without a new best
_ENOUGH = 4  # evaluations that a run must have had to diagnose its last quarter
_LOW = 0.5  # of the highest learning rate
_NOTHING = 0.005  # bits per character, which round to 0.00


class Reading(NamedTuple):
    """One evaluation of a run."""

    step: int
    """Steps taken before it."""
    loss: float
    """Training loss, smoothed, nats per token."""
    held_out: float
    """Held-out loss, nats per token."""
    lr: float
    """Learning rate of the last step."""


class Diagnosis(NamedTuple):
    """A diagnosis of a run."""

    kind: Kind
    """What it is."""
    sentence: str
    """The same as a sentence, with its figures."""


@dataclass(frozen=True)
class Scale:
    """What converts a run's numbers into the usual units."""

    characters_per_token: float
    """of the held-out text; bits per character are nats / ln 2 / this"""
    bytes_per_token: float
    """of the held-out text in UTF-8"""
    steps_per_epoch: int
    """steps in which the text is read once"""
    guess: float
    """held-out nats per token of a guess by how frequent each token is in the training text"""
    chance: float = math.inf
    """nats per token of a uniform guess, or of that by frequency where it is worse"""

    def bits(self, nats: float) -> float:
        """Bits per character."""
        return nats / math.log(2) / self.characters_per_token

    def nats(self, bits: float) -> float:
        """Nats per token of bits per character."""
        return bits * math.log(2) * self.characters_per_token

    def passes(self, steps: int) -> str:
        """`9.3 passes`: how often the text is read in so many steps."""
        return passes(steps, self.steps_per_epoch)

    def bits_per_byte(self, nats: float) -> float:
        """Bits per byte of UTF-8."""
        return nats / math.log(2) / self.bytes_per_token

    def when(self, step: int) -> str:
        """`epoch 7`, or before the second epoch `step 40`."""
        return f"epoch {math.ceil(step / self.steps_per_epoch)}" if step > self.steps_per_epoch else f"step {step}"


def passes(steps: int, per_pass: int) -> str:
    """`1 pass`, `9.3 passes`, `247 passes`: how often a text is read in `steps` steps, at so many a pass."""
    count = steps / max(1, per_pass)
    figure = f"{count:,.0f}" if count >= 20 else f"{count:.2g}" if count < 1 else f"{count:.1f}".removesuffix(".0")
    return f"{figure} pass" if figure == "1" else f"{figure} passes"


def diagnose(readings: Sequence[Reading], scale: Scale, *, over: bool, stopped_early: bool = False) -> Diagnosis | None:
    """Returns the diagnosis of a run from its evaluations, or None where there is none yet.

    In this order:
        overfitting     held-out loss has risen by half a percent over at least two evaluations, and training loss fell
        diverged        it is over, and both have risen since the best evaluation, over at least two
        short           it is over after fewer than 100 steps, which is too few to tell, and did not stop early
                        (or, if nothing before "annealed" holds, the text was not read once)
        learned little  it is over, and held-out loss is no better than a guess by frequency
        improving       it is over, and over its last quarter the best held-out loss fell by a percent or more
        annealed        it is over, and it fell by less in the last quarter, when the learning rate was low, but by more
                        since half of the run
        level           it is over, and it fell by less
    """
    if not readings:
        return None
    best, last = min(readings, key=lambda reading: reading.held_out), readings[-1]
    since = sum(reading.step > best.step for reading in readings)
    rise = last.held_out - best.held_out
    if since >= _RISING and rise > max(_RISE * best.held_out, scale.nats(_NOTHING)):
        if last.loss < best.loss:
            return Diagnosis("overfitting", _overfitting(best, last, scale, over))
        if over and last.loss > (1 + _RISE) * best.loss:
            return Diagnosis("diverged", _risen(best, last, scale))
    if over and last.step < FEW_STEPS and not stopped_early:
        return Diagnosis("short", _short(best, last, scale))
    return _end(readings, best, scale) if over else None


def _overfitting(best: Reading, last: Reading, scale: Scale, over: bool) -> str:
    ended = "was" if over else "is"
    return (
        f"overfitting: held-out loss has risen since {scale.when(best.step)} ({_from_to(best, last, scale)}) while "
        f"training loss falls ({scale.bits(last.loss):.2f}); the best {ended} kept"
    )


def _risen(best: Reading, last: Reading, scale: Scale) -> str:
    return (
        f"diverged: held-out and training loss have both risen since {scale.when(best.step)} "
        f"({_from_to(best, last, scale)}); the best was kept; a lower learning rate than {best.lr:.2g} may do better"
    )


def _short(best: Reading, last: Reading, scale: Scale) -> str:
    return f"too short to tell: {_read(last, scale)}; {_held_out(best, scale)}; longer training may help"


def _read(last: Reading, scale: Scale) -> str:
    steps = "1 step" if last.step == 1 else f"{last.step:,} steps"
    return f"{steps}, {scale.passes(last.step)} over the text"


def _held_out(best: Reading, scale: Scale) -> str:
    return f"held-out {scale.bits(best.held_out):.2f} bits per character"


def _from_to(best: Reading, last: Reading, scale: Scale) -> str:
    return f"{scale.bits(best.held_out):.2f} to {scale.bits(last.held_out):.2f} bits per character"


def _end(readings: Sequence[Reading], best: Reading, scale: Scale) -> Diagnosis | None:
    """Returns the diagnosis of a run that is over and got no worse."""
    last, held_out = readings[-1], _held_out(best, scale)
    if best.held_out < scale.nats(_NOTHING):
        return Diagnosis("level", f"leveled off: {held_out}, nothing is left to learn")
    if best.held_out >= _NO_BETTER * scale.guess:
        return Diagnosis("learned little", _learned_little(readings, held_out, scale))
    if len(readings) < _ENOUGH:
        return None
    fall = _fall(readings, 0.75)
    if fall >= _STILL_FALLING:
        return Diagnosis("improving", f"still improving: {held_out}, {fall:.1%} less than a quarter of the run ago")
    if last.step < scale.steps_per_epoch:
        return Diagnosis("short", _short(best, last, scale))
    highest = max(reading.lr for reading in readings)
    less = f"{held_out}, {max(fall, 0):.1%} less than a quarter of the run ago"
    if last.lr < _LOW * highest and _fall(readings, 0.5) >= _STILL_FALLING:
        end = f"the learning rate schedule had ended ({last.lr:.2g} of {highest:.2g}) after {_read(last, scale)}"
        return Diagnosis("annealed", f"{end}: {less}; longer training may help")
    return Diagnosis("level", f"leveled off: {less}; a larger model or more text would help more than time")


def _learned_little(readings: Sequence[Reading], held_out: str, scale: Scale) -> str:
    highest = max(reading.lr for reading in readings)
    flat = "" if _fall(readings, 0.75) >= _STILL_FALLING else "leveled off at "
    return (
        f"learned little: {flat}{held_out}, no better than how frequent each character is "
        f"({scale.bits(scale.guess):.2f}); the text may have no other pattern, or the settings (learning rate "
        f"{highest:.2g}) do not suit it"
    )


def _fall(readings: Sequence[Reading], fraction: float) -> float:
    """Returns the relative decrease of the best held-out loss since this fraction of the run."""
    earlier = [reading.held_out for reading in readings if reading.step <= fraction * readings[-1].step]
    return 1 - min(reading.held_out for reading in readings) / min(earlier or [readings[0].held_out])


@final
class Watch:
    """An `on_progress` that collects evaluations, notes the diagnosis, and passes reports on with it and a scale."""

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
            on_progress: called with each report.
            on_note: called with each sentence.
            earlier: evaluations of a run that resumes; those beyond the step where it does so are left out.
        """
        self.scale, self._interval = scale, interval
        self._on_progress, self._on_note = on_progress, on_note
        self._earlier = earlier
        self.readings: list[Reading] = []
        self._noted: Kind | None = None
        self._noted_at = 0

    def __call__(self, progress: Progress) -> None:
        """Collect the evaluation of a report, if it has a new one, and pass the report on."""
        self._take_earlier(progress.step)
        evaluated = progress.step % self._interval == 0 or progress.step == progress.steps
        newer = not self.readings or progress.step > self.readings[-1].step
        if progress.held_out is not None and evaluated and newer:
            self.readings.append(Reading(progress.step, progress.smoothed, progress.held_out, progress.lr))
            self._note(diagnose(self.readings, self.scale, over=False))
        if self._on_progress is not None:
            scale = self.scale
            self._on_progress(
                replace(
                    progress,
                    characters_per_token=scale.characters_per_token,
                    bytes_per_token=scale.bytes_per_token,
                    diagnosis=self._noted,
                )
            )

    def end(self, *, stopped_early: bool = False) -> Diagnosis | None:
        """Note the diagnosis of a run that is over, unless the last evaluation gave the same; returns it."""
        self._take_earlier(None)
        found = diagnose(self.readings, self.scale, over=True, stopped_early=stopped_early)
        if found is not None and (found.kind, self.readings[-1].step) != (self._noted, self._noted_at):
            self._on_note(found.sentence)
        return found

    def _take_earlier(self, step: int | None) -> None:
        self.readings += [reading for reading in self._earlier if step is None or reading.step < step]
        self._earlier = ()

    def _note(self, found: Diagnosis | None) -> None:
        if found is not None and found.kind != self._noted:
            self._noted_at = self.readings[-1].step
            self._on_note(found.sentence)
        self._noted = None if found is None else found.kind
