"""Figures from made up rows: well-formed, complete, and every mark where its figure says."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from benchmarks.cases import GRID

from benchmarks import plots, svg
from tests.benchmarks.made_up import grid_rows, growth_rows, section

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("plots")
    plots.draw({"growth": section(growth_rows()), "grid": section(grid_rows())}, folder)
    return folder


def test_there_is_a_figure_for_every_direction(folder: Path) -> None:
    names = {"growth-steps.svg", "growth-hidden.svg", "growth-batch.svg", "growth-threads.svg", "grid.svg"}
    assert {path.name for path in folder.iterdir()} == names


def marks(path: Path) -> list[tuple[float, float, str]]:
    found = []
    for element in ET.parse(path).iter(f"{SVG}path"):
        place = re.match(r"translate\((\S+) (\S+)\)", element.attrib["transform"])
        title = element.find(f"{SVG}title")
        assert place is not None
        assert title is not None
        found.append((float(place[1]), float(place[2]), title.text or ""))
    return found


def test_every_row_has_its_marks_inside_of_the_figure(folder: Path) -> None:
    found = marks(folder / "growth-steps.svg")
    points = [mark for mark in found if ": " in mark[2]]
    assert len(points) == 2 * 3 * 3  # both, cells, values
    assert {tip for _, _, tip in points} >= {"longhold 100: 10 ms", "torch 10: 3 ms"}
    assert all(0 < x < 960 and 0 < y < 384 for x, y, _ in found)


def test_ten_times_the_time_is_as_far_everywhere(folder: Path) -> None:
    heights = {tip: y for _, y, tip in marks(folder / "growth-steps.svg")}
    first = heights["longhold 1: 0.1 ms"] - heights["longhold 10: 1 ms"]
    assert first == pytest.approx(heights["longhold 10: 1 ms"] - heights["longhold 100: 10 ms"], abs=0.2)
    assert first > 20


def test_the_grid_has_a_dot_for_every_case(folder: Path) -> None:
    found = marks(folder / "grid.svg")
    assert len(found) == len(GRID)
    assert len({round(x, 1) for x, _, _ in found}) == 1  # all made up ratios are equal


def test_names_are_escaped(folder: Path) -> None:
    assert "Made Up &lt;1&gt;" in (folder / "grid.svg").read_text()


def test_a_section_that_is_not_there_gives_no_figure(tmp_path: Path) -> None:
    assert plots.draw({}, tmp_path / "none") == ""
    only = [row for row in growth_rows() if row["over"] == "steps" and row["cell"] == "GRU"]
    assert plots.draw({"growth": section(only)}, tmp_path) == str(tmp_path / "growth-steps.svg")


def test_axis() -> None:
    axis = svg.log_axis([1.0, 1000.0], 0.0, 100.0)
    assert set(axis.ticks) == {1.0, 10.0, 100.0, 1000.0}
    assert axis.at((axis.low * axis.high) ** 0.5) == pytest.approx(50)
    assert svg.log_axis([3.0, 30.0], 0.0, 1.0).ticks == (5.0, 10.0, 20.0)
    assert 7.0 in svg.log_axis([7.0, 7.0], 0.0, 1.0, ticks=[7.0]).ticks
