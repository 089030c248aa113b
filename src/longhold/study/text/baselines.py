"""What a network has to beat: counting, and a compressor that everyone has."""

import lzma

from longhold.errors import InputError

ORDER = 6
"""Of the n-gram."""

MOST_READ = 4_000_000
"""Characters of training text, the last ones, that a baseline reads; beyond it, minutes would go into the baselines."""

_SMALLEST_DICTIONARY, _LARGEST_DICTIONARY = 1 << 20, 1 << 28


def xz_bits(text: str) -> float:
    """`8 len(xz(text)) / characters`, headers included.

    Raises:
        InputError: for an empty text.
    """
    raw = _require(text).encode()
    return 8 * _xz_bytes(raw, len(raw)) / len(text)


def conditional_xz_bits(train: str, held_out: str) -> float:
    """`8 (len(xz(train + held_out)) - len(xz(train))) / characters(held_out)`.

    The dictionary holds both texts (up to 256 MiB), so anything in `train` can be referred to.

    Raises:
        InputError: for an empty held-out text.
    """
    before, after = train.encode(), _require(held_out).encode()
    window = len(before) + len(after)
    return 8 * (_xz_bytes(before + after, window) - _xz_bytes(before, window)) / len(held_out)


def _xz_bytes(raw: bytes, window: int) -> int:
    dictionary = min(max(_SMALLEST_DICTIONARY, 1 << window.bit_length()), _LARGEST_DICTIONARY)
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return len(lzma.compress(raw, format=lzma.FORMAT_XZ, filters=chain))


def _require(text: str) -> str:
    if not text:
        raise InputError("the held-out text is empty: expected at least one character")
    return text
