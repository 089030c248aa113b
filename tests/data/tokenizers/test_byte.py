import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.tokenizers import ByteTokenizer


@given(text=st.text())
def test_ids_are_the_bytes_of_utf8(text: str) -> None:
    assert ByteTokenizer().encode(text).tolist() == list(text.encode())


@given(first=st.text(), second=st.text())
def test_ids_of_a_sum_are_the_sum_of_ids(first: str, second: str) -> None:
    encode = ByteTokenizer().encode
    assert np.array_equal(encode(first + second), np.concatenate([encode(first), encode(second)]))


def test_nothing_is_unknown() -> None:
    assert ByteTokenizer().unknown("anything 中 \x00") == ()
    assert ByteTokenizer().vocab_size == 256
