"""The house: who may import whom, one stem per cell in every room, and a README whose tree is true."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "longhold"

ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "config": set(),
    "options": set(),
    "documents": set(),
    "hangup": set(),
    "_version": set(),
    "files": set(),
    "cells": set(),
    "kernels": {"cells"},
    "layers": {"cells", "kernels"},
    "models": {"cells", "kernels", "layers"},
    "data": set(),
    "tasks": set(),
    "sampling": {"models", "data"},
    "inspection": {"models", "layers", "data"},
    "integer": {"models", "data"},
    "compression": {"integer", "models", "data"},
    "export": {"integer", "models", "layers", "kernels", "data"},
    "training": {"models", "data", "sampling", "layers", "kernels"},
    "text": {"models", "data", "sampling", "training", "inspection"},
    "web": {"text", "training", "models", "data", "inspection"},
    "study": {"text", "training", "models", "data", "tasks", "sampling", "layers", "inspection"},
    "tutorial": {"cells", "training", "models", "data", "sampling"},
    "cli": {
        "text",
        "training",
        "models",
        "data",
        "tasks",
        "sampling",
        "layers",
        "study",
        "tutorial",
        "inspection",
        "compression",
        "export",
        "web",
    },
}
"""Besides the modules of `EVERYWHERE`, which every room may import."""

EVERYWHERE = {"errors", "config", "options", "documents", "files", "hangup", "_version"}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports inside longhold are absolute"
            names = [node.module or ""]
            if node.module == "longhold":
                names = [f"longhold.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("longhold.")}
    return found


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" or path.parent != SOURCE)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(path)
    if room == "__main__":
        return
    allowed = ARROWS[room] | {room} | EVERYWHERE
    assert imported_rooms(path) <= allowed


def test_every_room_has_its_arrows() -> None:
    rooms = {room_of(path) for path in modules()} - {"__main__"}
    assert rooms == set(ARROWS)


@pytest.mark.parametrize("stem", ["rnn", "gru", "lstm"])
def test_the_stem_of_a_cell_is_found_in_every_room(stem: str) -> None:
    for place in (f"src/longhold/cells/{stem}.py", f"src/longhold/layers/{stem}.py", f"docs/math/{stem}.md"):
        assert (ROOT / place).is_file(), place
    assert (ROOT / f"tests/cells/test_{stem}.py").is_file()  # the layers are tested together, over all cells


def test_importing_longhold_imports_no_torch() -> None:
    code = "import sys, longhold, longhold.cli.main; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def tree_lines(readme: str) -> list[str]:
    block = re.search(r"```text\n(longhold/.*?)```", readme, re.DOTALL)
    assert block is not None, "the README has no tree"
    return block.group(1).splitlines()[1:]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_tree_in_the_readme_is_true(name: str) -> None:
    folders: list[str] = []
    listed = set()
    for line in tree_lines((ROOT / name).read_text()):
        match = re.match(r"^(?P<indent> *)(?P<name>\S+)\s+\S", line)
        assert match is not None, f"a line of the tree without a description: {line!r}"
        depth = len(match["indent"]) // 2 - 1
        folders[depth:] = [match["name"]]
        path = "".join(folders)
        assert (ROOT / path).exists(), path
        assert path.endswith("/") == (ROOT / path).is_dir(), path
        listed.add(path)
    command = ["git", "-C", str(ROOT), "ls-files"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    for path in tracked:
        top = path.split("/")[0] + ("/" if "/" in path else "")
        inside = re.match(r"src/longhold/[^/]+/?", path)
        assert top in listed, f"{top} is not in the tree of {name}"
        assert inside is None or inside.group() in listed, f"{path} is not in the tree of {name}"
