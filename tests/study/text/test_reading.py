"""What a model of text is asked, by models whose answers are known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from longhold.errors import InputError
from longhold.models.ngram import KneserNey
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec
from longhold.study.text import reading as text_reading
from longhold.study.text.reading import LENGTHS, read_model_of_text, require_held_out
from longhold.study.text.task import TextTask, ngram, read_text
from longhold.study.trial.trial import run_trial
from longhold.tasks.blimp import PARADIGMS

SET = PARADIGMS[5]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sentences that agree: `the a ... runs` and `the aa ... run`, in random order; and pairs of them."""
    draw = np.random.default_rng(1)
    lines = [
        ("the cat runs" if one else "the cats run") + " far" * two for one, two in draw.integers(2, size=(9000, 2))
    ]
    path = tmp_path / "cats.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "blimp").mkdir()
    pairs = [("the cat runs", "the cat run"), ("the cats run", "the cats runs"), ("the cat run", "the cat runs")]
    rows = [
        {"sentence_good": good, "sentence_bad": bad, "UID": SET, "pairID": str(number)}
        for number, (good, bad) in enumerate(pairs)
    ]
    (tmp_path / "blimp" / f"{SET}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    for cached in (text_reading._right_by_counting, text_reading._ngram_bits, ngram, read_text):
        cached.cache_clear()
    return str(path)


def test_an_n_gram_uses_its_order_and_agrees_by_it(corpus: str) -> None:
    text = read_text(corpus)
    found = read_model_of_text(KneserNey(4, text.tokenizer.vocab_size).fit(text.trained), TextTask(corpus, 30), (SET,))
    assert found.lengths == LENGTHS
    assert found.horizon <= 3
    assert not found.censored
    assert found.excess[LENGTHS.index(3) :] == pytest.approx([0.0] * (len(LENGTHS) - 2), abs=1e-9)
    assert found.excess[0] > 0.05
    assert np.mean(found.segment_excess, axis=0) == pytest.approx(found.excess)
    (pairs,) = found.pairs
    assert (pairs.right, pairs.ngram_right, pairs.pairs) == (1, 2, 3)  # order 4 sees `s run` but no longer `cat runs`


def test_context_use_needs_6400_held_out_tokens(tmp_path: Path) -> None:
    for held_out in (6400, 6399):
        path = tmp_path / f"{held_out}.txt"
        path.write_text("ab\n" * (held_out * 10 // 3), encoding="utf-8")
    longer, shorter = (str(tmp_path / f"{held_out}.txt") for held_out in (6400, 6399))
    require_held_out(longer)
    text = read_text(longer)
    assert len(text.held_out) == 6400
    assert read_model_of_text(KneserNey(2, text.tokenizer.vocab_size).fit(text.trained), TextTask(longer, 9), ())
    with pytest.raises(InputError, match=r"6399.txt has 6,399 held-out tokens: expected at least 6,400 to") as caught:
        require_held_out(shorter)
    assert "\n" not in str(caught.value)


def test_a_run_carries_the_reading_in_its_row(corpus: str) -> None:
    task = TextTask(corpus, 30)
    spec = TrialSpec(
        plan="tiny",
        experiment="cats",
        protocol="text",
        cell="gru",
        init="uniform",
        hidden_size=16,
        task=task.to_json(),
        tests=(task.examination.to_json(),),
        pairs=(SET,),
        lr=0.02,
        batch_size=16,
        steps=60,
        stop_at=None,
        seed=0,
    )
    row = run_trial(spec)
    assert row.text is not None
    assert row.text.window == 30
    assert Row.from_json(row.to_json()) == row
    assert row.text.full_bits < row.chance
    assert row.text.ngram_bits == pytest.approx(
        float(ngram(corpus).nats(read_text(corpus).held_out)[1:].mean()) / math.log(2), rel=1e-6
    )
    assert run_trial(spec.model_copy(update={"stage": "tuning"})).text is None
