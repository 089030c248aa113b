"""The dialogue of `longhold write -i`: a person chooses each token."""

from collections.abc import Callable, Iterable, Sequence
from typing import final

from longhold.data.lines import as_read
from longhold.errors import InputError
from longhold.sampling import Walk, until_stop
from longhold.text.model import TextModel
from longhold.training import printable

HELP = (
    "number: that token   Enter: the likeliest   r: let chance choose   u: undo   q: leave\n"
    "anything else is written as it stands; +text writes what looks like one of these, + alone a line break"
)
"""What can be typed in the dialogue."""

_TAIL = 60  # characters of the text shown above the choices


@final
class Dialogue:
    """The dialogue: what is shown, and what a typed line does."""

    def __init__(
        self, model: TextModel, walk: Walk, prime: str, stops: Sequence[str], choices: int, length: int | None
    ) -> None:
        self._model, self._walk, self._prime = model, walk, prime
        self._stops, self._choices, self._length = stops, choices, length

    @property
    def written(self) -> str:
        """The text chosen so far, up to a stop text, without a character that is not complete."""
        return "".join(until_stop([self._decoded()], self._stops))

    def run(self, lines: Iterable[str], show: Callable[[str], None]) -> None:
        """Continue until the person leaves, the lines end, or the text does."""
        show(HELP)
        self._show(show)
        for line in lines if not self._ended() else ():
            typed = line.rstrip("\r\n")
            if typed == "q":
                return
            complaint = self._apply(typed)
            if complaint:
                show(complaint)
            elif self._ended():
                return
            else:
                self._show(show)

    def _apply(self, typed: str) -> str | None:
        """Do what a typed line asks for; returns the reason where that cannot be done."""
        if typed == "u":
            return None if self._walk.undo() else "nothing to undo"
        if typed == "r":
            self._walk.draw()
            return None
        if typed == "" or typed.isdecimal():
            return self._take_candidate(typed)
        if self._walk.amid_a_character:
            return "a character is not complete yet: choose what continues it, or take it back with u"
        try:
            self._walk.take(self._model.tokenizer.encode(as_read(_meant(typed))).tolist())
        except InputError as error:
            return str(error)
        return None

    def _take_candidate(self, typed: str) -> str | None:
        candidates = self._walk.likeliest(self._choices)
        number = 1 if typed == "" else int(typed[:9])
        if not 1 <= number <= len(candidates):
            return f"expected a number from 1 to {len(candidates)}; to write {typed[:20]} type +{typed[:20]}"
        self._walk.take([candidates[number - 1].token])
        return None

    def _show(self, show: Callable[[str], None]) -> None:
        candidates = self._walk.likeliest(self._choices)
        named = [f"'{self._model.tokenizer.token_text(candidate.token)}'" for candidate in candidates]
        percent = [f"{candidate.probability:.1%}" for candidate in candidates]
        odds = "   ".join(f"{n} {name} {p}" for n, (name, p) in enumerate(zip(named, percent, strict=True), 1))
        so_far = self._prime[-_TAIL:] + self._decoded()
        more = "..." if len(self._prime) + len(self._decoded()) > _TAIL else ""
        show(f"\n{more}{_one_line(so_far[-_TAIL:])}|\n{odds}")

    def _ended(self) -> bool:
        return self.written != self._decoded() or (self._length is not None and len(self._walk.ids) >= self._length)

    def _decoded(self) -> str:
        decoder = self._model.tokenizer.stream()
        return "".join(map(decoder.push, self._walk.ids))


def _meant(typed: str) -> str:
    """The text that a line stands for."""
    return "\n" if typed == "+" else typed.removeprefix("+")


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
