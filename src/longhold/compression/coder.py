"""A range coder in integers (Martin 1979): symbols with known frequencies to bytes and back.

The interval is `[low, low + range)` with `low < 2^48`. A symbol whose frequencies begin at `begin` and are `width` of
`total` narrows it to

    unit = floor(range / total),   low <- low + unit * begin,   range <- unit * width

and whenever `range < 2^40` the upper byte of `low` goes out and both are multiplied by 256. A carry beyond 2^48 is
added to the bytes that went out already. All numbers stay below 2^49, so other languages can do this in float64.
With totals up to 2^25 a unit is at least 2^15, which costs a symbol less than 0.0001 bits.

Zeros at the end of the bytes are implied, so a reader that is far beyond the end knows what follows. Nothing was added
to `low` there, and all further symbols are the first one; or the bytes are none that this encoder wrote.
"""

from typing import Final, final

_TOP: Final = 48
_BYTE: Final = _TOP - 8
_WINDOW: Final = _TOP // 8
_BEYOND: Final = 8  # bytes of zeros, beside those of the last interval, that no sound end straddles


@final
class RangeEncoder:
    """Symbols in, bytes out."""

    def __init__(self) -> None:
        self._low, self._range = 0, 1 << _TOP
        self._out = bytearray()
        self._added = 0

    def __len__(self) -> int:
        """Bytes that have gone out."""
        return len(self._out)

    def encode(self, begin: int, width: int, total: int) -> None:
        """Code a symbol; `width >= 1`, `begin + width <= total <= 2^25`."""
        unit = self._range // total
        if begin:
            self._low += unit * begin
            self._added = len(self._out)
        self._range = unit * width
        if self._low >> _TOP:
            self._carry()
        while not self._range >> _BYTE:
            self._out.append(self._low >> _BYTE)
            self._low = (self._low & ((1 << _BYTE) - 1)) << 8
            self._range <<= 8

    def finish(self) -> bytes | None:
        """All bytes: as few more as tell the last interval apart, without the zeros at the end, which are implied.

        None where more zeros are implied than a decoder reads on for, which takes symbols chosen to that end.
        """
        end = self._low + self._range
        for kept in range(_TOP // 8 + 1):
            zeros = (1 << (_TOP - 8 * kept)) - 1
            number = (self._low + zeros) & ~zeros
            if number < end:
                break
        self._low = number
        if self._low >> _TOP:
            self._carry()
        self._out += self._low.to_bytes(_WINDOW, "big")
        found = bytes(self._out).rstrip(b"\0")
        implied = len(self._out) - len(found)
        return found if implied < _WINDOW + _BEYOND or self._added <= len(found) else None

    def _carry(self) -> None:
        self._low -= 1 << _TOP
        at = len(self._out) - 1
        while self._out[at] == 0xFF:
            self._out[at] = 0
            at -= 1
        self._out[at] += 1


@final
class RangeDecoder:
    """Bytes in, symbols out: for each, `target` returns where it lies, and `consume` takes what it was."""

    def __init__(self, coded: bytes) -> None:
        self._coded, self._at = coded, _WINDOW
        self._code = int.from_bytes(coded[: self._at].ljust(self._at, b"\0"), "big")
        self._range, self._unit = 1 << _TOP, 0

    @property
    def only_first_symbols(self) -> bool:
        """Whether every further symbol is the first one, whatever the frequencies."""
        return self._code == 0 and self._at >= len(self._coded) + _WINDOW

    def target(self, total: int) -> int:
        """A number from 0 to `total - 1` that lies in the next symbol's part of the frequencies.

        Raises:
            ValueError: no encoder wrote these bytes; they were read to their end, or lie outside every interval.
        """
        if self._code >= self._range or (self._code and self._at >= len(self._coded) + _WINDOW + _BEYOND):
            raise ValueError("the bytes are over")
        self._unit = self._range // total
        return min(self._code // self._unit, total - 1)

    def consume(self, begin: int, width: int) -> None:
        """Continue after the symbol whose part is `width` frequencies from `begin`; `target` was called before."""
        self._code -= self._unit * begin
        self._range = self._unit * width
        while not self._range >> _BYTE:
            following = self._coded[self._at] if self._at < len(self._coded) else 0
            self._code = self._code << 8 | following
            self._range <<= 8
            self._at += 1
