"""How cost grows."""

from collections import Counter

from benchmarks import growth


def test_every_direction_is_walked_by_every_cell() -> None:
    rows = list(growth.SECTION.rows(True))
    found = Counter((row["cell"], row["over"]) for row in rows)
    assert found == {
        (cell, over): count
        for cell in ("RNN", "GRU", "LSTM")
        for over, count in {"steps": 2, "hidden": 2, "batch": 2, "threads": 1}.items()
    }
    for row in rows:
        assert row["over"] == "threads" or row[row["over"]] == row["value"]
        assert row["seconds"].keys() == {"torch", "longhold"}
        assert min(row["seconds"].values()) > 0
    assert growth.summary(rows)[0].startswith(f"{len(rows)} points; the least against torch is ")
