"""Measurements in a process of their own."""

import mmap

from benchmarks import children


def test_a_child_answers_with_a_row() -> None:
    sizes = {"cell": "GRU", "batch": 2, "hidden": 4, "steps": 3, "threads": 1, "calls": 2}
    row = children.in_child("benchmarks.threads_child", {"job": "repeat", **sizes})
    assert row == {"job": "repeat", **sizes, "equal": True}


def test_a_child_that_fails_says_how() -> None:
    row = children.in_child("benchmarks.no_such_module", {"job": "x"})
    assert row["job"] == "x"
    assert "no_such_module" in row["missing"]


def test_a_child_that_takes_too_long_is_ended() -> None:
    row = children.in_child("benchmarks.threads_child", {"job": "repeat"}, timeout=0.01)
    assert row == {"job": "repeat", "missing": "not done after 0 s"}


def test_the_peak_is_forgotten_and_found_again() -> None:
    size = 64_000_000
    before = children.status("VmRSS")
    with mmap.mmap(-1, size) as pages:  # fresh pages: an allocator could hand out ones that are resident already
        pages.write(b"x" * size)
        assert children.status("VmHWM") - before > 50_000_000
    children.forget_peak()
    assert children.status("VmHWM") - before < 30_000_000


def test_threads_are_counted() -> None:
    assert children.threads_now() >= 1
