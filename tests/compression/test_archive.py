"""Archives: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longhold.compression import Codec, compress, decompress, read_archive, usual_limit
from longhold.compression import archive as archives
from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, start_token
from longhold.errors import InputError
from longhold.integer import integer_bits, quantize
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.ngram import KneserNey
from longhold.text import TextModel

SENTENCE = "The cat, which already ate a bunch of food, was full. The cats, which already ate it, were full.\n"
TEXTS = {
    "Chinese": "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空。\n",
    "Thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ",
    "right to left": "שלום עולם — مرحبا بالعالم\n",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈😀 e\u0301 é",
    "control characters": "\x00\x1b[31m\u202e\ufeff\r\n\t",
    "GB18030": "",
    "broken UTF-8": "",
}
RAW = {
    **{name: text.encode() for name, text in TEXTS.items()},
    "GB18030": "滚滚长江东逝水".encode("gb18030"),
    "broken UTF-8": b"caf\xc3 \xed\xa0\x80 \xf0\x9f\x98 \xff\xfe ok",
}


def text_model(tokenizer: Tokenizer, seed: int = 0) -> TextModel:
    torch.manual_seed(seed)
    config = LanguageModelConfig(cell="gru", vocab_size=tokenizer.vocab_size, hidden_size=3, embedding_size=2)
    return TextModel(LanguageModel(config).eval(), tokenizer)


def trained(tokenizer: Tokenizer, text: str, steps: int = 60) -> TextModel:
    model = text_model(tokenizer)
    model.model = LanguageModel(LanguageModelConfig(cell="lstm", vocab_size=tokenizer.vocab_size, hidden_size=32))
    ids = torch.from_numpy(tokenizer.encode(text))
    optimizer = torch.optim.Adam(model.model.parameters(), lr=2e-2)
    rows = torch.stack([ids[k : k + 65] for k in range(0, len(ids) - 65, 61)], dim=1)
    for _ in range(steps):
        optimizer.zero_grad()
        model.model.loss(rows[:-1], rows[1:])[0].backward()
        optimizer.step()
    model.model.eval()
    return model


MODELS = {
    "characters": text_model(CharTokenizer("The cat\n")),
    "closed characters": text_model(CharTokenizer("The cat\n滚", fallback=False)),
    "bytes": text_model(ByteTokenizer()),
    "words": text_model(WordTokenizer.train(SENTENCE)),
    "byte pairs": text_model(BPETokenizer.train(SENTENCE * 3, 290)),
}

CODECS = {kind: Codec(model, 8) for kind, model in MODELS.items()}


@pytest.fixture(scope="module")
def reader() -> TextModel:
    """A model that has read `SENTENCE`."""
    torch.manual_seed(0)
    return trained(CharTokenizer("".join(set(SENTENCE))), SENTENCE * 30)


@settings(max_examples=200)
@given(data=st.binary(max_size=120))
@pytest.mark.parametrize("kind", MODELS)
def test_any_bytes_come_back(kind: str, data: bytes) -> None:
    archive = CODECS[kind].compress(data)
    assert len(archive) <= len(data) + 70
    assert CODECS[kind].decompress(archive) == data


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("kind", MODELS)
def test_texts_of_the_world_come_back(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Untrained models gain nothing and would store; here they have to code.
    monkeypatch.setattr(archives, "encode_symbols", always_coded)
    archive = compress(MODELS[kind], RAW[name])
    assert read_archive(archive)[0].segments == 1
    assert decompress(MODELS[kind], archive) == RAW[name]


def always_coded(model: Any, spelling: Any, symbols: Any, start: int, segments: int, worth: int, say: Any) -> bytes:
    found = ENCODE(model, spelling, symbols, start, segments, 2**40, say)
    assert found is not None
    return found


ENCODE = archives.encode_symbols


@pytest.mark.parametrize("data", [b"", b"T", b"\xff", b"\n", "滚".encode()])
@pytest.mark.parametrize("kind", MODELS)
def test_nothing_and_one_character(kind: str, data: bytes) -> None:
    assert decompress(MODELS[kind], compress(MODELS[kind], data)) == data


def test_it_is_as_short_as_the_model_is_good(reader: TextModel) -> None:
    data = (SENTENCE * 12).encode()
    archive = compress(reader, data)
    header, payload = read_archive(archive)
    ids = np.concatenate([[start_token(reader.tokenizer)], reader.tokenizer.encode(data.decode())])
    model = reader.model
    assert isinstance(model, LanguageModel)
    bits = integer_bits(quantize(model, 16), ids, columns=1) * (len(ids) - 1)
    assert bits / 8 - 6 <= len(payload) <= bits / 8 + 3
    assert len(payload) < len(data) / 3
    assert header.symbols == len(data)
    assert decompress(reader, archive) == data


@pytest.mark.parametrize(
    ("length", "segments"), [(1, 1), (2, 2), (64, 64), (65, 2), (127, 7), (1000, 1), (1000, 7), (1000, 63)]
)
def test_however_many_segments(reader: TextModel, segments: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "segments_for", lambda symbols: segments)
    monkeypatch.setattr(archives, "encode_symbols", always_coded)
    data = (SENTENCE * 11).encode()[:length]
    archive = compress(reader, data)
    assert read_archive(archive)[0].segments == segments
    assert decompress(reader, archive) == data


def test_the_number_of_segments_grows_with_the_text_and_none_is_empty() -> None:
    assert [archives.segments_for(n) for n in (1, 4095, 8191, 8192, 10**6)] == [1, 1, 1, 2, 64]
    assert all(archives.fits(n, archives.segments_for(n)) for n in (*range(1, 400), *range(4000, 270_000, 997)))


def test_escapes_beside_tokens(reader: TextModel) -> None:
    closed = trained(CharTokenizer("".join(set(SENTENCE)), fallback=False), SENTENCE * 30, steps=30)
    data = (SENTENCE * 8 + "né 中 \x00").encode() + b"\xff\xfe" + SENTENCE.encode()
    archive = compress(closed, data)
    assert read_archive(archive)[0].segments == 1
    assert decompress(closed, archive) == data


def test_random_bytes_are_stored_and_grow_by_the_header_alone(reader: TextModel) -> None:
    data = random.Random(0).randbytes(20_000)
    archive = compress(reader, data)
    assert len(archive) <= len(data) + 70
    assert read_archive(archive)[0].segments == 0
    assert decompress(reader, archive) == data


def test_it_gives_up_early_on_what_does_not_pay(reader: TextModel) -> None:
    seen: list[int] = []
    compress(reader, random.Random(0).randbytes(60_000), on_progress=lambda done, whole: seen.append(done / whole))  # type: ignore[arg-type]
    assert seen[-1] < 0.5


def test_progress_is_told_to_the_end(reader: TextModel) -> None:
    data, seen = (SENTENCE * 3).encode(), []
    archive = compress(reader, data, on_progress=lambda done, whole: seen.append((done, whole)))
    assert seen[-1] == (len(data), len(data))
    seen.clear()
    decompress(reader, archive, on_progress=lambda done, whole: seen.append((done, whole)))
    assert seen == [(step + 1, len(data)) for step in range(len(data))]


def test_the_wrong_model_is_refused(reader: TextModel) -> None:
    for archive in (compress(reader, SENTENCE.encode()), compress(reader, b"\x80")):
        other = text_model(reader.tokenizer)
        with pytest.raises(InputError, match="made with another model"):
            decompress(other, archive)
    trained = TextModel(reader.model, CharTokenizer("".join(set(SENTENCE)).replace("T", "X")))
    with pytest.raises(InputError, match="made with another model"):
        decompress(trained, compress(reader, SENTENCE.encode()))


def test_a_model_without_a_form_in_whole_numbers_is_refused() -> None:
    ngram = TextModel(KneserNey(order=2, vocab_size=263), CharTokenizer("The cat\n"))
    with pytest.raises(InputError, match="only a LanguageModel can compress, not a KneserNey"):
        compress(ngram, b"x")


def test_every_truncation_and_every_changed_byte_is_noticed(reader: TextModel) -> None:
    for data in ((SENTENCE * 2).encode(), b"\x80\x81"):
        archive = compress(reader, data)
        for end in range(len(archive)):
            with pytest.raises(InputError, match=r"truncated or damaged|not an archive"):
                read_archive(archive[:end])
        for at in range(len(archive)):
            changed = archive[:at] + bytes((archive[at] ^ 1 << at % 8,)) + archive[at + 1 :]
            with pytest.raises(InputError, match=r"truncated or damaged|not an archive|upgrade longhold"):
                read_archive(changed)
        with pytest.raises(InputError, match="truncated or damaged"):
            read_archive(archive + b"\0")


def sealed(header: archives.Header, payload: bytes) -> bytes:
    return archives._written(header, payload)


def test_a_header_that_lies_is_refused_even_with_the_right_checksum(reader: TextModel) -> None:
    archive = compress(reader, (SENTENCE * 2).encode())
    header, payload = read_archive(archive)
    assert sealed(header, payload) == archive
    for change in (
        {"symbols": 2**50},
        {"symbols": 0},
        {"segments": 65, "symbols": 5000, "length": 5000},
        {"segments": 64, "symbols": 70},
        {"segments": 0},
        {"length": 3},
    ):
        with pytest.raises(InputError, match="truncated or damaged"):
            decompress(reader, sealed(dataclasses.replace(header, **change), payload))  # type: ignore[arg-type]
    for change in ({"sha256": bytes(32)}, {"symbols": header.symbols - 1}, {"length": header.length + 1}):
        with pytest.raises(InputError, match="what comes out is not what went in"):
            decompress(reader, sealed(dataclasses.replace(header, **change), payload))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="what comes out is not what went in"):
        decompress(reader, sealed(header, payload[:-3]))
    with pytest.raises(InputError, match="another model"):
        decompress(reader, sealed(dataclasses.replace(header, bits=8), payload))


HOSTILE = {
    "as it was": None,
    "nothing": b"",
    "zeros": bytes(110),
    "255": b"\xff" * 110,
    "random": random.Random(1).randbytes(110),
    "one bit": b"\x80" + bytes(100),
}


@pytest.mark.parametrize("segments", [1, 64])
@pytest.mark.parametrize("symbols", [256, 5_000, 10**5, 2**18, 10**7, 2**30, 2**50, 2**53 - 1])
def test_what_an_archive_claims_costs_nothing(reader: TextModel, symbols: int, segments: int) -> None:
    header, coded = read_archive(compress(reader, (SENTENCE * 2).encode()))
    claim, codec = dataclasses.replace(header, symbols=symbols, length=symbols, segments=segments), Codec(reader)
    for payload in HOSTILE.values():
        seen: list[tuple[int, int]] = []
        archive = sealed(claim, coded if payload is None else payload)
        with pytest.raises(InputError, match=r"what comes out is not what went in|expected at most") as caught:
            codec.decompress(archive, lambda *progress, seen=seen: seen.append(progress))
        assert "\n" not in str(caught.value)
        steps = [done for done, whole in seen if done < whole]
        assert len(steps) <= 8 * (len(coded if payload is None else payload) + 14)


def test_a_limit_is_obeyed_and_a_flag_raises_it(reader: TextModel) -> None:
    data = b"\n" * 20_000
    archive = compress(reader, data)
    assert len(archive) < 100
    assert decompress(reader, archive, limit=20_000) == decompress(reader, archive) == data
    with pytest.raises(InputError, match=r"holds 20,000 bytes, expected at most 19,999; .*--limit 20000"):
        decompress(reader, archive, limit=19_999)
    with pytest.raises(InputError, match="limit=-1"):
        decompress(reader, archive, limit=-1)
    stored = compress(reader, random.Random(0).randbytes(500))
    assert len(decompress(reader, stored, limit=0)) == 500, "what is stored is as long as it says"
    assert usual_limit(170) == 2**18
    assert usual_limit(10**6) == 10**9


def test_symbols_for_which_the_bytes_are_too_few_are_refused() -> None:
    model = MODELS["words"]
    header, payload = read_archive(compress(model, SENTENCE.encode()))
    claim = dataclasses.replace(header, symbols=2, length=200_000, segments=1)
    with pytest.raises(InputError, match="what comes out is not what went in"):
        decompress(model, sealed(claim, payload))


def test_a_number_without_an_end_is_refused() -> None:
    for numbers in (
        b"\xff" * 40,
        b"\x80" * 40,
        b"\xff" * 8 + b"\x7f" + b"\x00\x00" + bytes(40),
        b"\x80" * 7 + b"\x70\x00\x00" + bytes(40),
    ):
        head = archives.MAGIC + bytes((1, 8)) + bytes(16) + numbers
        with pytest.raises(InputError, match="truncated or damaged"):
            read_archive(head + zlib.crc32(head).to_bytes(4, "little"))


def test_a_newer_version_is_named(reader: TextModel) -> None:
    archive = bytearray(compress(reader, b"The cat"))
    archive[4] = 9
    with pytest.raises(InputError, match=r"has version 9, this longhold reads version 1: upgrade"):
        decompress(reader, bytes(archive))


def test_the_header_is_as_documented(reader: TextModel) -> None:
    data = (SENTENCE * 2).encode()
    archive = compress(reader, data, bits=8)
    assert archive[:6] == b"LHTX\x01\x08"
    at = 22
    assert archive[at : at + 2] == bytes((0x80 | len(data) & 0x7F, len(data) >> 7))
    assert archive[at + 2 : at + 4] == archive[at : at + 2]
    assert archive[at + 4] == 1
    assert archive[at + 5 : at + 37] == hashlib.sha256(data).digest()
    checked = archive[: at + 37] + archive[at + 41 :]
    assert archive[at + 37 : at + 41] == zlib.crc32(checked).to_bytes(4, "little")
