"""The pages of the documentation: their code runs, their links lead somewhere, every page is in the navigation."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
SITE = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)


def fences(page: Path, language: str) -> list[str]:
    tokens = MarkdownIt().parse((DOCS / page).read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def files(page: Path) -> dict[str, str]:
    """The files that a page shows: fences with a title, by that title."""
    tokens = MarkdownIt().parse((DOCS / page).read_text(encoding="utf-8"))
    titles = ((re.fullmatch(r'\w+ title="([^"]+)"', token.info), token.content) for token in tokens)
    return {match[1]: content for match, content in titles if match is not None}


def named(part: object) -> list[str]:
    if isinstance(part, str):
        return [part]
    values = part.values() if isinstance(part, dict) else part
    return [name for value in values for name in named(value)]  # type: ignore[union-attr]


RUNNABLE = [page for page in PAGES if page.parts[0] in ("how-to", "explained", "zh") and fences(page, "python")]
PACKAGES = [page for page in PAGES if "pyproject.toml" in files(page)]


@pytest.fixture
def written(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the files of a page, importable, its entry points known as after `pip install`."""
    for name, text in files(page).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if page in PACKAGES:
        project = tomllib.loads(files(page)["pyproject.toml"])["project"]
        info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (info / "METADATA").write_text(named, encoding="utf-8")
        groups = (
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
            for group, entries in project["entry-points"].items()
        )
        (info / "entry_points.txt").write_text("".join(groups), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("page", RUNNABLE, ids=str)
def test_code_runs_as_it_stands(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with torch.random.fork_rng():
        exec(compile("\n".join(fences(page, "python")), str(page), "exec"), {"__name__": "page"})
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("page", PACKAGES, ids=str)
def test_commands_run_as_they_stand(page: Path, written: Path) -> None:
    lines = [line.partition("#")[0].split() for fence in fences(page, "sh") for line in fence.splitlines()]
    commands = [words[1:] for words in lines if words[0] == "longhold"]
    assert commands
    environment = {**os.environ, "PYTHONPATH": str(written)}
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "longhold", *command], cwd=written, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert list(written.rglob("report.html"))


def test_there_is_code_to_run() -> None:
    assert {str(page) for page in RUNNABLE} >= {"explained/three-phases.md", "how-to/swap-nn-lstm.md"}
    assert {page.name for page in PACKAGES} == {"your-own-task.md", "your-own-model.md"}


def test_what_three_phases_says_it_prints_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path("explained/three-phases.md")
    exec(compile("\n".join(fences(page, "python")), str(page), "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()[:5]
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [line.split() for line in printed] == [
        line.split() for line in re.findall(r"^    ([figch]  +[-0-9. ]+)$", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_files(page: Path) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (DOCS / page.parent / target).exists(), f"{page}: {target}"


def test_the_navigation_names_every_page_and_no_other() -> None:
    listed = named(SITE["nav"])
    aside = {page for page in PAGES if page.parts[0] in ("decisions", "benchmarks")}
    assert sorted(listed) == sorted(str(page) for page in PAGES if page not in aside)


PROSE = [ROOT / name for name in ("README.md", "README.zh-CN.md", "CHANGELOG.md", "CONTRIBUTING.md")]


@pytest.mark.parametrize(
    "path", [*PROSE, *(DOCS / page for page in PAGES)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_merge_was_left_half_done_and_pages_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE)
    for named in re.findall(r"(?<![\w/])docs/[\w/.-]+\.md", text):
        assert (ROOT / named).exists(), f"{path.name}: {named}"
