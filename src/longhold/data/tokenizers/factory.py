"""Tokenizers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from longhold.data.held_text import HeldText
from longhold.data.tokenizers.base import Tokenizer
from longhold.data.tokenizers.bpe import BPETokenizer
from longhold.data.tokenizers.byte import ByteTokenizer
from longhold.data.tokenizers.char import CharTokenizer
from longhold.data.tokenizers.word import WordTokenizer
from longhold.errors import InputError

_CLASSES: dict[str, type[Tokenizer]] = {c.kind: c for c in (CharTokenizer, ByteTokenizer, WordTokenizer, BPETokenizer)}

TOKENIZERS: tuple[str, ...] = tuple(_CLASSES)
"""The kinds there are."""


def train_tokenizer(kind: str, text: str | HeldText, vocab_size: int | None = None) -> Tokenizer:
    """A tokenizer of this kind with a vocabulary made from `text`.

    `vocab_size` counts every id, bytes included; None means all characters for `char`, 10,000 for `word`, 2,000 for
    `bpe`. `byte` always has 256. Raises `InputError` for an unknown kind or a size the kind cannot have.
    """
    trainers: dict[str, Callable[[str | HeldText, int | None], Tokenizer]] = {
        "char": CharTokenizer.train,
        "byte": _bytes,
        "word": WordTokenizer.train,
        "bpe": BPETokenizer.train,
    }
    return trainers[_known(kind)](text, vocab_size)


def tokenizer_from_dict(data: dict[str, Any]) -> Tokenizer:
    """The tokenizer that `to_dict` described; `InputError` if it describes none."""
    if not isinstance(data, dict) or "kind" not in data:
        raise InputError(f"a stored tokenizer must be an object with a kind, got {data!r:.60}")
    return _CLASSES[_known(data["kind"])].from_dict(data)


def _known(kind: object) -> str:
    if isinstance(kind, str) and kind in _CLASSES:
        return kind
    raise InputError(f"tokenizer must be one of {', '.join(TOKENIZERS)}, got {kind!r:.40}")


def _bytes(text: str | HeldText, vocab_size: int | None) -> Tokenizer:
    if vocab_size not in (None, 256):
        raise InputError(f"vocab_size of bytes is 256, got {vocab_size}")
    return ByteTokenizer()
