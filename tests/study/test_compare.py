import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from longhold.data import Corpus, train_tokenizer
from longhold.errors import InputError
from longhold.models.budget import parameter_count, solve_hidden_size
from longhold.models.language_model import LanguageModelConfig
from longhold.study.baselines import baselines
from longhold.study.compare import CompareConfig, compare, solve_text_model
from longhold.study.machine import Machine
from longhold.study.recall import ARMS, Arm, RecallConfig
from longhold.study.report import render_page
from longhold.training import TrainConfig

PANGRAM = "the quick brown fox jumps over the lazy dog while five boxing wizards vex a jolly queen"


def made_up_text(words: int = 900, seed: int = 0) -> str:
    return " ".join(np.random.default_rng(seed).choice(PANGRAM.split(), words)) + "\n"


CORPUS = Corpus("words", made_up_text(), "utf-8", 1, ("a note",))
CUT = round(0.1 * len(CORPUS.text))
RECALL = RecallConfig(lags=(1, 3), seeds=(0, 1), parameters=600, steps=3)
SMALL = CompareConfig(
    budget_seconds=8.0,
    parameters=12_000,
    embedding_size=16,
    train=TrainConfig(batch_size=4, sequence_length=16, lr=3e-3),
    recall=RECALL,
    sample_length=30,
    workers=1,
)


@pytest.fixture(scope="module")
def made():
    seen = []
    return compare(CORPUS, SMALL, on_progress=seen.append), seen


@pytest.mark.slow
def test_every_cell_has_a_row_with_equal_parameters(made):
    rows = made[0].cells
    assert [row.cell for row in rows] == ["rnn", "gru", "lstm"]
    assert max(row.parameters for row in rows) / min(row.parameters for row in rows) < 1.02
    for row in rows:
        assert row.steps >= row.best_step >= 1
        assert row.tokens == row.steps * 4 * 16
        assert 0 < row.held_out_bits < 9
        assert row.train_perplexity > 1
        assert row.tokens_per_second > 0
        assert row.curve[-1].step == row.steps
        assert min(row.curve, key=lambda point: point.bits_per_character).step == row.best_step
        assert len(row.sample) > 5


@pytest.mark.slow
def test_the_text_is_cut_once_and_the_baselines_see_the_same_parts(made):
    source = made[0].source
    sizes = (source.train_characters, source.validation_characters, source.held_out_characters)
    assert sum(sizes) == len(CORPUS.text)
    assert source.held_out_characters == CUT
    assert source.validation_characters == pytest.approx(0.05 * len(CORPUS.text), abs=2)
    head, validation, held_out = (
        CORPUS.text[: sizes[0]],
        CORPUS.text[sizes[0] : sizes[0] + sizes[1]],
        CORPUS.text[-sizes[2] :],
    )
    expected = baselines(head, validation, held_out, train_tokenizer("char", head))
    assert made[0].baselines == expected
    assert held_out.split()[1] == made[0].prompt.split()[0]


@pytest.mark.slow
def test_recall_is_run_for_every_arm_lag_and_seed_with_the_same_steps(made):
    rows = made[0].recall
    assert [(row.run.arm, row.run.lag, row.run.seed) for row in rows] == [
        (arm, lag, seed) for arm in ARMS for lag in (1, 3) for seed in (0, 1)
    ]
    assert len({row.run.config for row in rows}) == 1
    assert rows[0].run.config.steps <= RECALL.steps


@pytest.mark.slow
def test_progress_is_told_from_the_baselines_to_the_last_run(made):
    stages = [progress.stage for progress in made[1]]
    assert list(dict.fromkeys(stages)) == ["baselines", "text", "recall"]
    assert stages == sorted(stages, key=["baselines", "text", "recall"].index)
    assert {p.done for p in made[1] if p.stage == "text"} == {0, 1, 2}
    assert all((p.training is not None) == (p.stage == "text") for p in made[1])
    assert made[1][-1].done == made[1][-1].total == len(made[0].recall)
    told = [p.row for p in made[1] if p.row is not None]
    assert sorted(map(made[0].recall.index, told)) == list(range(len(made[0].recall)))


