"""Bytes: the vocabulary that knows everything."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from longhold.data.held_text import HeldText, pieces
from longhold.data.tokenizers.base import (
    Ids,
    SmallIds,
    Tokenizer,
    require_id,
    require_keys,
    unicode_pieces,
    utf8,
)


@final
class ByteTokenizer(Tokenizer):
    """The 256 bytes of UTF-8; an id is the byte's value."""

    kind: ClassVar[str] = "byte"

    @property
    def vocab_size(self) -> int:
        return 256

    def encode(self, text: str) -> Ids:
        return np.frombuffer(utf8(text), dtype=np.uint8).astype(np.int64)

    def encode_held(self, text: HeldText) -> SmallIds:
        for _ in unicode_pieces(pieces(text)):
            pass
        return np.frombuffer(text.utf8, dtype=np.uint8)

    def token_bytes(self, token: int) -> bytes:
        require_id(token, 256)
        return bytes((token,))

    def unknown(self, text: str) -> tuple[str, ...]:
        return ()

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ByteTokenizer:
        require_keys(data, cls.kind)
        return cls()
