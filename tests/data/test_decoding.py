import io
import os
import random
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.decoding import decode
from longhold.errors import InputError

SIMPLIFIED = "这是一个用简体中文写成的短文。我们在学习如何让电脑记住很久以前读过的东西。\n"
TRADITIONAL = "這是一個用繁體中文寫成的短文。我們在學習如何讓電腦記住很久以前讀過的東西。\n"
FRENCH = "Les élèves français étaient très étonnés. Où êtes-vous né ?\n"
RUSSIAN = "Привет, как дела? Это русский текст для проверки.\n"
JAPANESE = "日本語の文章です。これはテストです。昔々あるところに、おじいさんとおばあさんがいました。\n"


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_utf_8_is_read_without_a_word(text: str) -> None:
    decoded = decode(text.encode(), name="a")
    assert (decoded.text, decoded.note) == (text.removeprefix("\ufeff"), None)
    assert decoded.encoding in ("utf-8", "utf-8-sig")


@pytest.mark.parametrize("text", [SIMPLIFIED, TRADITIONAL, FRENCH, RUSSIAN, JAPANESE, "plain\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding), name="a")
    assert decoded.text == text
    assert decoded.encoding == encoding
    assert decoded.note == (None if encoding == "utf-8-sig" else f"read as {encoding} (byte order mark)")


@pytest.mark.parametrize("length", [6, 20, 40, 400])
@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (SIMPLIFIED, "gb18030", "gb18030"),
        (SIMPLIFIED, "gb2312", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (TRADITIONAL, "gb18030", "gb18030"),
        (TRADITIONAL, "utf-16-le", "utf-16-le"),
        (SIMPLIFIED, "utf-16-be", "utf-16-be"),
        (FRENCH, "utf-16-le", "utf-16-le"),
        (RUSSIAN, "utf-16-be", "utf-16-be"),
        (FRENCH, "utf-32-le", "utf-32-le"),
        (FRENCH, "latin-1", "cp1252"),
    ],
)
def test_an_unmarked_encoding_is_detected_and_said_aloud(text: str, encoding: str, named: str, length: int) -> None:
    text = (text * 20)[:length]
    decoded = decode(text.encode(encoding), name="a")
    assert decoded.text == text
    assert decoded.encoding == named
    assert decoded.note == f"read as {named} (detected); give --encoding if that is wrong"


def test_what_was_guessed_is_shown() -> None:
    text = "2024\r\n\n" + SIMPLIFIED * 3
    assert decode(text.encode("gb18030"), name="a").preview == f"2024 {SIMPLIFIED[:24]}"
    late = decode(("plain words " * 9 + FRENCH).encode("latin-1"), name="a")
    assert late.preview == "...words Les élèves français étai"
    for raw in (text.encode(), text.encode("utf-16")):
        assert decode(raw, name="a").preview is None
    assert decode(text.encode("gb18030"), name="a", encoding="gb18030").preview is None


def test_encodings_between_which_the_bytes_do_not_decide_are_named() -> None:
    decoded = decode(("plain words " * 9 + "naïve café, déjà vu").encode("latin-1"), name="a")
    assert "cp1252" in {decoded.encoding, *decoded.others}
    assert decoded.others
    assert decoded.encoding not in decoded.others
    assert decode(RUSSIAN.encode("koi8-r"), name="a").others == ("cp1251",)
    assert decode(RUSSIAN.encode("cp1251"), name="a").others == ()


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8_r"),
        (JAPANESE, "shift_jis", "cp932"),
        (JAPANESE, "euc-jp", "euc_jp"),
        (TRADITIONAL + "𠮩着裏\n", "big5hkscs", "big5hkscs"),
        ("Größe “quoted” — dash, it’s 5 €\n", "cp1252", "cp1252"),
        ("Zażółć gęślą jaźń, wszyscy ludzie rodzą się wolni i równi\n", "cp1250", "cp1250"),
    ],
)
def test_other_code_pages_are_detected(text: str, encoding: str, named: str) -> None:
    decoded = decode(text.encode(encoding), name="a")
    assert (decoded.text, decoded.encoding) == (text, named)
    assert decoded.note is not None


