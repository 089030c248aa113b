"""What every tokenizer can do: text to ids and back, without loss."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from longhold.data.held_text import HeldText, pieces
from longhold.data.tokenizers.utf8 import Continuations, continuations
from longhold.errors import InputError

_Found = TypeVar("_Found")
Ids = NDArray[np.int64]
SmallIds = NDArray[np.integer[Any]]


class Tokenizer(ABC):
    """A reversible map between text and token ids `0 .. vocab_size - 1`.

    Each id stands for a fixed string of UTF-8 bytes, so `decode(encode(text)) == text` holds for every text that is
    valid Unicode. Text with a lone surrogate has no UTF-8 form and raises `InputError`. Ids that do not add up to whole
    characters decode to U+FFFD; `continuations` decides which ids may come next where there must be none.
    """

    kind: ClassVar[str]
    """The name by which `train_tokenizer` and `tokenizer_from_dict` find the class."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The number of ids."""

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """The ids of `text`, shape `(N,)`, int64."""

    def encode_held(self, text: HeldText) -> SmallIds:
        """The ids of a text of any length, in the smallest of uint8, uint16 and int32 that holds them all.

        The same ids as `encode` gives, without the text as one `str` and without eight bytes an id.
        """
        small = smallest_type(self.vocab_size)
        ids = bytearray()
        for found in of_pieces(self._encodable(text), self.encode):
            ids += found.astype(small).data
        return np.frombuffer(ids, small)

    def _encodable(self, text: HeldText) -> Iterator[str]:
        """`text` in pieces whose ids, one piece after the other, are those of the whole."""
        return pieces(text)

    @abstractmethod
    def token_bytes(self, token: int) -> bytes:
        """The UTF-8 bytes that the id `token` stands for; `InputError` if it is not an id."""

    @abstractmethod
    def unknown(self, text: str) -> tuple[str, ...]:
        """The distinct pieces of `text` that are not in the vocabulary, in order of appearance.

        Where the tokenizer falls back to bytes they are encoded all the same, at the price of several ids each.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything needed to build the tokenizer again, as JSON can hold it."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: dict[str, Any]) -> Tokenizer:
        """The inverse of `to_dict`; `InputError` for anything else."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`."""
        return b"".join(map(self.token_bytes, integers(ids))).decode("utf-8", errors="replace")

    @cached_property
    def continuations(self) -> Continuations | None:
        """Which ids may come next so that what is written is UTF-8; None where any may follow any other."""
        return continuations([self.token_bytes(token) for token in range(self.vocab_size)])

    def stream(self) -> StreamDecoder:
        """A decoder that is fed one id at a time."""
        return StreamDecoder(self.token_bytes)

    def token_text(self, token: int) -> str:
        """The id as something to show on one line: control characters and loose bytes are escaped."""
        text = self.token_bytes(token).decode("utf-8", errors="backslashreplace")
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@final
class StreamDecoder:
    """Turns ids into text as they come; a piece holds whole characters only."""

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The characters that `token` completes; empty while one is still incomplete."""
        return self._decoder.decode(self._token_bytes(token))

    def flush(self) -> str:
        """U+FFFD if the last character never became whole, else nothing. The decoder then starts afresh."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def integers(ids: Iterable[int]) -> list[int]:
    """`ids` as a list of ints; arrays and tensors are taken too, anything but integers raises `InputError`."""
    values = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    for value in values:
        if not isinstance(value, int | np.integer):
            raise InputError(f"token ids must be integers, got {value!r}")
    return values


def smallest_type(vocab_size: int) -> type[np.uint8] | type[np.uint16] | type[np.int32]:
    """The integer type of the fewest bytes that holds the ids `0 .. vocab_size - 1`."""
    if vocab_size <= 1 << 8:
        return np.uint8
    return np.uint16 if vocab_size <= 1 << 16 else np.int32


def utf8(text: str, begins: int = 0) -> bytes:
    """`text` in UTF-8; `InputError` where a lone surrogate stands.

    `begins` characters stood before it in the text that the error speaks of.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        lone, position = ord(text[error.start]), begins + error.start
        raise InputError(
            f"text must be valid Unicode, got the lone surrogate U+{lone:04X} at position {position}"
        ) from None


def of_pieces(parts: Iterable[str], work: Callable[[str], _Found]) -> Iterator[_Found]:
    """What `work` makes of each part of a text; a lone surrogate that it refuses is named by its place in the whole."""
    begins = 0
    for part in parts:
        try:
            yield work(part)
        except InputError:
            utf8(part, begins)
            raise
        begins += len(part)


def unicode_pieces(parts: Iterable[str]) -> Iterator[str]:
    """The parts of a text as they are; `InputError` at the first lone surrogate."""
    return of_pieces(parts, _checked)


def _checked(part: str) -> str:
    utf8(part)
    return part


def require_id(token: int, vocab_size: int) -> None:
    """`InputError` unless `0 <= token < vocab_size`."""
    if not 0 <= token < vocab_size:
        raise InputError(f"token id must be in 0..{vocab_size - 1}, got {token}")


def require_keys(data: dict[str, Any], kind: str, **types: type) -> None:
    """`InputError` unless `data` is a tokenizer of this kind with exactly the named entries of the named types."""
    expected = {"kind": str, **types}
    if data.keys() != expected.keys():
        raise InputError(f"a {kind} tokenizer is stored as {sorted(expected)}, got {sorted(data)!r:.200}")
    for key, type_ in expected.items():
        if type(data[key]) is not type_:
            raise InputError(f"{key} of a {kind} tokenizer must be {type_.__name__}, got {data[key]!r:.40}")
    if data["kind"] != kind:
        raise InputError(f"expected a {kind} tokenizer, got {data['kind']!r:.40}")
