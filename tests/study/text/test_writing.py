"""What a model of text came to, by models whose bits are known."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from longhold.models.ngram import KneserNey
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec
from longhold.study.text import writing as text_writing
from longhold.study.text.baselines import conditional_xz_bits, xz_bits
from longhold.study.text.task import TextTask, ngram, read_text
from longhold.study.text.writing import prime_of, write_by_model
from longhold.study.trial.trial import run_trial

CACHED = (read_text, ngram, text_writing._held_out, text_writing._floor)


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[str]:
    """Words in random order; the held-out tenth has signs that training never met, which are several tokens each."""
    for cached in CACHED:
        cached.cache_clear()
    words = np.random.default_rng(3).choice(["time", "traveller", "for", "so", "it", "will", "be"], size=1500)
    text = " ".join(words)
    path = tmp_path / "book.txt"
    path.write_text(text[:-40] + " 猫 so it 猫 will be", encoding="utf-8")
    yield str(path)
    for cached in CACHED:
        cached.cache_clear()


def test_an_n_gram_comes_to_its_own_bits(corpus: str) -> None:
    text = read_text(corpus)
    model = KneserNey(6, text.tokenizer.vocab_size).fit(text.trained)
    found = write_by_model(model, TextTask(corpus, 9), 30, seed=1, best_step=7)
    assert found.bits == pytest.approx(found.ngram_bits, rel=1e-5)
    ids = np.concatenate([text.trained[-1:], text.held_out])
    assert len(text.held_out) > len(text.after) == found.characters
    assert found.ngram_bits == pytest.approx(model.nats(ids)[1:].sum() / math.log(2) / len(text.after))
    counts = np.bincount(text.trained, minlength=text.tokenizer.vocab_size) + 1
    frequencies = -sum(math.log2(counts[one] / counts.sum()) for one in text.held_out)
    assert found.frequency_bits == pytest.approx(frequencies / len(text.after))
    assert found.xz_bits == conditional_xz_bits(text.before, text.after)
    assert found.xz_alone_bits == xz_bits(text.after)
    assert found.bits < found.xz_bits < found.xz_alone_bits


def test_it_writes_after_the_first_whole_words_of_the_held_out_text(corpus: str) -> None:
    text = read_text(corpus)
    model = KneserNey(6, text.tokenizer.vocab_size).fit(text.trained)
    task = TextTask(corpus, 9)
    found = write_by_model(model, task, 30, seed=1, best_step=7)
    assert text.after.split(maxsplit=1)[1].startswith(found.prime + " ")
    assert 0 < len(found.prime) <= 32
    assert 25 <= len(found.sample) <= 30
    assert set(found.sample.split()[1:-1]) <= {"time", "traveller", "for", "so", "it", "will", "be"}
    assert write_by_model(model, task, 30, seed=1, best_step=7) == found
    assert write_by_model(model, task, 30, seed=2, best_step=7).sample != found.sample


def test_only_so_much_is_asked_of_a_long_text(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_writing, "MOST_TESTED", 100)
    text = read_text(corpus)
    model = KneserNey(6, text.tokenizer.vocab_size).fit(text.trained)
    found = write_by_model(model, TextTask(corpus, 9), 1, seed=0, best_step=1)
    assert found.characters == 100
    assert found.xz_alone_bits == xz_bits(text.after[:100])
    assert found.bits == pytest.approx(found.ngram_bits, rel=1e-5)


@pytest.mark.parametrize(
    ("after", "prime"),
    [("lf a word and more words than fit into it", "a word and more words than fit"), ("白日依山尽，" * 9, "白")],
)
def test_a_text_without_spaces_has_a_beginning_too(after: str, prime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_writing, "read_text", lambda corpus: type("Text", (), {"after": after}))
    assert prime_of("any") == prime


def of(corpus: str, **changes: object) -> TrialSpec:
    task = TextTask(corpus, 17)
    values = {
        "plan": "tiny", "experiment": "book", "protocol": "text", "cell": "lstm", "init": "uniform", "hidden_size": 16,
        "task": task.to_json(), "tests": (task.examination.to_json(),), "contexts": False, "written": 12, "lr": 0.02,
        "batch_size": 8, "steps": 40, "stop_at": None, "seed": 0,
    }  # fmt: skip
    return TrialSpec(**{**values, **changes})  # type: ignore[arg-type]


def test_a_run_writes_where_it_is_told_to_and_reads_no_context(corpus: str) -> None:
    made = run_trial(of(corpus))
    assert made.text is None
    assert made.writing is not None
    assert len(made.writing.sample) <= 12
    assert Row.from_json(made.to_json()) == made
    assert made.writing.bits < made.writing.frequency_bits
    assert made.writing.best_step == made.steps_used == 40
    assert "writing" not in run_trial(of(corpus, written=0, steps=1)).to_json()
    assert run_trial(of(corpus, stage="tuning", steps=1)).writing is None


def test_the_weights_that_are_kept_are_those_of_the_best_step_on_the_text_set_aside(tmp_path: Path) -> None:
    """Windows of 17 of a text of so few signs are soon memorized, and then the rest gets worse."""
    path = tmp_path / "short.txt"
    draw = np.random.default_rng(5)
    path.write_text("".join(draw.choice(list("abcdefgh"), 900)), encoding="utf-8")
    task = TextTask(str(path), 17, "fitted")
    changes = {"task": task.to_json(), "tests": (task.examination.to_json(),), "hidden_size": 48, "lr": 0.02}
    kept = run_trial(of(str(path), **changes, steps=90))
    assert kept.writing is not None
    assert 0 < kept.writing.best_step < kept.steps_used == 90
    until = run_trial(of(str(path), **changes, steps=kept.writing.best_step))  # takes the same steps, up to that one
    assert until.writing == kept.writing
    assert until.score == kept.score
    assert until.curve == kept.curve[: len(until.curve)]
    trained = TextTask(str(path), 17)
    last = run_trial(of(str(path), **{**changes, "task": trained.to_json()}, steps=90))
    assert last.writing is not None
    assert last.writing.best_step == 90


def test_what_older_rows_lack_changes_no_digest(corpus: str) -> None:
    plain = of(corpus, contexts=True, written=0)
    assert of(corpus, contexts=True, written=0, final_fraction=1.0).digest == plain.digest
    others = [of(corpus), of(corpus, written=13), of(corpus, contexts=True), of(corpus, final_fraction=0.5), plain]
    assert len({one.digest for one in others}) == 5
    later = {"contexts", "written", "final_fraction"}
    assert not later & plain.to_json().keys()
    assert later <= of(corpus, final_fraction=0.5).to_json().keys()


def test_the_learning_rate_falls_along_half_a_cosine(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def watch(optimizer: torch.optim.Optimizer, norm: float) -> None:
        seen.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr("longhold.training.step.clip_and_step", watch)
    run_trial(of(corpus, final_fraction=0.1, lr=0.5, steps=5, written=0))
    assert seen == pytest.approx([0.5 * (0.1 + 0.9 * share) for share in (1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0)])
    seen.clear()
    run_trial(of(corpus, lr=0.5, steps=3, written=0))
    assert seen == [0.5] * 3
    seen.clear()
    run_trial(of(corpus, lr=0.5, steps=1, final_fraction=0.1, written=0))
    assert seen == [0.5]
