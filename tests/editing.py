"""Model files edited at random, and a program that loads them with little memory and watches what loading does.

    python -m tests.editing FOLDER EDITS SEED

loads `EDITS` edited forms of the models in `FOLDER` and prints one JSON object that says what happened.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import resource
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longhold.errors import InputError
from longhold.text import TextModel, load

ROOM = 2**29
"""Bytes that loading may take beyond what the process has when it begins; the files have tens of kilobytes."""

LONGEST_LINE = 5000
"""Characters of a refusal."""

_DTYPES = {"F32": "torch.float32", "I32": "torch.int32", "U32": "torch.uint32", "F16": "torch.float16"}
_JSON = b'0123456789{}[]",: -+eE\\\\nultrfas'
_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    3,
    2**24,
    2**31,
    2**63,
    10**30,
    10**4000,
    1e308,
    0.5,
    "",
    "x",
    "x" * 100_000,
    "\n\x1b[2J\u202e",
    "\ud800",
    "chrono:1e400",
    "orthogonal:nan",
    [],
    [1],
    [[]] * 1000,
    ["a"] * 1000,
    {},
    {"a": 2},
    {"self": 1},
)

Bytes = Callable[[random.Random, bytes], bytes]


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, document and tensor bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["longhold"]), data[8 + length :]


def whole(header: dict[str, Any], document: dict[str, Any] | str, body: bytes) -> bytes:
    """A file of these parts."""
    text = document if isinstance(document, str) else json.dumps(document)
    raw = json.dumps({**header, "__metadata__": {"longhold": text}}).encode()
    return len(raw).to_bytes(8, "little") + raw + body


def sealed(header: dict[str, Any], document: dict[str, Any], body: bytes) -> bytes:
    """A file of these parts whose digest is right, worked out as models/file.py describes it."""

    def canonical(value: object) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    sha256 = hashlib.sha256(canonical({name: value for name, value in document.items() if name != "sha256"}))
    for name in sorted(set(header) - {"__metadata__"}):
        entry = header[name]
        start, stop = entry["data_offsets"]
        sha256.update(canonical([name, _DTYPES[entry["dtype"]], entry["shape"]]) + body[start:stop])
    return whole(header, {**document, "sha256": sha256.hexdigest()}, body)


def changed(chance: random.Random, data: bytes) -> bytes:
    """Some bytes become others, mostly in the header."""
    edited = bytearray(data)
    start = chance.randrange(len(data) if chance.random() < 0.4 else min(len(data), 4000))
    for place in range(start, min(start + chance.choice([1, 1, 1, 2, 8]), len(data))):
        edited[place] = chance.choice([chance.randrange(256), chance.choice(_JSON)])
    return bytes(edited)


def cut(chance: random.Random, data: bytes) -> bytes:
    """A piece is missing, often the end."""
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.choice([1, 2, 30, 1000, len(data)]) :]


def inserted(chance: random.Random, data: bytes) -> bytes:
    """A piece is added, new or copied."""
    place, start = chance.randrange(len(data) + 1), chance.randrange(len(data))
    new = bytes(chance.choices(_JSON, k=chance.choice([1, 2, 20])))
    return data[:place] + chance.choice([new, chance.randbytes(9), data[start : start + 200]]) + data[place:]


def mislength(chance: random.Random, data: bytes) -> bytes:
    """The header is said to have another length."""
    length = chance.choice([0, 1, chance.randrange(len(data)), 2**24, 2**32, 2**40, 2**63, 2**64 - 1])
    return length.to_bytes(8, "little") + data[8:]


def leaf(chance: random.Random, data: bytes) -> bytes:
    """One value of the document is an odd one."""
    header, document, body = parts(data)
    *road, last = chance.choice([place for place in places(document) if place[0] != "sha256"])
    target: Any = document
    for key in road:
        target = target[key]
    target[last] = copy.deepcopy(chance.choice(_ODD))
    return sealed(header, document, body)


def missing(chance: random.Random, data: bytes) -> bytes:
    """One name of the document is gone or another."""
    header, document, body = parts(data)
    target = chance.choice([document, document["config"], document["tokenizer"], document["facts"]])
    name = chance.choice(sorted(target))
    value = target.pop(name)
    if chance.random() < 0.5:
        target[chance.choice(["self", "values", name + "\n", "x" * 10_000, "__class__"])] = value
    return sealed(header, document, body)


def nested(chance: random.Random, data: bytes) -> bytes:
    """Something stands very deep, or twice."""
    header, document, body = parts(data)
    depth = chance.choice([20, 33, 400, 990, 100_000])
    opened, closed = chance.choice([("[", "]"), ('{"a":', "}")])
    text = json.dumps(document)
    inside = f'"{chance.choice(["kind", "config", "facts", "new"])}": {opened * depth}1{closed * depth}, '
    return whole(header, text[0] + inside + text[1:], body)


def huge(chance: random.Random, data: bytes) -> bytes:
    """The configuration asks for a model of terabytes."""
    header, document, body = parts(data)
    for name in chance.sample(["hidden_size", "vocab_size", "num_layers", "embedding_size", "proj_size"], k=2):
        document["config"][name] = chance.choice([1000, 2 ** chance.randrange(1, 80)])
    return sealed(header, document, body)


def mistyped(chance: random.Random, data: bytes) -> bytes:
    """A tensor is said to have another type, shape or name."""
    header, document, body = parts(data)
    name = chance.choice(sorted(set(header) - {"__metadata__"}))
    entry = header[name]
    count = entry["data_offsets"][1] - entry["data_offsets"][0]
    kind = chance.randrange(4)
    if kind == 0:
        dtype = chance.choice(["I32", "U32", "F16"])
        header[name] = {**entry, "dtype": dtype, "shape": [count // (2 if dtype == "F16" else 4)]}
    elif kind == 1:
        header[name] = {**entry, "shape": chance.choice([[count // 4], [1, *entry["shape"]], entry["shape"][::-1]])}
    elif kind == 2:
        header[chance.choice(["x\ny", "\x1b[31m", "layer.weight_ih_l9", "x" * 9000])] = header.pop(name)
    else:
        lie = chance.choice([{"dtype": "F4"}, {"shape": [2**62, 4]}, {"shape": [0] * 99}, {"data_offsets": [0, 2**60]}])
        header[name] = {**entry, **lie}
        return whole(header, document, body)
    return sealed(header, document, body)


def retokenized(chance: random.Random, data: bytes) -> bytes:
    """The stored tokenizer is edited as text, or is another."""
    header, document, body = parts(data)
    text = json.dumps(document["tokenizer"])
    if "model" in document["tokenizer"] and chance.random() < 0.7:
        document["tokenizer"]["model"] = _scratched(chance, document["tokenizer"]["model"])
        return sealed(header, document, body)
    try:
        document["tokenizer"] = json.loads(_scratched(chance, text))
    except ValueError:
        document["tokenizer"] = {"kind": chance.choice(["char", "byte", "word", "bpe", "tiktoken"])}
    return sealed(header, document, body)


def _scratched(chance: random.Random, text: str) -> str:
    place = chance.randrange(len(text))
    new = chance.choice([chance.choice('0123456789{}[]",: \u4e2d\n'), text[place : place + 50], '"a":1,', ""])
    return text[:place] + new + text[place + chance.choice([0, 1, 1, 40]) :]


def places(tree: Any, road: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values in a JSON document."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return ([road] if road else []) + [place for key, branch in inside for place in places(branch, (*road, key))]


BLIND: tuple[Bytes, ...] = (changed, changed, changed, cut, inserted, mislength)
"""Edits that leave the digest as it was: what loads after them must be equal."""

KNOWING: tuple[Bytes, ...] = (leaf, missing, nested, huge, mistyped, retokenized)
"""Edits by someone who writes a digest that fits: what loads is another model, and must be one."""


def same(left: TextModel, right: TextModel) -> bool:
    """Equal weights, configuration, tokenizer and facts."""
    ours, theirs = left.model.state_dict(), right.model.state_dict()
    return (
        left.facts == right.facts
        and left.tokenizer.to_dict() == right.tokenizer.to_dict()
        and ours.keys() == theirs.keys()
        and all(torch.equal(ours[name], theirs[name]) for name in ours)
    )


def used(model: TextModel) -> None:
    """Write and score a little; a model that cannot must say so in one line."""
    try:
        list(model.write("a", length=2, seed=0))
        model.score("ab")
    except InputError as error:
        require_line(error)


def require_line(error: InputError) -> None:
    """One line that a person can read."""
    line = str(error)
    if "\n" in line or len(line) > LONGEST_LINE:
        raise RuntimeError(f"not one clear line: {line[:2000]!r}")


class Watch:
    """What Python does while a file is loaded: an audit hook, which cannot be taken away again."""

    _FORBIDDEN = ("exec", "compile", "import", "pickle.", "marshal.", "subprocess.", "os.", "socket.", "ctypes.")

    def __init__(self) -> None:
        self.watching = False
        self.seen: Counter[str] = Counter()
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and (
            event.startswith(self._FORBIDDEN) or (event == "open" and arguments[1] not in ("r", "rb"))
        ):
            self.seen[event] += 1


def limit_memory() -> None:
    """From here on no more than `ROOM` bytes on top of what there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(folder: Path, edits: int, seed: int) -> dict[str, Any]:
    """Load edited files, one after the other."""
    originals = sorted(folder.glob("*.safetensors"))
    expected = {path: load(path) for path in originals}
    for model in expected.values():
        used(model)
    watch, chance, counts = Watch(), random.Random(seed), Counter[str]()
    scratch = folder / "edited"
    limit_memory()
    for number in range(edits):
        path = chance.choice(originals)
        edit = chance.choice(BLIND if chance.random() < 0.5 else KNOWING)
        scratch.write_bytes(edit(chance, path.read_bytes()))
        try:
            watch.watching = True
            loaded = load(scratch)
        except InputError as error:
            require_line(error)
            counts[f"{edit.__name__} refused"] += 1
        except BaseException as error:
            raise RuntimeError(f"edit {number} ({edit.__name__}) of {path.name}, seed {seed}") from error
        else:
            watch.watching = False
            counts[f"{edit.__name__} loaded"] += 1
            if edit in BLIND and not same(loaded, expected[path]):
                raise RuntimeError(f"edit {number} ({edit.__name__}) of {path.name} loaded as something else")
            used(loaded)
        finally:
            watch.watching = False
    return {"counts": counts, "seen": watch.seen}


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    np.seterr(all="raise")
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