class Enough(Exception):
    pass


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads the children of a process from /proc")
def test_whoever_stops_it_finds_no_worker_left():
    begun = []

    def children():
        names = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        return [name for name in names if b"study.worker" in Path(f"/proc/{name}/cmdline").read_bytes()]

    def stop(progress):
        begun.extend(children())
        if progress.stage == "text":
            raise Enough

    with pytest.raises(Enough):
        compare(CORPUS, SMALL.model_copy(update={"workers": 2}), on_progress=stop)
    assert len(set(begun)) == 2
    assert not children()


@pytest.mark.slow
def test_what_breaks_in_a_worker_is_raised_here(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("longhold.study.compare.run_study", broken)
    with pytest.raises(RuntimeError, match="out of luck"):
        compare(CORPUS, SMALL.model_copy(update={"cells": ("rnn",), "budget_seconds": 1.0}))


@pytest.mark.slow
def test_it_makes_a_page_and_knows_its_command(made):
    assert made[0].command == "longhold compare words --cells rnn,gru,lstm --budget 8s --seed 0"
    assert made[0].source.notes == ("a note",)
    page = render_page(made[0])
    assert all(f"{row.held_out_bits:.3f}" in page for row in made[0].cells)


@pytest.mark.slow
def test_one_cell_without_recall_leaves_generator_and_threads_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    config = SMALL.model_copy(update={"cells": ("gru",), "recall": None, "budget_seconds": 1.0, "prompt": "fox "})
    made = compare(CORPUS, config, command="as told")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert ([row.cell for row in made.cells], made.recall) == (["gru"], ())
    assert (made.prompt, made.command) == ("fox ", "as told")


@pytest.mark.parametrize("vocab_size", [40, 326, 5000])
def test_the_solver_makes_the_cells_equal(vocab_size):
    shapes = [solve_text_model(cell, vocab_size, CompareConfig()) for cell in ("rnn", "gru", "lstm")]
    counts = [parameter_count(shape) for shape in shapes]
    assert max(counts) / min(counts) < 1.02
    reference = LanguageModelConfig(cell="lstm", vocab_size=vocab_size, hidden_size=160, embedding_size=64)
    assert shapes[2] == reference
    assert shapes[0].hidden_size == solve_hidden_size(shapes[0], parameter_count(reference))


def test_only_the_arms_of_the_chosen_cells_are_run():
    study = CompareConfig(cells=("rnn", "lstm")).study()
    assert study is not None
    assert study.arms == tuple(arm for arm in ARMS if arm.cell != "gru")


def test_a_study_without_an_arm_for_the_cells_is_refused():
    config = CompareConfig(cells=("rnn",), recall=RecallConfig(arms=(Arm(cell="gru", init="uniform"),)))
    with pytest.raises(InputError, match="arms"):
        config.study()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": ()}, "at least one cell"),
        ({"cells": ("rnn", "rnn")}, "each once"),
        ({"cells": ("rnn", "cnn")}, "cells"),
        ({"budget_seconds": 0}, "budget_seconds"),
        ({"recall": {"lags": ()}}, "lags"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_settings_are_named_in_a_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        CompareConfig(**changes)
    assert "\n" not in str(caught.value)


def test_a_short_text_is_refused_before_anything_is_trained():
    with pytest.raises(InputError, match="at least 1000 characters to compare"):
        compare(replace(CORPUS, text="short"), SMALL)


def test_too_few_parameters_are_refused():
    with pytest.raises(InputError, match="too small"):
        solve_text_model("gru", 300, CompareConfig(parameters=100))


def test_the_machine_has_no_name_and_no_path():
    import getpass
    import platform

    here = Machine.here()
    shown = json.dumps(here.__dict__)
    assert here.cores >= 1
    assert here.torch == torch.__version__
    for private in (platform.node(), str(getpass.getuser()) + "@", "/home", "/work", "/root"):
        assert private == "" or private not in shown
    assert math.isfinite(here.cores)