@pytest.mark.parametrize(
    ("encoding", "named"), [("gb18030", "gb18030"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")]
)
@pytest.mark.parametrize("book", ["hongloumeng", "lunyu", "tangshi300"])
def test_real_books_are_detected_in_any_stretch(book: str, encoding: str, named: str) -> None:
    folder = os.environ.get("LONGHOLD_DATA")
    if not folder or not (Path(folder) / "zh" / f"{book}.txt").exists():
        pytest.skip("LONGHOLD_DATA has no Chinese texts")
    text = (Path(folder) / "zh" / f"{book}.txt").read_text(encoding="utf-8")
    assert decode(text.encode(encoding), name=book).text == text
    generator = random.Random(0)
    for _ in range(50):
        start = generator.randrange(len(text) - 300)
        stretch = text[start : start + 300]
        decoded = decode(stretch.encode(encoding), name=book)
        assert (decoded.text, decoded.encoding) == (stretch, named)


@given(text=st.text(max_size=30), encoding=st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-16-le"]))
def test_a_given_encoding_is_obeyed(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding), name="a", encoding=encoding)
    assert decoded.text == text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert (decoded.encoding, decoded.note) == (encoding, None)


def test_a_given_encoding_is_not_overruled_by_what_fits_better() -> None:
    assert decode("é".encode(), name="a", encoding="latin-1").text == "Ã©"


@pytest.mark.parametrize("raw", ["é".encode("latin-1") + b"abc", b"abc" + SIMPLIFIED.encode("gb18030")])
def test_a_given_encoding_that_does_not_fit_is_refused(raw: bytes) -> None:
    position = next(i for i, byte in enumerate(raw) if byte > 0x7F)
    with pytest.raises(InputError, match=rf"^a\.txt is not utf-8: byte 0x{raw[position]:02x} at position {position}$"):
        decode(raw, name="a.txt", encoding="utf-8")


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "", "utf-8\0", "x" * 500])
def test_an_encoding_that_does_not_exist_is_refused(encoding: str) -> None:
    with pytest.raises(InputError, match="encoding must be one that Python can read text with, got ") as caught:
        decode(b"abc", name="a", encoding=encoding)
    assert len(str(caught.value)) < 120


def test_only_line_ends_are_changed() -> None:
    text = " a\r\n\r\r\n\tb \n\n\u2028c\x0c\n"
    assert decode(text.encode(), name="a").text == " a\n\n\n\tb \n\n\u2028c\x0c\n"
    assert decode((FRENCH * 3).replace("\n", "\r\n").encode("latin-1"), name="a").text == FRENCH * 3


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", "NONE"))
        out.writeframes((np.sin(np.arange(8000) / 9) * 9000).astype("<i2").tobytes())
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(3000, dtype=np.int32))
    return file.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        bytes(1000),
        b"abc\0def" * 10,
        random.Random(1).randbytes(2000),
        zlib.compress(os.urandom(10) + FRENCH.encode() * 50),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + random.Random(2).randbytes(500),
        sound(),
        array(),
        np.random.default_rng(0).standard_normal(500).astype(np.float32).tobytes(),
    ],
    ids=["zeros", "zeros in text", "random", "zlib", "png", "wav", "npy", "floats"],
)
def test_binary_data_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.bin is (binary data, expected text; .*|neither UTF-8 nor .*)$"):
        decode(raw, name="a.bin")


@given(raw=st.binary(max_size=200), encoding=st.none() | st.sampled_from(["utf-8", "gb18030", "cp1252", "utf-16"]))
def test_no_bytes_raise_anything_but_the_input_error(raw: bytes, encoding: str | None) -> None:
    try:
        decoded = decode(raw, name="a", encoding=encoding)
    except InputError:
        return
    assert raw.decode(decoded.encoding).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n") == decoded.text


@given(size=st.integers(300, 3000), seed=st.integers(0, 1000))
def test_random_bytes_are_refused(size: int, seed: int) -> None:
    raw = random.Random(seed).randbytes(size)
    if not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        with pytest.raises(InputError, match="a is binary data, expected text"):
            decode(raw, name="a")


def test_a_stray_control_character_does_not_make_text_binary() -> None:
    text = "a line of text\n" * 50 + "\x00\x01"
    assert decode(text.encode(), name="a").text == text


def test_nothing_is_an_empty_text() -> None:
    assert decode(b"", name="a").text == ""


@pytest.mark.parametrize("stray", [b"\xff", b"\x80", b"\xe4\xbd", b"\xed\xa0\x80"])
@pytest.mark.parametrize(
    "text", ["שלום עולם, ספר הספרים. " * 9, "长江东逝水，浪花淘尽英雄。" * 9, "Un café déjà vu, là. " * 19]
)
def test_utf_8_that_is_broken_in_places_is_still_utf_8(text: str, stray: bytes) -> None:
    raw = text.encode()
    found = decode(raw + stray + raw, name="x")
    assert found.text.replace("\ufffd", "") == text + text
    assert found.encoding == "utf-8"
    count = stray.decode(errors="replace").count("\ufffd")
    assert found.note == (
        f"read as utf-8 with {'1 place that is' if count == 1 else f'{count} places that are'} not, the first at byte "
        f"{len(raw):,}: \ufffd stands there"
    )


