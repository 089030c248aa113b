"""Any bytes as symbols: the tokens of a vocabulary, and bytes where it has no token for them."""

import re
from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from longhold.data.tokenizers import Tokenizer

Symbols = NDArray[np.int64]

_LOOSE = re.compile("([\udc80-\udcff]+)")


@final
class Spelling:
    """What the symbols of a vocabulary stand for.

    Symbols `0 .. V - 1` are the tokens. If the tokens cannot spell every byte, symbol `V + b` is the byte `b`.

    Attributes:
        vocab_size: V.
        escapes: how many symbols there are beyond the tokens, 0 or 256.
        longest: bytes of the longest symbol.
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._strings = list(tokens)
        self.vocab_size = len(tokens)
        spelled = {token[0]: symbol for symbol, token in enumerate(tokens) if len(token) == 1}
        self.escapes = 0 if len(spelled) == 256 else 256
        if self.escapes:
            self._strings += [bytes((byte,)) for byte in range(256)]
        self.longest = max(map(len, self._strings))
        self._of_byte = np.array([spelled.get(byte, self.vocab_size + byte) for byte in range(256)])

    def symbols(self, data: bytes, tokenizer: Tokenizer) -> Symbols:
        """The symbols of `data`: what is UTF-8 as the tokenizer cuts it, everything else byte by byte."""
        parts = [*self._pieces(data.decode("utf-8", "surrogateescape"), tokenizer)]
        symbols = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
        return symbols if self.data(symbols) == data else self._loose(data)

    def data(self, symbols: Symbols) -> bytes:
        """The bytes of the symbols."""
        return b"".join(map(self._strings.__getitem__, symbols.tolist()))

    def _pieces(self, text: str, tokenizer: Tokenizer) -> Iterator[Symbols]:
        for index, piece in enumerate(_LOOSE.split(text)):
            if index % 2:
                yield self._loose(piece.encode("utf-8", "surrogateescape"))
            elif self.escapes:
                yield from self._closed(piece, tokenizer)
            elif piece:
                yield tokenizer.encode(piece)

    def _closed(self, text: str, tokenizer: Tokenizer) -> Iterator[Symbols]:
        """Characters that the vocabulary lacks in bytes, the text between them in tokens."""
        unknown = "".join(map(re.escape, tokenizer.unknown(text)))
        for index, piece in enumerate(re.split(f"([{unknown}]+)", text) if unknown else [text]):
            if piece:
                yield self._loose(piece.encode()) if index % 2 else tokenizer.encode(piece)

    def _loose(self, data: bytes) -> Symbols:
        return self._of_byte[np.frombuffer(data, dtype=np.uint8)]
