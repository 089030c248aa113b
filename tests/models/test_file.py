"""The one-file format: what was written comes back, and whatever else is in the file is refused in one line."""

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from longhold.errors import InputError
from longhold.models.file import FORMAT_VERSION, read_model, write_model

DOCUMENT = {
    "kind": "language_model",
    "config": {"hidden_size": 3, "dropout": 0.1},
    "facts": {"corpus": "naïve ☃ \ud800"},
}


def some_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "weight": torch.randn(5, 3, generator=generator),
        "half": torch.randn(7, generator=generator).half(),
        "brain": torch.randn(2, 1, 3, generator=generator).bfloat16(),
        "double": torch.randn(2, generator=generator).double(),
        "step": torch.tensor(12345678901),
        "generator": generator.get_state(),
        "mask": torch.tensor([True, False, True]),
        "empty": torch.empty(0, 4),
        "strided": torch.arange(12.0).view(3, 4).t(),
        "nan": torch.tensor([float("nan"), float("inf"), -0.0]),
    }


def same(left: Tensor, right: Tensor) -> bool:
    """Same dtype, shape and bits (NaN included)."""
    bits = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (left, right)]
    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(*bits)


def header_of(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def put_header(path: Path, header: dict, body: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def edit_document(path: Path, **changes: object) -> None:
    header, body = header_of(path)
    document = json.loads(header["__metadata__"]["longhold"])
    header["__metadata__"]["longhold"] = json.dumps({**document, **changes})
    put_header(path, header, body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "model.safetensors"
    write_model(target, some_tensors(), DOCUMENT)
    return target


def test_what_was_written_comes_back_bit_for_bit(path: Path) -> None:
    tensors, document = read_model(path)
    expected = some_tensors()
    assert document == DOCUMENT
    assert tensors.keys() == expected.keys()
    assert all(same(tensors[name], expected[name]) for name in expected)


def test_other_readers_of_safetensors_can_open_it(path: Path) -> None:
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("weight"), some_tensors()["weight"])
        assert json.loads(file.metadata()["longhold"])["format_version"] == FORMAT_VERSION


def test_the_same_content_gives_the_same_bytes(path: Path) -> None:
    again = path.with_name("again")
    backwards = dict(reversed(some_tensors().items()))
    write_model(again, backwards, dict(reversed(DOCUMENT.items())))
    assert again.read_bytes() == path.read_bytes()


def test_tied_tensors_are_stored_once_and_come_back_tied(tmp_path: Path) -> None:
    table = torch.randn(100, 10)
    write_model(tmp_path / "tied", {"output": table, "embedding": table, "part": table[:5]}, {"kind": "x"})
    tensors, document = read_model(tmp_path / "tied")
    assert tensors["output"].data_ptr() == tensors["embedding"].data_ptr()
    assert torch.equal(tensors["part"], table[:5])
    assert document == {"kind": "x"}
    assert os.path.getsize(tmp_path / "tied") < 4 * (1000 + 50) + 1000


def test_views_of_one_buffer_are_stored_as_what_they_show(tmp_path: Path) -> None:
    flat = torch.arange(10.0)
    write_model(tmp_path / "views", {"a": flat[:6].view(2, 3), "b": flat[6:], "over": flat[3:8]}, {"kind": "x"})
    tensors, _ = read_model(tmp_path / "views")
    assert torch.equal(tensors["a"], flat[:6].view(2, 3))
    assert torch.equal(tensors["b"], flat[6:])
    assert torch.equal(tensors["over"], flat[3:8])


def test_tensors_read_may_be_written_to(path: Path) -> None:
    tensors, _ = read_model(path)
    tensors["weight"].zero_()
    assert same(read_model(path)[0]["weight"], some_tensors()["weight"])


@pytest.mark.parametrize("name", ["format_version", "sha256", "shared"])
def test_names_of_the_format_are_refused_in_a_document(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        write_model(tmp_path / "m", {}, {"kind": "x", name: 1})


@pytest.mark.parametrize("document", [{}, {"kind": ""}, {"kind": 3}, {"kind": "x", "loss": float("nan")}])
def test_a_document_that_could_not_be_read_is_not_written(tmp_path: Path, document: dict) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (pydantic's and json's own)
        write_model(tmp_path / "m", {}, document)
    assert list(tmp_path.iterdir()) == []


def line_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_model(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"cannot read {str(path)!r}: ")
    return line


def test_missing_file_folder_and_empty_file(tmp_path: Path) -> None:
    assert "no such file" in line_of(tmp_path / "nothing")
    assert "not a file" in line_of(tmp_path)
    (tmp_path / "empty").touch()
    assert "empty" in line_of(tmp_path / "empty")


def test_every_truncation_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for length in [1, 7, 8, 9, 100, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        assert "truncated" in line_of(path) or "damaged" in line_of(path)
    path.write_bytes(data + b"\0")
    assert "damaged" in line_of(path)


@pytest.mark.parametrize(
    "data",
    [
        b"Call me Ishmael. Some years ago, never mind how long precisely.",
        b"\xff" * 64,
        (50).to_bytes(8, "little") + b"[" * 50,
        (9).to_bytes(8, "little") + b'{"a":NaN}',
        (4).to_bytes(8, "little") + b"null",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
    ],
)
def test_what_is_no_safetensors_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m").write_bytes(data)
    assert "safetensors" in line_of(tmp_path / "m")


def test_a_header_longer_than_the_file_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    assert "truncated" in line_of(tmp_path / "m")
    with open(tmp_path / "sparse", "wb") as file:
        file.write((2**40).to_bytes(8, "little"))
        file.truncate(2**41)
    assert "not a safetensors file" in line_of(tmp_path / "sparse")


def test_shapes_larger_than_the_file_take_no_memory(path: Path) -> None:
    header, body = header_of(path)
    header["weight"]["shape"] = [2**40, 2**20]
    put_header(path, header, body)
    assert "damaged" in line_of(path)


def test_a_foreign_safetensors_is_named_as_such(tmp_path: Path) -> None:
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(3)}, tmp_path / "m", metadata)
        assert "longhold did not write it" in line_of(tmp_path / "m")


def test_a_newer_format_asks_for_an_upgrade(path: Path) -> None:
    edit_document(path, format_version=7)
    assert "written by a newer longhold (format 7, this one reads up to 1): upgrade longhold" in line_of(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 0},
        {"format_version": "1"},
        {"format_version": True},
        {"kind": 3},
        {"kind": ""},
        {"sha256": "zz"},
        {"sha256": None},
        {"shared": ["weight"]},
        {"shared": {"tied": "no such"}},
        {"shared": {"half": "weight"}},
    ],
)
def test_a_malformed_document_is_refused(path: Path, changes: dict) -> None:
    edit_document(path, **changes)
    assert "document is damaged" in line_of(path)


