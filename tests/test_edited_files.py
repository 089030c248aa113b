"""Show 8: a model file that was edited opens as what it was or is refused in one line, in little time and memory."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from longhold.documents import DEEPEST, LONGEST
from longhold.errors import InputError
from longhold.models.file import read_model, write_model
from longhold.text import load
from tests.editing import BLIND, KNOWING, parts, sealed, whole

EDITS = int(os.environ.get("LONGHOLD_EDITS", "300"))
EXAMPLES = sorted((Path(__file__).parent / "data").glob("format-1-*.safetensors"))
ROOT = Path(__file__).parent.parent

limited = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is limited and measured as Linux does"
)


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the LSTM over characters."""
    return Path(shutil.copy(next(path for path in EXAMPLES if "lstm-char" in path.name), tmp_path / "m.safetensors"))


def line_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000
    return line


@limited
@pytest.mark.slow
@pytest.mark.timeout(3600 if EDITS > 1000 else 300)
def test_edited_files_load_equal_or_are_refused(tmp_path: Path) -> None:
    """`LONGHOLD_EDITS` of them, in a process that may take half a gigabyte and whose every event is watched."""
    for path in EXAMPLES:
        shutil.copy(path, tmp_path)
    done = program("-m", "tests.editing", tmp_path, EDITS, 0)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["seen"] == {}
    counts = found["counts"]
    assert sum(counts.values()) == EDITS
    for edit in {*BLIND, *KNOWING}:
        assert counts.get(f"{edit.__name__} refused", 0) > EDITS // 100, edit.__name__
    assert sum(count for name, count in counts.items() if name.endswith("loaded")) >= EDITS // 100


def test_the_digest_of_the_edits_is_the_digest_of_the_file(file: Path) -> None:
    header, document, body = parts(file.read_bytes())
    again = sealed(header, {**document, "sha256": ""}, body)
    assert parts(again)[1]["sha256"] == document["sha256"]


@limited
def test_the_watch_sees_code_and_the_limit_is_one(tmp_path: Path) -> None:
    code = (
        "from tests.editing import Watch, limit_memory, ROOM\n"
        "watch = Watch(); watch.watching = True\n"
        "exec('1'); open('/dev/null', 'w'); import this\n"
        "watch.watching = False\n"
        "limit_memory()\n"
        "try:\n"
        "    bytearray(2 * ROOM)\n"
        "except MemoryError:\n"
        "    print(sorted({'exec', 'open', 'import'} & set(watch.seen)))\n"
    )
    assert program("-c", code).stdout.splitlines()[-1] == "['exec', 'import', 'open']"


@limited
@pytest.mark.slow
def test_the_longest_headers_take_bounded_time_and_memory(tmp_path: Path) -> None:
    header, document, body = parts(EXAMPLES[0].read_bytes())
    text = json.dumps({**document, "facts": []})
    room = LONGEST - len(json.dumps({**header, "__metadata__": {"longhold": text}})) - 100
    for number, unit in enumerate(["[],", '{"a":1},', '"ab",']):
        many = unit * (room // len(json.dumps(unit)[1:-1]))
        data = whole(header, text.replace('"facts": []', f'"facts": [{many[:-1]}]'), body)
        (tmp_path / str(number)).write_bytes(data)
        assert len(data) > 0.9 * LONGEST
    code = (
        "import sys\n"
        "from longhold.text import load\n"
        "from longhold.errors import InputError\n"
        "from tests.editing import limit_memory\n"
        "limit_memory()\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        load(path)\n"
        "    except InputError as error:\n"
        "        print('SHA-256' in str(error))\n"
    )
    done = program("-c", code, *sorted(tmp_path.iterdir()))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["True"] * 3


def test_a_header_longer_than_the_longest_is_neither_read_nor_written(tmp_path: Path) -> None:
    with open(tmp_path / "m", "wb") as file:
        file.write((LONGEST + 1).to_bytes(8, "little"))
        file.truncate(2 * LONGEST)
    assert "header is too long" in line_of(tmp_path / "m")
    with pytest.raises(InputError, match="smaller vocabulary"):
        write_model(tmp_path / "n", {}, {"kind": "x", "words": "w" * LONGEST})
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_deep_json_is_refused(file: Path, depth: int, opened: str, closed: str) -> None:
    header, document, body = parts(file.read_bytes())
    text = json.dumps(document)
    file.write_bytes(whole(header, f'{{"new": {opened * depth}1{closed * depth}, {text[1:]}', body))
    assert "document is damaged" in line_of(file)


def test_json_of_the_deepest_kind_is_read_and_written(tmp_path: Path) -> None:
    value: object = 1
    for _ in range(DEEPEST - 1):  # the document itself is the first
        value = [value]
    write_model(tmp_path / "m", {}, {"kind": "x", "deep": value})
    assert read_model(tmp_path / "m")[1]["deep"] == value
    with pytest.raises(ValueError, match="levels"):
        write_model(tmp_path / "m", {}, {"kind": "x", "deep": [value]})


@pytest.mark.parametrize("twice", ['"kind": "language_model", ', '"new": 1, "new": 1, '])
def test_a_name_that_stands_twice_is_refused(file: Path, twice: str) -> None:
    header, document, body = parts(file.read_bytes())
    file.write_bytes(whole(header, "{" + twice + json.dumps(document)[1:], body))
    assert "document is damaged" in line_of(file)
    raw = json.dumps(header)
    raw = raw[:-1] + ', "output.bias": ' + json.dumps(header["output.bias"]) + "}"
    file.write_bytes(len(raw).to_bytes(8, "little") + raw.encode() + body)
    assert "damaged" in line_of(file)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "1" * 5000])
