"""Block by block against Python's own decoding of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data import transcoding
from longhold.data.transcoding import first_error, transcoded

ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "ascii",
    "utf-16",
    "utf-16-le",
    "utf-32-be",
    "cp1252",
    "gb18030",
    "shift_jis",
    "utf-7",
]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a short text has many."""
    monkeypatch.setattr(transcoding, "_BLOCK", 3)


@given(text=st.text(st.sampled_from("ab\r\n\ufeffé中あ"), max_size=30), encoding=st.sampled_from(ENCODINGS))
def test_all_that_can_be_written_is_read(text: str, encoding: str) -> None:
    raw = text.encode(encoding, "ignore")
    expected = raw.decode(encoding).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert str(transcoded(raw, encoding)) == expected


def failure(raw: bytes, encoding: str) -> tuple[int, str] | None:
    """Where Python cannot decode `raw` and why; None where it can."""
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start, error.reason
    return None


@given(raw=st.binary(max_size=30), encoding=st.sampled_from(["utf-8", "ascii", "cp1252", "utf-16-le"]))
def test_what_cannot_be_read_is_refused_at_the_same_place(raw: bytes, encoding: str) -> None:
    expected = failure(raw, encoding)
    if expected is None:
        plain = raw.decode(encoding).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        assert str(transcoded(raw, encoding)) == plain
        return
    with pytest.raises(UnicodeDecodeError) as caught:
        transcoded(raw, encoding)
    assert caught.value.start == expected[0]


@given(raw=st.binary(max_size=30))
def test_the_first_error(raw: bytes) -> None:
    found = first_error(raw)
    assert (None if found is None else (found.start, found.reason)) == failure(raw, "utf-8")


@given(raw=st.binary(max_size=30))
def test_replaced(raw: bytes) -> None:
    expected = raw.decode("utf-8", "replace").lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert str(transcoded(raw, "utf-8", "replace")) == expected


def test_bytes_that_are_utf_8_already_are_not_copied() -> None:
    raw = "Un café\n".encode() * 10
    assert transcoded(raw, "utf-8").utf8.obj is raw


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13"])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(LookupError):
        transcoded(b"abcdef", encoding)


@pytest.mark.parametrize("encoding", ["punycode", "idna"])
def test_codecs_that_read_only_the_whole(encoding: str) -> None:
    raw = "bücher".encode(encoding)
    assert str(transcoded(raw, encoding)) == "bücher"
