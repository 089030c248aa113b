"""Byte-level byte-pair encoding."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from longhold.data.held_text import HeldText, seamed
from longhold.data.tokenizers.base import Ids, Tokenizer, require_id, require_keys, unicode_pieces, utf8
from longhold.documents import parse_json
from longhold.errors import InputError

_CHUNK = 1 << 16


@final
class BPETokenizer(Tokenizer):
    """Byte pairs merged by frequency, over the bytes of UTF-8 (Sennrich et al. 2016; Radford et al. 2019).

    Training and merging are done by the `tokenizers` library. `model` is JSON in that library's form, of which only
    what training here writes is taken: vocabulary and merges are read and checked, everything else must stand as it
    is written, and the library is given the two tables, never the JSON.
    """

    kind: ClassVar[str] = "bpe"

    def __init__(self, model: str) -> None:
        self.model = model
        vocabulary, merges = _tables(model)
        self._bytes = [_to_bytes(name) for name in sorted(vocabulary, key=vocabulary.__getitem__)]
        if not {bytes((value,)) for value in range(256)} <= set(self._bytes):
            raise InputError("the vocabulary of a bpe tokenizer must hold all 256 bytes")
        self._engine = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        self._engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)

    @classmethod
    def train(cls, text: str | HeldText, vocab_size: int | None = None) -> BPETokenizer:
        """Merges of `text` up to `vocab_size` ids (default 2,000; the 256 bytes count). A short text may give fewer."""
        size = 2_000 if vocab_size is None else vocab_size
        if size < 256:
            raise InputError(f"vocab_size of bpe must be at least 256, got {vocab_size}")
        engine = tokenizers.Tokenizer(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
            show_progress=False,
        )
        engine.train_from_iterator(unicode_pieces(seamed(text, _CHUNK)), trainer)
        trained = json.loads(engine.to_str())["model"]
        form = _form(trained["vocab"], trained["merges"])
        return cls(json.dumps(form, ensure_ascii=False, separators=(",", ":")))

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> Ids:
        utf8(text)
        ids = (self._engine.encode(chunk, add_special_tokens=False).ids for chunk in seamed(text, _CHUNK))
        return np.fromiter(itertools.chain.from_iterable(ids), dtype=np.int64)

    def _encodable(self, text: HeldText) -> Iterator[str]:
        return seamed(text)

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


def _form(vocabulary: object, merges: object) -> dict[str, Any]:
    """The JSON of a model with these two tables, as the library writes it."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _tables(model: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary and the merges of a stored model, if it is one that `train` could have written."""
    form = parse_json(model, f"model of a bpe tokenizer cannot be read: {model!r:.40} is no JSON")
    tables = form.get("model") if isinstance(form, dict) else None
    if not isinstance(tables, dict) or not {"vocab", "merges"} <= tables.keys():
        raise InputError(f"model of a bpe tokenizer cannot be read: {model!r:.40} has no vocabulary and merges")
    vocabulary, merges = tables["vocab"], tables["merges"]
    if form != _form(vocabulary, merges):
        expected = _form(vocabulary, merges)
        odd = sorted(name for name in form.keys() | expected if form.get(name, ...) != expected.get(name, ...))
        raise InputError(f"model of a bpe tokenizer: {odd!r:.60} is not as longhold writes it")
    return _vocabulary(vocabulary), _merges(merges, vocabulary)


def _vocabulary(table: Any) -> dict[str, int]:
    if not isinstance(table, dict) or not all(type(token) is int for token in table.values()):
        raise InputError("the vocabulary of a bpe tokenizer must be an object of integers")
    if "" in table or sorted(table.values()) != list(range(len(table))):
        raise InputError(f"the vocabulary of a bpe tokenizer must number its {len(table)} tokens from 0")
    return table


def _merges(table: Any, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    if not isinstance(table, list) or not all(_is_pair(entry) for entry in table):
        raise InputError("the merges of a bpe tokenizer must be pairs of text")
    for left, right in table:
        if not {left, right, left + right} <= vocabulary.keys():
            raise InputError(f"not a merge of two tokens into one: {[left, right]!r:.60}")
    return [(left, right) for left, right in table]


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)


def _byte_names() -> dict[str, int]:
    """The characters that byte-level BPE writes for bytes: printable Latin-1 stays, the others follow from U+0100."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [value for value in range(256) if value not in shown]
    return {chr(value): value for value in shown} | {chr(256 + index): value for index, value in enumerate(hidden)}


_BYTE_OF = _byte_names()


def _to_bytes(name: str) -> bytes:
    try:
        return bytes(_BYTE_OF[character] for character in name)
    except KeyError:
        raise InputError(f"not a byte-level token of a bpe tokenizer: {name!r:.40}") from None