def test_numbers_that_are_none_are_refused(file: Path, number: str) -> None:
    header, document, body = parts(file.read_bytes())
    file.write_bytes(whole(header, f'{{"new": {number}, {json.dumps(document)[1:]}', body))
    assert "document is damaged" in line_of(file)


@pytest.mark.parametrize(
    "lie",
    [
        {"dtype": "F64"},
        {"dtype": "F4"},
        {"dtype": ["F32"]},
        {"shape": [2**62, 2**62]},
        {"shape": [0, 2**62]},
        {"shape": [1] * 40},
        {"shape": [-1]},
        {"shape": [True]},
        {"shape": 3},
        {"data_offsets": [0, 2**60]},
        {"data_offsets": [1, 2, 3]},
        {"data_offsets": [4, 0]},
        {"more": 1},
    ],
)
def test_a_tensor_that_is_not_as_large_as_it_says(file: Path, lie: dict) -> None:
    header, document, body = parts(file.read_bytes())
    file.write_bytes(whole({**header, "output.bias": {**header["output.bias"], **lie}}, document, body))
    assert "damaged" in line_of(file)


def test_gaps_and_overlaps_are_refused(file: Path) -> None:
    header, document, body = parts(file.read_bytes())
    file.write_bytes(whole(header, document, body + b"\0"))
    assert "damaged" in line_of(file)
    other = next(name for name in header if header[name] != header["output.bias"] and name != "__metadata__")
    file.write_bytes(whole({**header, "output.bias": header[other]}, document, body))
    assert "damaged" in line_of(file)


@limited
def test_a_sparse_file_of_a_terabyte_is_refused_unread(file: Path) -> None:
    with open(file, "r+b") as opened:
        opened.truncate(2**40)
    assert "damaged" in line_of(file)


@pytest.mark.parametrize(
    "values",
    [
        {"num_layers": 1000},
        {"num_layers": 10**9},
        {"hidden_size": 2**24, "proj_size": 2**23},
        {"embedding_size": 2**24},
        {"vocab_size": 2**24},
        {"vocab_size": 10**30},
    ],
)
def test_a_configuration_of_terabytes_builds_nothing(file: Path, values: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, document = read_model(file)
    write_model(file, tensors, {**document, "config": {**document["config"], **values}})
    line = line_of(file)
    assert "do not fit" in line or "_size=" in line or "num_layers=" in line


def test_weights_of_types_that_no_model_computes_in_are_refused(file: Path) -> None:
    tensors, document = read_model(file)
    for dtype in (torch.float8_e4m3fn, torch.int32, torch.complex64):
        write_model(file, {name: tensor.to(dtype) for name, tensor in tensors.items()}, document)
        assert "expected floating point" in line_of(file)
    write_model(file, {**tensors, "output.bias": tensors["output.bias"].double()}, document)
    assert "several types" in line_of(file)


def test_names_in_a_file_cannot_steer_a_terminal(file: Path) -> None:
    tensors, document = read_model(file)
    write_model(file, {**tensors, "\x1b[2J\nhello": torch.zeros(1)}, document)
    assert "\x1b" not in line_of(file)
    write_model(file, tensors, {**document, "config": {**document["config"], "\x1b[2J\nhello": 1}})
    assert "\x1b" not in line_of(file)


@pytest.mark.parametrize("part", ["config", "facts", None])
def test_many_unknown_names_are_one_short_line(file: Path, part: str | None) -> None:
    tensors, document = read_model(file)
    for count, word in ((100, "and 9"), (100_000, "entries")):
        many = {f"name {n}": n for n in range(count)}
        write_model(file, tensors, {**document, **({part: {**document[part], **many}} if part else many)})
        assert word in line_of(file)
