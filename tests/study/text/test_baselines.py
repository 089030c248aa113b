import lzma

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.study.text.baselines import conditional_xz_bits, xz_bits


def test_conditional_xz_uses_the_training_text():
    repeated = "".join(np.random.default_rng(0).choice(list("abcdefghijklmnop"), 3000))
    assert conditional_xz_bits(repeated, repeated) < 0.1 < 3.9 < xz_bits(repeated)


def test_xz_bits_count_the_bytes_of_an_xz_file():
    text = "naïve café " * 30
    assert xz_bits(text) == 8 * len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)) / len(text)


def test_nothing_held_out_is_refused():
    with pytest.raises(InputError, match="empty"):
        xz_bits("")
    with pytest.raises(InputError, match="empty"):
        conditional_xz_bits("abc", "")
