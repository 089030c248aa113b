"""The layout: `docs/architecture.md` says which package may import which, and the source is compared with it.

- Every import statement counts as a dependency of its package, also one inside a function or under `if TYPE_CHECKING`;
  what is looked up by a name in a string does not.
- A circle is one of modules, by the statements that run when a module is imported: not those inside functions and not
  those under `if TYPE_CHECKING`. `from package import name` counts as an import of the module `package.name` where
  there is one, else of the package's `__init__`; that importing a module also runs the `__init__` above it is not
  counted.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "longhold"
STUDY = SOURCE / "study"
EVERYBODYS = {"errors", "config", "options", "documents", "hangup", "files", "_version"}


def table(heading: str) -> dict[str, set[str]]:
    """Returns what each package may import, in the order of the table under a heading of docs/architecture.md."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {name.strip(" `"): set(re.findall(r"`(\w+)`", allowed)) for name, _, allowed in rows}


PACKAGES, ROOMS = table("Packages"), table("Packages of the study")


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def known() -> frozenset[str]:
    return frozenset(map(name_of, modules(SOURCE)))


def targets(path: Path, nodes: Iterator[ast.AST]) -> set[str]:
    """Returns the modules of longhold that import statements name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports inside longhold are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known() else str(node.module) for name in names}
    return found & known()


def run_on_import(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from run_on_import(node)


@cache
def imported(path: Path) -> frozenset[str]:
    return frozenset(targets(path, ast.walk(ast.parse(path.read_text()))))


@cache
def imported_at_once(path: Path) -> frozenset[str]:
    return frozenset(targets(path, run_on_import(ast.parse(path.read_text()))))


def package_in(folder: Path, module: str) -> str | None:
    """Returns the part of a module's name below a folder; None if it lies elsewhere or is the folder's `__init__`."""
    above = name_of(folder / "__init__.py") + "."
    return module.removeprefix(above).split(".")[0] if module.startswith(above) else None


def dependencies(folder: Path) -> dict[str, set[str]]:
    """Returns for each package in a folder the other packages in it that its files import."""
    found: dict[str, set[str]] = {}
    for path in modules(folder):
        package = package_in(folder, name_of(path))
        if package is not None:
            inside = {package_in(folder, module) for module in imported(path)} - {None, package}
            found.setdefault(package, set()).update(map(str, inside))
    return found


@pytest.mark.parametrize("path", modules(SOURCE), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_follow_the_table(path: Path) -> None:
    package = package_in(SOURCE, name_of(path))
    if package not in (None, "__main__"):
        inside = {package_in(SOURCE, module) for module in imported(path)}
        assert inside - EVERYBODYS <= PACKAGES[package] | {package}


@pytest.mark.parametrize("path", modules(STUDY), ids=lambda path: str(path.relative_to(STUDY)))
def test_imports_inside_the_study_follow_its_table(path: Path) -> None:
    package = package_in(STUDY, name_of(path))
    inside = {package_in(STUDY, module) for module in imported(path)} - {None}
    assert inside <= (ROOMS[package] | {package} if package is not None else set())


def test_the_tables_list_every_package_and_nothing_that_is_not_imported() -> None:
    packages = {name: found for name, found in dependencies(SOURCE).items() if name != "__main__"}
    assert packages.keys() == PACKAGES.keys()
    for name, found in packages.items():
        assert PACKAGES[name] <= found, f"{name} does not import all that the table lists"
    assert dependencies(STUDY) == ROOMS


@pytest.mark.parametrize("rows", [PACKAGES, ROOMS], ids=["longhold", "study"])
def test_no_package_imports_one_below_it(rows: Mapping[str, set[str]]) -> None:
    order = list(rows)
    for name, allowed in rows.items():
        assert allowed <= set(order[: order.index(name)]), name


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name_of(path): imported_at_once(path) - {name_of(path)} for path in modules(SOURCE)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


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
