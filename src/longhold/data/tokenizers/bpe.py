"""Byte-level byte-pair encoding."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from longhold.data.tokenizers.base import Ids, Tokenizer, require_id, require_keys, utf8
from longhold.errors import InputError

_CHUNK = 1 << 16
_SEAM = re.compile(r"(?<=\S\n)(?=\S)")


@final
class BPETokenizer(Tokenizer):
    """Byte pairs merged by frequency, over the bytes of UTF-8 (Sennrich et al. 2016; Radford et al. 2019).

    Training and merging are done by the `tokenizers` library; `model` is its own JSON form.
    """

    kind: ClassVar[str] = "bpe"

    def __init__(self, model: str) -> None:
        self.model = model
        self._engine = _load(model)
        size = self._engine.get_vocab_size()
        names = [self._engine.id_to_token(token) for token in range(size)]
        self._bytes = [_to_bytes(name) for name in names]
        if not {bytes((value,)) for value in range(256)} <= set(self._bytes):
            raise InputError("the vocabulary of a bpe tokenizer must hold all 256 bytes")
        self._check_round_trip()

    @classmethod
    def train(cls, text: str, vocab_size: int | None = None) -> BPETokenizer:
        """Merges of `text` up to `vocab_size` ids (default 2,000; the 256 bytes count). A short text may give fewer."""
        size = 2_000 if vocab_size is None else vocab_size
        if size < 256:
            raise InputError(f"vocab_size of bpe must be at least 256, got {vocab_size}")
        utf8(text)
        engine = tokenizers.Tokenizer(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        engine.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
            show_progress=False,
        )
        engine.train_from_iterator(_chunks(text), trainer)
        return cls(engine.to_str())

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> Ids:
        utf8(text)
        ids = (self._engine.encode(chunk, add_special_tokens=False).ids for chunk in _chunks(text))
        return np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int64)

    def token_bytes(self, token: int) -> bytes:
        require_id(token, self.vocab_size)
        return self._bytes[token]

    def unknown(self, text: str) -> tuple[str, ...]:
        utf8(text)
        return ()

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": self.model}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BPETokenizer:
        require_keys(data, cls.kind, model=str)
        return cls(data["model"])

    def _check_round_trip(self) -> None:
        probe = " a  \tB\r\n\n e\u0301\u4e2d\U0001f600\u00a0. "
        if self.decode(self.encode(probe)) != probe:
            raise InputError("the model of a bpe tokenizer must be byte-level and change no text")


def _load(model: str) -> tokenizers.Tokenizer:
    # The library raises bare Exception for a model it cannot read.
    try:
        return tokenizers.Tokenizer.from_str(model)
    except Exception as error:
        raise InputError(f"model of a bpe tokenizer cannot be read: {str(error).splitlines()[0]}") from None


def _chunks(text: str) -> Iterator[str]:
    """Cuts `text` where the library's own split has a seam in any case, so that the pieces are the same as uncut.

    A single line break between two characters that are not white space is such a place.
    """
    start = 0
    while start < len(text):
        seam = _SEAM.search(text, start + _CHUNK)
        end = seam.start() if seam else len(text)
        yield text[start:end]
        start = end


def _byte_names() -> dict[str, int]:
    """The characters that byte-level BPE writes for bytes: printable Latin-1 stays, the others follow from U+0100."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [value for value in range(256) if value not in shown]
    return {chr(value): value for value in shown} | {chr(256 + index): value for index, value in enumerate(hidden)}


_BYTE_OF = _byte_names()


def _to_bytes(name: str | None) -> bytes:
    try:
        return bytes(_BYTE_OF[character] for character in name or "")
    except KeyError:
        raise InputError(f"not a byte-level token of a bpe tokenizer: {name!r:.40}") from None
