import errno
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.batching import ContiguousBatches
from longhold.data.token_file import open_tokens, write_tokens
from longhold.errors import InputError


@pytest.mark.parametrize(("vocab_size", "width"), [(2, 2), (65_536, 2), (65_537, 4), (2**32, 4)])
def test_tokens_come_back_in_the_smallest_type(tmp_path: Path, vocab_size: int, width: int) -> None:
    tokens = np.random.default_rng(0).integers(0, vocab_size, 1001)
    tokens[0] = vocab_size - 1
    path = tmp_path / "a.tokens"
    assert write_tokens(path, np.array_split(tokens, 7), vocab_size) == 1001
    opened = open_tokens(path)
    assert opened.tokens.tolist() == tokens.tolist()
    assert opened.tokens.dtype.itemsize == width
    assert opened.vocab_size == vocab_size
    assert path.stat().st_size == 32 + 1001 * width
    assert list(tmp_path.iterdir()) == [path]


@given(chunks=st.lists(st.lists(st.integers(0, 299))))
def test_chunks_are_joined(tmp_path_factory: pytest.TempPathFactory, chunks: list[list[int]]) -> None:
    path = tmp_path_factory.getbasetemp() / "joined.tokens"
    flat = [token for chunk in chunks for token in chunk]
    if flat:
        write_tokens(path, (np.array(chunk) for chunk in chunks), 300)
        assert open_tokens(path).tokens.tolist() == flat
    else:
        with pytest.raises(InputError, match="at least one token"):
            write_tokens(path, (np.array(chunk) for chunk in chunks), 300)


def test_batches_of_a_mapped_file_are_those_of_the_array(tmp_path: Path) -> None:
    tokens = np.random.default_rng(1).integers(0, 300, 5000)
    write_tokens(tmp_path / "a", [tokens], 300)
    mapped = ContiguousBatches(open_tokens(tmp_path / "a").tokens, 4, 9, random_offset=True)
    plain = ContiguousBatches(tokens, 4, 9, random_offset=True)
    for step in range(0, 400, 7):
        assert torch.equal(mapped.at(step).inputs, plain.at(step).inputs)


def test_neither_writing_nor_batching_holds_the_file_in_memory(tmp_path: Path) -> None:
    chunk = np.arange(1 << 18) % 1000
    tracemalloc.start()
    try:
        write_tokens(tmp_path / "large", (chunk for _ in range(80)), 1000)
        batches = ContiguousBatches(open_tokens(tmp_path / "large").tokens, 16, 50)
        for step in range(0, batches.per_epoch, batches.per_epoch // 50):
            batches.at(step)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "large").stat().st_size == 32 + 2 * 80 * (1 << 18)
    assert peak < 4 << 20


def write_then(path: Path, change: slice | bytes | None) -> None:
    write_tokens(path, [np.arange(100)], 100)
    raw = path.read_bytes()
    path.write_bytes(raw[change] if isinstance(change, slice) else raw + (change or b""))


@pytest.mark.parametrize("keep", [0, 7, 31, 32, 33, 231])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    write_then(tmp_path / "a", slice(keep))
    with pytest.raises(InputError, match=r"not a token file$|must have 232 bytes for its 100 tokens, got \d+$"):
        open_tokens(tmp_path / "a")


def test_a_longer_file_is_refused(tmp_path: Path) -> None:
    write_then(tmp_path / "a", b"xx")
    with pytest.raises(InputError, match="must have 232 bytes for its 100 tokens, got 234"):
        open_tokens(tmp_path / "a")


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"x", "not a token file"),
        (8, b"\x02", "version 2, expected 1"),
        (12, b"\x03", "damaged"),
        (24, b"\0", "damaged"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, offset: int, value: bytes, message: str) -> None:
    path = tmp_path / "a"
    write_tokens(path, [np.arange(100)], 100)
    raw = bytearray(path.read_bytes())
    raw[offset : offset + 1] = value
    path.write_bytes(raw)
    with pytest.raises(InputError, match=message):
        open_tokens(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*: No such file"):
        open_tokens(tmp_path / "none")
    with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
        open_tokens(tmp_path)
    with pytest.raises(InputError, match=r"cannot save .*: there is no folder"):
        write_tokens(tmp_path / "none" / "a", [np.arange(3)], 3)


@pytest.mark.parametrize("chunk", [np.array([100]), np.array([-1]), np.array([1.0]), np.array([[1]])])
def test_wrong_ids_leave_nothing_behind(tmp_path: Path, chunk: np.ndarray) -> None:
    write_tokens(tmp_path / "a", [np.arange(3)], 3)
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(InputError, match="tokens must be"):
        write_tokens(tmp_path / "a", [np.arange(100), chunk], 100)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == before


def test_a_failing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    def chunks() -> Iterator[np.ndarray]:
        yield np.arange(10)
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_tokens(tmp_path / "a", chunks(), 100)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot save .*: no space left on device; nothing was written$"):
        write_tokens(tmp_path / "a", [np.arange(3)], 3)
    assert list(tmp_path.iterdir()) == []


def test_only_a_token_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"longhorn cattle")
    with pytest.raises(InputError, match="is there already and is not a token file"):
        write_tokens(path, [np.arange(3)], 3)
    assert path.read_bytes() == b"longhorn cattle"
    assert write_tokens(path, [np.arange(3)], 3, overwrite=True) == 3
    assert write_tokens(path, [np.arange(4)], 4) == 4
    assert open_tokens(path).tokens.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("vocab_size", [0, -5, 2**32 + 1])
def test_a_vocabulary_that_fits_no_file_is_refused(tmp_path: Path, vocab_size: int) -> None:
    with pytest.raises(InputError, match=f"got {vocab_size}"):
        write_tokens(tmp_path / "a", [np.arange(1)], vocab_size)