def test_a_replacement_character_that_was_there_is_no_broken_place() -> None:
    assert decode(("\ufffd" * 9).encode(), name="x").note is None
    assert "1 place that is not" in str(decode(("\ufffd" * 9 + "é" * 30).encode() + b"\xff", name="x").note)


def test_what_is_broken_often_is_another_encoding() -> None:
    assert decode("Un café déjà vu, là. ".encode("latin-1") * 9, name="x").encoding != "utf-8"
    with pytest.raises(InputError, match="x is neither UTF-8 nor"):
        decode("Un café déjà vu, là. ".encode() * 9 + b" \xe9 \xe8" * 9, name="x")


@pytest.mark.parametrize(
    "text",
    [
        "alpha\0beta\0gamma\0",
        "PATH=/usr/bin\0HOME=/root\0LANG=C.UTF-8\0" * 30,
        FRENCH + "\0" * 512,
        "a name\0\0\0\0\0\0\0\0\0\0a value that is longer than that" + "\0" * 20,
        "plain text, " * 30 + "\0",
    ],
    ids=["C strings", "an environment", "a padded block", "padded fields", "one"],
)
def test_text_with_nul_is_no_utf_16(text: str) -> None:
    decoded = decode(text.encode(), name="a")
    assert (decoded.text, decoded.encoding) == (text, "utf-8")
    if text.count("\0") > len(text) / 100:
        assert decoded.note == f"read as utf-8, with NUL bytes in it: {text.count(chr(0)):,}"


def test_nul_in_another_encoding() -> None:
    text = "un café\0des élèves très étonnés\0" * 10
    decoded = decode(text.encode("cp1252"), name="a")
    assert (decoded.text, decoded.encoding) == (text, "cp1252")


def test_control_characters_late_in_a_file_make_it_binary() -> None:
    with pytest.raises(InputError, match="a is binary data"):
        decode(b"a line of text\n" * 9000 + bytes(range(32)) * 2000, name="a")


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (FRENCH, "utf-8", "utf-8"),
        ("plain words and one café", "utf-8", "utf-8"),
        (SIMPLIFIED[:-1], "utf-8", "utf-8"),
        (SIMPLIFIED[:-1], "gb18030", "gb18030"),
        (JAPANESE[:-1], "cp932", "cp932"),
        (FRENCH * 3, "utf-16", "utf-16"),
        (FRENCH * 3, "utf-16-le", "utf-16-le"),
        (FRENCH * 3, "utf-8-sig", "utf-8-sig"),
    ],
)
def test_a_last_character_that_was_cut_spoils_nothing_else(text: str, encoding: str, named: str) -> None:
    text = text.rstrip("\n").rstrip(" ?") + ("é" if encoding == "utf-8-sig" else "")
    decoded = decode(text.encode(encoding)[:-1], name="a")
    assert decoded.encoding == named
    assert decoded.text == text[:-1] + "\ufffd"
    assert "with 1 place that is not" in str(decoded.note)


def test_a_mark_that_the_bytes_belie_is_still_refused() -> None:
    with pytest.raises(InputError, match="a is not utf-8-sig: byte 0xe9 at position 3"):
        decode(b"\xef\xbb\xbf" + FRENCH.encode("latin-1").replace(b"L", b"\xe9"), name="a")


def test_a_few_good_characters_make_it_utf_8() -> None:
    decoded = decode("Un café déjà vu, ".encode() + b"\xff and plain words", name="a")
    assert decoded.text == "Un café déjà vu, \ufffd and plain words"
    assert decoded.encoding == "utf-8"


@pytest.mark.parametrize("undefined", [0x81, 0x8D, 0x8F, 0x90, 0x9D])
def test_bytes_that_windows_1252_lacks(undefined: int) -> None:
    text = "It’s a naïve café, déjà vu — “très” chic, señor. "
    decoded = decode((text + "Zürich").encode("cp1252") + bytes([undefined]) + b" and so on", name="a")
    assert decoded.text == text + "Zürich\ufffd and so on"
    assert (decoded.encoding, str(decoded.note)[:44]) == ("cp1252", "read as cp1252 with 1 place that is not, the")


@pytest.mark.parametrize("encoding", ["iso2022_jp", "iso2022_kr"])
def test_escape_sequences_are_read(encoding: str) -> None:
    text = JAPANESE if encoding == "iso2022_jp" else "한국어로 쓴 짧은 글입니다.\n"
    decoded = decode(text.encode(encoding), name="a")
    assert (decoded.text, decoded.encoding) == (text, encoding)
    assert decode(b"\x1b[1mbold\x1b[0m \x1b$", name="a").encoding == "utf-8"


def test_entities_stay_as_they_are() -> None:
    text = "caf&eacute; &amp; café &#8364;"
    assert decode(text.encode("cp1252"), name="a").text == text
