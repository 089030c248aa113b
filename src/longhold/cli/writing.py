"""What `write` is asked for, and the dialogue of `write -i`."""

import io
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import final

import typer

from longhold.cli.output import one_line, say, stream
from longhold.data.corpora import load_corpus
from longhold.data.lines import as_read
from longhold.errors import InputError
from longhold.sampling import SamplingConfig, Walk, stop_texts, until_stop
from longhold.text import TextModel

DEFAULT_LENGTH = 500
"""Tokens written where nothing else was asked for."""

HELP = (
    "number: that token   Enter: the likeliest   r: let chance choose   u: undo   q: leave\n"
    "anything else is written as it stands; +text writes what looks like one of these, + alone a line break"
)
"""What can be typed in the dialogue."""

_TAIL = 60  # characters of the text shown above the choices

_SCORING = {"model", "score", "places", "json", "encoding", "device", "dynamic", "dynamic_rate"}
_NOT_WRITING = {"places", "json", "dynamic", "dynamic_rate"}


def require_fitting(context: typer.Context) -> None:
    """Refuse options that were given and would not be read.

    Raises:
        InputError: one of them, and what it goes with.
    """
    found = {
        name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    given = [name for name in context.params if name in found]
    for name in given:
        flag = "--" + name.replace("_", "-")
        if "score" in found and name not in _SCORING:
            raise InputError(f"{flag} is for writing, and --score writes nothing")
        if "score" not in found and name in _NOT_WRITING:
            raise InputError(f"{flag} goes with --score only")
        if name == "dynamic_rate" and "dynamic" not in found:
            raise InputError(f"{flag} goes with --dynamic only")
        if name == "choices" and "interactive" not in found:
            raise InputError(f"{flag} goes with --interactive only")
        if name == "encoding" and not found & {"score", "prime_file"}:
            raise InputError(f"{flag} goes with --score and --prime-file only")
    if {"interactive", "prime_file"} <= found and context.params["prime_file"] == "-":
        raise InputError("--prime-file -: standard input is where --interactive reads the choices from")


def prime_of(prime: str, file: str | None, encoding: str | None) -> str:
    """The text to begin with, from the command line or from a file, whose own last line break belongs to it.

    Raises:
        InputError: both are given, or the file has no text.
    """
    if file is None:
        return as_read(prime, "--prime")
    if prime:
        raise InputError(f"--prime {prime!r:.40} and --prime-file {file!r:.40}: expected one of them")
    return _text_of(file, encoding)


def scored_text(source: str, encoding: str | None) -> str:
    """The text to score; what a person should know of how it was read is said."""
    return _text_of(source, encoding)


def _text_of(source: str, encoding: str | None) -> str:
    corpus = load_corpus(source, encoding=encoding)
    for note in corpus.notes:
        say(f"note: {note}")
    return corpus.text


def choose(
    model: TextModel,
    prime: str,
    rules: SamplingConfig,
    length: int | None,
    stops: Sequence[str],
    choices: int,
    seed: int | None,
    escape: bool | None,
) -> None:
    """Let a person choose each token; the dialogue is on standard error, the text on standard output when they leave.

    Args:
        model: what proposes.
        prime: what it reads first.
        rules: how chance chooses, when it is let.
        length: tokens after which the dialogue ends; None: only when the person leaves.
        stops: the dialogue ends before such a text.
        choices: tokens to propose.
        seed: of the chance.
        escape: see `longhold.cli.output.stream`.
    """
    if length is not None and length < 0:
        raise InputError(f"length={length}: expected 0 or more tokens")
    rule = model.tokenizer.continuations
    walk = Walk(model.model, model.prompt_ids(prime).tolist(), rules, seed=seed, continuations=rule)
    choosing = Choosing(model, walk, prime, stop_texts(stops), choices, length)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    try:
        choosing.run(sys.stdin, say)
    finally:
        stream(prime, [choosing.written], escape)


@final
class Choosing:
    """The dialogue: what is shown, and what a typed line does."""

    def __init__(
        self, model: TextModel, walk: Walk, prime: str, stops: Sequence[str], choices: int, length: int | None
    ) -> None:
        self._model, self._walk, self._prime = model, walk, prime
        self._stops, self._choices, self._length = stops, choices, length

    @property
    def written(self) -> str:
        """What was chosen so far, up to a stop text; a character that is not complete is left out."""
        return "".join(until_stop([self._whole()], self._stops))

    def run(self, lines: Iterable[str], say: Callable[[str], None]) -> None:
        """Go on until the person leaves, the lines end, or the text does."""
        say(HELP)
        self._show(say)
        for line in lines if not self._ended() else ():
            typed = line.rstrip("\r\n")
            if typed == "q":
                return
            complaint = self._obey(typed)
            if complaint:
                say(complaint)
            elif self._ended():
                return
            else:
                self._show(say)

    def _obey(self, typed: str) -> str | None:
        """Do what a line asks for, or say why not."""
        if typed == "u":
            return None if self._walk.undo() else "nothing to undo"
        if typed == "r":
            self._walk.draw()
            return None
        if typed == "" or typed.isdecimal():
            return self._take_candidate(typed)
        if self._walk.amid_a_character:
            return "a character is not complete yet: choose what goes on with it, or take it back with u"
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

    def _show(self, say: Callable[[str], None]) -> None:
        candidates = self._walk.likeliest(self._choices)
        named = [f"'{self._model.tokenizer.token_text(candidate.token)}'" for candidate in candidates]
        shares = [f"{candidate.probability:.1%}" for candidate in candidates]
        odds = "   ".join(f"{n} {name} {share}" for n, (name, share) in enumerate(zip(named, shares, strict=True), 1))
        so_far = self._prime[-_TAIL:] + self._whole()
        more = "..." if len(self._prime) + len(self._whole()) > _TAIL else ""
        say(f"\n{more}{one_line(so_far[-_TAIL:])}|\n{odds}")

    def _ended(self) -> bool:
        return self.written != self._whole() or (self._length is not None and len(self._walk.ids) >= self._length)

    def _whole(self) -> str:
        decoder = self._model.tokenizer.stream()
        return "".join(map(decoder.push, self._walk.ids))


def _meant(typed: str) -> str:
    """The text that a line stands for."""
    return "\n" if typed == "+" else typed.removeprefix("+")