@pytest.mark.parametrize("changes", [{"facts": {}}, {"kind": "other"}, {"new": 1}, {"shared": {"tied": "half"}}])
def test_a_changed_document_does_not_match_its_digest(path: Path, changes: dict) -> None:
    edit_document(path, **changes)
    assert "SHA-256" in line_of(path)


def test_a_changed_dtype_name_or_value_does_not_match_the_digest(path: Path) -> None:
    header, body = header_of(path)
    put_header(path, {**header, "half": {**header["half"], "dtype": "BF16"}}, body)
    assert "SHA-256" in line_of(path)
    put_header(path, {("wait" if name == "weight" else name): entry for name, entry in header.items()}, body)
    assert "SHA-256" in line_of(path)
    put_header(path, header, body[:-1] + bytes([body[-1] ^ 1]))
    assert "SHA-256" in line_of(path)


def test_a_dtype_without_a_torch_counterpart_is_refused(path: Path) -> None:
    header, body = header_of(path)
    header["weight"] |= {"dtype": "F4", "shape": [5, 24]}
    put_header(path, header, body)
    line_of(path)


def test_edits_at_random_places_are_harmless_or_refused(path: Path) -> None:
    data, expected = path.read_bytes(), read_model(path)
    chance = random.Random(0)
    complaints = []
    for _ in range(400):
        damaged = bytearray(data)
        start = chance.randrange(len(data) if chance.random() < 0.3 else 1200)
        for place in range(start, min(start + chance.choice([1, 1, 4]), len(data))):
            damaged[place] = chance.choice([chance.randrange(256), ord(chance.choice('0123456789{}[]",: -eE'))])
        path.write_bytes(damaged)
        try:
            tensors, document = read_model(path)
        except InputError as error:
            complaints.append(str(error))
        else:
            assert document == expected[1]
            assert tensors.keys() == expected[0].keys()
            assert all(same(tensors[name], expected[0][name]) for name in tensors)
    assert len(complaints) > 300
    assert not any("\n" in complaint for complaint in complaints)


def test_failure_leaves_the_old_file_and_no_temporary(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        write_model(path, {"a": torch.zeros(3)}, DOCUMENT)
    assert str(caught.value) == f"cannot save {str(path)!r}: no space left on device; the previous file is untouched"
    assert path.read_bytes() == old
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_system_that_stops_in_the_middle(tmp_path: Path) -> None:
    """A real write error: the child may write files of at most 4096 bytes."""
    code = (
        "import resource, sys, torch\n"
        "from longhold.errors import InputError\n"
        "from longhold.models.file import write_model\n"
        "write_model(sys.argv[1], {'a': torch.zeros(10)}, {'kind': 'x'})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    write_model(sys.argv[1], {'a': torch.zeros(10_000)}, {'kind': 'x'})\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    target = tmp_path / "model"
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot save {str(target)!r}: file too large; the previous file is untouched\n"
    assert torch.equal(read_model(target)[0]["a"], torch.zeros(10))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_only_a_file_of_the_same_kind_is_replaced(path: Path, tmp_path: Path) -> None:
    write_model(path, {"a": torch.ones(2)}, DOCUMENT)
    assert read_model(path)[0].keys() == {"a"}
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign, {"format": "pt"})
    text = tmp_path / "text"
    text.write_text("Call me Ishmael.")
    for there, kind in ((path, "checkpoint"), (foreign, "language_model"), (text, "language_model")):
        before = there.read_bytes()
        with pytest.raises(InputError, match=f"is there already and is not a {kind.replace('_', ' ')}"):
            write_model(there, {"a": torch.zeros(3)}, {"kind": kind})
        assert there.read_bytes() == before
        write_model(there, {"a": torch.zeros(3)}, {"kind": kind}, overwrite=True)
        assert read_model(there)[1]["kind"] == kind


def test_a_damaged_file_of_the_same_kind_is_replaced(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])
    write_model(path, {"a": torch.ones(2)}, DOCUMENT)
    assert read_model(path)[0].keys() == {"a"}
