"""Text as a task: windows, bits, and sentences as the treebank has them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from longhold.errors import InputError
from longhold.study.text.task import TextTask, pair_nats, read_text
from longhold.tasks import IGNORE_INDEX, task_from_json


@pytest.fixture
def fox(tmp_path: Path) -> str:
    path = tmp_path / "fox.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n" * 30, encoding="utf-8")
    return str(path)


def test_windows_are_pieces_of_the_part_they_come_from(fox: str) -> None:
    task = TextTask(fox, 20)
    for asked, ids in ((task, task.text.trained), (task.examination, task.text.held_out)):
        batch = asked.batch_at(3, 1, 9)
        whole = "," + ",".join(map(str, ids)) + ","
        rows = torch.cat([batch.inputs, batch.targets[-1:]]).T
        assert batch.inputs.shape == batch.targets.shape == (19, 9)
        assert batch.mask.all()
        assert torch.equal(batch.inputs[1:], batch.targets[:-1])
        assert all("," + ",".join(map(str, row.tolist())) + "," in whole for row in rows)


def test_a_part_is_set_aside_to_choose_by(fox: str) -> None:
    fitted = TextTask(fox, 20, "fitted")
    validated = fitted.validation
    assert validated is not None
    assert validated.validation is TextTask(fox, 20).validation is None
    assert fitted.examination == TextTask(fox, 20).examination
    ids = [part._ids().tolist() for part in (fitted, validated, TextTask(fox, 20))]
    assert ids[0] + ids[1] == ids[2]
    assert len(ids[1]) == round(0.05 * len(ids[2]))
    assert len(TextTask(fox, 200, "validated")._ids()) == 200


def test_the_parts_do_not_overlap(fox: str) -> None:
    text = read_text(fox)
    assert len(text.trained) + len(text.held_out) == 30 * 44
    assert len(text.held_out) == round(0.1 * 30 * 44)


def test_chance_is_what_frequencies_cost_and_a_sure_model_scores_0(fox: str) -> None:
    task = TextTask(fox, 20).examination
    counts = np.bincount(task.text.trained, minlength=task.input_size) + 1
    by_hand = -np.mean([math.log2(counts[one] / counts.sum()) for one in task.text.held_out])
    assert task.chance == pytest.approx(by_hand)
    batch = task.batch_at(0, 0, 4)
    sure = torch.full((19, 4, task.output_size), -1e4).scatter(2, batch.targets.unsqueeze(2), 0.0)
    even = torch.zeros_like(sure)
    assert task.scores(sure, batch).tolist() == [0.0] * 4
    assert task.scores(even, batch) == pytest.approx(torch.full((4,), math.log2(task.output_size)))
    assert task.recall(task.chance) == 0
    assert task.recall(0.0) == 1


def test_loss_and_score_are_those_of_every_step(fox: str) -> None:
    task = TextTask(fox, 20)
    batch = task.batch_at(0, 0, 4)
    outputs = torch.randn(19, 4, task.output_size, generator=torch.Generator().manual_seed(0))
    loss = float(task.loss(outputs, batch))
    assert loss == float(super(TextTask, task).loss(outputs, batch))
    assert task.score(outputs, batch, loss) == pytest.approx(float(task.scores(outputs, batch).mean()), rel=1e-6)


def test_it_is_a_task_like_others_by_its_json(fox: str) -> None:
    task = TextTask(fox, 20)
    assert task_from_json(task.to_json()) == task
    assert task_from_json(task.examination.to_json()) == task.examination


def test_a_window_longer_than_the_text_is_refused_in_a_line(fox: str) -> None:
    with pytest.raises(InputError, match="window=5000") as found:
        TextTask(fox, 5000).batch_at(0, 0, 1)
    assert "\n" not in str(found.value)
    with pytest.raises(InputError, match="no-such-text"):
        read_text("no-such-text")


def test_every_part_is_as_long_as_a_window(fox: str) -> None:
    parts = {"trained": 1188, "held_out": 132, "fitted": 1188 // 2, "validated": 1188}
    for part, longest in parts.items():
        TextTask(fox, longest, part).require_length()  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"tokens in its part '{part}': expected at least window={longest + 1}$"):
            TextTask(fox, longest + 1, part).require_length()  # type: ignore[arg-type]


def test_sentences_stand_between_newlines(fox: str) -> None:
    inputs, targets = pair_nats(fox, ["the fox.", "dogs jump"])
    tokenizer = read_text(fox).tokenizer
    assert inputs.shape == targets.shape
    for column, line in enumerate(("the fox.", "dogs jump")):
        asked = targets[:, column] != IGNORE_INDEX
        assert tokenizer.decode(targets[asked, column]) == line + "\n"
        assert tokenizer.decode(inputs[asked, column]) == "\n" + line


def test_the_treebank_is_lower_case_without_gaps_or_full_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ptb").mkdir()
    for part in ("train", "valid"):
        (tmp_path / "ptb" / f"ptb.char.{part}.txt").write_text("t h e _ c a t _ i s _ n ' t \n" * 9, encoding="utf-8")
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    read_text.cache_clear()
    text = read_text("ptb")
    assert text.tokenizer.decode(text.trained).splitlines() == ["the cat is n't"] * 9
    _, targets = pair_nats("ptb", ["The cat isn't."])
    assert text.tokenizer.decode(targets[:, 0]) == "the cat is n't\n"
    monkeypatch.delenv("LONGHOLD_DATA")
    read_text.cache_clear()
    with pytest.raises(InputError, match="LONGHOLD_DATA"):
        read_text("ptb")
