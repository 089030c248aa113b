"""Words: the most frequent ones whole, everything else in bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np

from longhold.data.held_text import HeldText, seamed
from longhold.data.tokenizers.base import Ids, Tokenizer, require_id, require_keys, unicode_pieces, utf8
from longhold.errors import InputError

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_PIECES = re.compile(rf" ?[^\W{_IDEOGRAPHS}]+| ?[{_IDEOGRAPHS}]| ?[^\w\s]|\s+(?= \S)|\s+")


def split_words(text: str) -> list[str]:
    """Cuts `text` into pieces that join to `text` again.

    A piece is a word, one ideograph or kana, or one mark of punctuation, each with the space before it; or a run of
    white space. Scripts that write no spaces and are not ideographs (Thai) come out as long pieces.
    """
    return _PIECES.findall(text)


@final
class WordTokenizer(Tokenizer):
    """256 byte ids, then one id per entry of `words`, as `split_words` cuts them.

    A piece that is not in the vocabulary becomes its UTF-8 bytes. One-byte pieces have an id already and are no words.
    """

    kind: ClassVar[str] = "word"

    def __init__(self, words: list[str]) -> None:
        self.words = tuple(words)
        self._bytes = [utf8(word) for word in words]
        self._ids = {word: 256 + index for index, word in enumerate(words)}
        if len(self._ids) != len(words):
            raise InputError("words of a word tokenizer must be distinct")
        for word in words:
            if split_words(word) != [word] or len(word.encode("utf-8")) < 2:
                raise InputError(f"not one word of two bytes or more: {word!r:.60}")

    @classmethod
    def train(cls, text: str | HeldText, vocab_size: int | None = None) -> WordTokenizer:
        """The most frequent words of `text` that fit `vocab_size` (default 10,000; the 256 byte ids count)."""
        size = 10_000 if vocab_size is None else vocab_size
        if size < 256:
            raise InputError(f"vocab_size of words must be at least 256, got {vocab_size}")
        counts: Counter[str] = Counter()
        for part in unicode_pieces(seamed(text)):
            counts.update(split_words(part))
        words = (piece for piece, _ in counts.most_common() if len(piece.encode("utf-8")) > 1)
        return cls([word for word, _ in zip(words, range(size - 256), strict=False)])

    @property
    def vocab_size(self) -> int:
        return 256 + len(self.words)

    def encode(self, text: str) -> Ids:
        utf8(text)
        ids: list[int] = []
        for piece in split_words(text):
            known = self._ids.get(piece)
            if known is None:
                ids.extend(piece.encode("utf-8"))
            else:
                ids.append(known)
        return np.array(ids, dtype=np.int64)

    def _encodable(self, text: HeldText) -> Iterator[str]:
        return seamed(text)

    def token_bytes(self, token: int) -> bytes:
        require_id(token, self.vocab_size)
        return bytes((token,)) if token < 256 else self._bytes[token - 256]

    def unknown(self, text: str) -> tuple[str, ...]:
        utf8(text)
        pieces = dict.fromkeys(split_words(text))
        return tuple(piece for piece in pieces if piece not in self._ids and len(piece.encode("utf-8")) > 1)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "words": list(self.words)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> WordTokenizer:
        require_keys(data, cls.kind, words=list)
        if not all(isinstance(word, str) for word in data["words"]):
            raise InputError("words of a word tokenizer must be text")
        return cls(data["words"])
