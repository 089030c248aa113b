"""From a text to a model: what is decided, what is said, what is kept, and how a model goes on."""

from __future__ import annotations

import json
import math
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.data.corpora import Corpus
from longhold.data.tokenizers import CharTokenizer
from longhold.errors import InputError
from longhold.models.language_model import LanguageModelConfig
from longhold.training import Diverged, Interrupted, Progress, evaluate
from longhold.training.plan import Cost, TextOptions, WarmStart, _stage
from longhold.training.recipe import TrainedText, train_text
from longhold.training.run import Run
from longhold.training.session import Session

WORDS = ["the", "a", "time", "traveller", "machine", "night", "day", "found", "lost", "saw", "and", "of", "in", "grey"]


def story(words: int, seed: int = 0) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + ".\n"


def corpus(text: str | None = None, *notes: str) -> Corpus:
    return Corpus("story.txt", story(900) if text is None else text, "utf-8", 1, notes)


def options(**values: Any) -> TextOptions:
    fixed = {"steps": 24, "batch_size": 4, "sequence_length": 16, "evaluate_every": 6, "evaluate_columns": 1}
    training = {**fixed, **values.pop("training", {})}
    return TextOptions(**{"hidden_size": 16, "training": training, **values})


def trained(text: str | None = None, **values: Any) -> tuple[TrainedText, list[str], list[Progress]]:
    said: list[str] = []
    seen: list[Progress] = []
    call = {name: values.pop(name) for name in ("warm_start", "folder", "on_stop") if name in values}
    found = train_text(corpus(text), options(**values), on_note=said.append, on_progress=seen.append, **call)
    return found, said, seen


def test_what_came_of_it_is_what_can_be_measured() -> None:
    found, said, seen = trained("一天，" + story(900) + "é")
    text = "一天，" + story(900) + "é"
    tail = text[found.characters :]
    ids = found.tokenizer.encode(tail)
    bits = evaluate(found.model, ids) / math.log(2) * len(ids)
    assert found.held_out_bits == pytest.approx(bits / len(tail))
    assert found.held_out_bits_per_byte == pytest.approx(bits / len(tail.encode()))
    assert found.held_out_bits_per_byte < found.held_out_bits
    assert seen[-1].characters_per_token == pytest.approx(len(tail) / len(ids))
    assert seen[-1].bytes_per_token == pytest.approx(len(tail.encode()) / len(ids))
    assert found.sample is not None
    assert found.words is not None
    assert found.words.total > 20
    assert found.diagnosis is not None
    assert said[-1] == found.diagnosis.sentence
    assert not found.model.training
    samples = [progress.sample for progress in seen if progress.sample is not None]
    prime = found.sample[:20].rpartition(" ")[0]
    assert prime in tail
    assert all(sample.startswith(prime) for sample in samples)


def test_rare_characters_have_no_row_of_their_own() -> None:
    text = story(900).replace("time", "tîme", 1).replace("day", "däy", 2) + "其" * 2 + "∞"
    found, _, _ = trained(story(50) + text + story(200))
    assert isinstance(found.tokenizer, CharTokenizer)
    assert set(found.tokenizer.characters) == set("".join(WORDS) + " ")
    assert found.tokenizer.decode(found.tokenizer.encode(text)) == text


def test_a_vocabulary_that_was_asked_for_is_obeyed() -> None:
    assert trained(vocab_size=256 + 4)[0].tokenizer.vocab_size == 260


def test_a_model_begins_with_what_frequency_tells() -> None:
    found, _, _ = trained(training={"steps": 1, "lr": 1e-9, "warmup_steps": 0})
    text = corpus().text
    head, tail = text[: found.characters], text[found.characters :]
    counts = {c: head.count(c) for c in set(text)}
    guess = -sum(math.log2(max(counts[c], 1) / len(head)) for c in tail) / len(tail)
    assert found.held_out_bits == pytest.approx(guess, abs=0.15)


def test_small_and_repeated_texts_are_told() -> None:
    _, said, _ = trained(story(100) * 8)
    assert any(sentence.endswith("expect imitation of style, not sense") for sentence in said)
    assert any("repeats, word for word" in sentence for sentence in said)
    assert any("held-out text also stands in the training text" in sentence for sentence in said)
    _, said, _ = trained(story(12_000), training={"steps": 2})
    assert [sentence.partition(":")[0] for sentence in said[1:]] == ["too short to tell"]


def test_notes_of_the_corpus_are_passed_on() -> None:
    said: list[str] = []
    train_text(corpus(None, "read as big5"), options(), on_note=said.append)
    assert said[0] == "story.txt: read as big5"


def test_awd_and_single_fields_of_the_model() -> None:
    found, _, _ = trained(recipe="awd", model={"weight_dropout": 0.25}, num_layers=2)
    config = found.model.config
    assert (config.tie_weights, config.locked_dropout, config.weight_dropout, config.num_layers) == (
        True,
        True,
        0.25,
        2,
    )
    assert config.embedding_size == config.hidden_size == 16
    with pytest.raises(InputError, match=r"^model settings: unknown key 'weight_drop', did you mean weight_dropout"):
        trained(model={"weight_drop": 0.2})
    with pytest.raises(InputError, match=r"^model settings: .*input_dropout=0.2 needs embedding_size"):
        trained(model={"input_dropout": 0.2})


def test_weights_are_tied_only_to_an_embedding_as_wide_as_the_layers() -> None:
    draw = random.Random(0)
    text = "".join(chr(0x4E00 + draw.randrange(400)) for _ in range(12_000))

    def config(**fields: object) -> LanguageModelConfig:
        return trained(text, training={"steps": 2}, model=fields)[0].model.config

    assert config().embedding_size == config().hidden_size == 16
    assert config().tie_weights
    assert not config(embedding_size=8).tie_weights
    with pytest.raises(InputError, match="tie_weights"):
        config(embedding_size=8, tie_weights=True)


def test_one_cycle_rises_for_three_tenths() -> None:
    _, _, seen = trained(training={"schedule": "one_cycle", "log_every": 1, "steps": 20, "lr": 0.02})
    rates = [progress.lr for progress in seen]
    assert rates.index(max(rates)) in (5, 6)


def test_a_plan_without_new_options_says_nothing_of_them(tmp_path: Path) -> None:
    """So that the folder of a run started before there were such options still agrees."""
    trained(folder=tmp_path / "plain")
    plan = json.loads((tmp_path / "plain" / "plan.json").read_text())
    assert "locked_dropout" not in plan["facts"]["model"]
    assert not {"leg", "before"} & plan["facts"].keys()
    trained(folder=tmp_path / "awd", recipe="awd")
    plan = json.loads((tmp_path / "awd" / "plan.json").read_text())
    assert plan["facts"]["model"]["locked_dropout"] is True


def going_on(found: TrainedText, folder: Path | None = None, **values: Any) -> tuple[TrainedText, list[str], Any]:
    warm_start = WarmStart(found.model, found.tokenizer, found.characters, Cost(24, 1536, 2.0))
    values = {"hidden_size": None, "training": {"steps": 12, "evaluate_every": 3}, **values}
    return trained(warm_start=warm_start, folder=folder, **values)


def test_more_time_goes_on_from_the_weights_and_never_ends_worse() -> None:
    first, _, _ = trained()
    weights = {name: tensor.clone() for name, tensor in first.model.state_dict().items()}
    second, said, seen = going_on(first)
    assert second.improved
    assert second.held_out_bits < first.held_out_bits
    assert second.before == Cost(24, 1536, 2.0)
    assert max(progress.lr for progress in seen) <= 0.5 * 4e-3
    assert any(sentence.startswith("continues with the LSTM, 1 x 16 units") for sentence in said)

    second.model.load_state_dict(weights)
    worse, said, _ = going_on(first, training={"lr": 0.3, "steps": 4, "evaluate_every": 1})
    assert not worse.improved
    assert worse.held_out_bits == pytest.approx(first.held_out_bits)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in worse.model.state_dict().items())
    assert said[-1].startswith("no further improvement")


def test_another_text_is_told_and_its_characters_are_spelled() -> None:
    first, _, _ = trained()
    other = story(700, seed=1).replace("grey", "砂")
    warm_start = WarmStart(first.model, first.tokenizer, first.characters)
    said: list[str] = []
    train_text(corpus(other), options(hidden_size=None), warm_start=warm_start, on_note=said.append)
    assert any("this is a different text" in sentence for sentence in said)


class Stop:
    """Sends this process Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, progress: Progress) -> None:
        if progress.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def stopped_at(step: int, **call: Any) -> list[TrainedText]:
    kept: list[TrainedText] = []
    with pytest.raises(Interrupted):
        train_text(corpus(), on_progress=Stop(step), on_stop=kept.append, **call)
    return kept


EVERY = {"log_every": 1}


def test_a_stopped_run_is_a_model_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    whole, _, _ = trained(training=EVERY)
    (kept,) = stopped_at(14, options=options(training=EVERY), folder=tmp_path)
    assert (kept.result.steps, kept.result.best_step) == (15, 12)  # the signal is seen after the next step
    tail = corpus().text[kept.characters :]
    assert kept.result.held_out == evaluate(kept.model, kept.tokenizer.encode(tail))
    assert kept.sample is None
    resumed, _, _ = trained(folder=tmp_path, training=EVERY)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])
    assert resumed.diagnosis == whole.diagnosis  # from all evaluations, of both processes


def test_more_time_takes_the_place_of_the_run_and_can_be_stopped(tmp_path: Path) -> None:
    first, _, _ = trained(folder=tmp_path)
    warm_start = WarmStart(first.model, first.tokenizer, first.characters, Cost(24, 1536, 2.0))
    more = options(hidden_size=None, training={"steps": 12, "evaluate_every": 3, "log_every": 1})
    start = {name: tensor.clone() for name, tensor in first.model.state_dict().items()}
    (kept,) = stopped_at(7, options=more, warm_start=warm_start, folder=tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["facts"]["leg"] == 1
    assert plan["facts"]["before"] == {"steps": 24, "tokens": 1536, "seconds": 2.0}

    # What was kept becomes the model; the same call again continues the stage, and counts from where it began.
    again = WarmStart(kept.model, kept.tokenizer, kept.characters, Cost(31, 2000, 3.0))
    resumed = train_text(corpus(), more, warm_start=again, folder=tmp_path)
    assert resumed.before == Cost(24, 1536, 2.0)
    assert resumed.result.steps == 12
    first.model.load_state_dict(start)
    straight = train_text(corpus(), more, warm_start=warm_start, folder=tmp_path / "straight")
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])

    third = train_text(corpus(), more, warm_start=WarmStart(resumed.model, resumed.tokenizer), folder=tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text())["facts"]["leg"] == 2
    assert third.held_out_bits <= resumed.held_out_bits
    with pytest.raises(InputError, match="continued with --more"):
        trained(folder=tmp_path)


def test_a_stage_stopped_before_it_is_better_keeps_nothing(tmp_path: Path) -> None:
    first, _, _ = trained()
    warm_start = WarmStart(first.model, first.tokenizer)
    bad = options(hidden_size=None, training={"steps": 9, "evaluate_every": 1, "log_every": 1, "lr": 2.0})
    assert stopped_at(3, options=bad, warm_start=warm_start, folder=tmp_path) == []


def test_what_diverges_from_the_first_is_raised_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="learning rate 1000") as caught:
        trained(folder=tmp_path, training={"lr": 1000.0, "warmup_steps": 0, "checkpoint_every": 1})
    line = str(caught.value)
    assert "\n" not in line
    assert "nothing is kept, since no evaluation was better than how frequent each character is" in line
    found, _, _ = trained(folder=tmp_path)  # the folder is free for other settings
    assert found.diagnosis is None or found.diagnosis.kind != "diverged"


class Breaking:
    """Breaks a weight of the model in training, after so many reports that had an evaluation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        advance = Session.advance

        def broken(session: Session) -> None:
            advance(session)
            if session.counters.step == step:
                with torch.no_grad():
                    next(session.model.parameters()).fill_(math.nan)

        monkeypatch.setattr(Session, "advance", broken)


def test_what_had_learned_something_is_kept_and_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole, _, _ = trained(training={"steps": 24})
    Breaking(monkeypatch, 20)
    found, said, _ = trained(folder=tmp_path)
    assert found.diagnosis is not None
    assert found.diagnosis.kind == "diverged"
    assert said[-1] == found.diagnosis.sentence
    assert said[-1].startswith("diverged: the training loss became nan at step 21 (learning rate")
    assert "the weights of step 18 were kept" in said[-1]
    assert found.result.best_step == 18
    tail = corpus().text[found.characters :]
    assert found.result.held_out == evaluate(found.model, found.tokenizer.encode(tail))
    assert found.held_out_bits > whole.held_out_bits
    assert found.sample is not None
    again, said, _ = trained(folder=tmp_path)
    assert again.diagnosis is not None
    assert again.diagnosis.kind == "diverged"
    for name, tensor in found.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name])


@pytest.mark.parametrize("lr", [1000.0, 1e30])
def test_a_model_that_diverges_as_it_goes_on_is_as_it_was(lr: float) -> None:
    first, _, _ = trained()
    weights = {name: tensor.clone() for name, tensor in first.model.state_dict().items()}
    with pytest.raises(Diverged, match="the model stays as it was") as caught:
        going_on(first, training={"lr": lr, "warmup_steps": 0})
    assert f"{first.held_out_bits:.2f} bits" in str(caught.value)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in first.model.state_dict().items())


@pytest.mark.parametrize(
    ("text", "bits"),
    [("a" * 2000, 0.0), ("".join(random.Random(0).choices("abcdefghijklmnop", k=4000)), 4.0)],
    ids=["one character", "noise"],
)
def test_texts_with_nothing_or_all_to_learn_do_not_diverge(text: str, bits: float) -> None:
    found, said, _ = trained(text, training={"steps": 120, "evaluate_every": 20, "lr": 0.01})
    assert found.held_out_bits == pytest.approx(bits, abs=0.1)
    assert found.diagnosis is not None
    assert found.diagnosis.kind == ("level" if bits == 0 else "learned little")
    assert "leveled off" in said[-1]


def test_a_prompt_in_the_words_of_the_text() -> None:
    found, _, _ = trained("今天下雨，我在家。今天不去，明天再说。" * 60)
    assert found.opening == "今天"


def test_a_network_beyond_the_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for values in ({"hidden_size": 16_000_000}, {"num_layers": 1000, "hidden_size": 50_000},
                   {"model": {"embedding_size": 16_000_000}, "hidden_size": 4096}):  # fmt: skip
        with pytest.raises(InputError, match=r"parameters, takes at least [0-9,.]+ GB of memory, and there are"):
            trained(**values)
    monkeypatch.setattr("longhold.models.memory.free_memory", lambda device: 800_000)
    with pytest.raises(InputError, match=r"batch_size=64 with sequence_length=32 on LSTM, 1 x 32 units takes at least"):
        trained(
            hidden_size=32, training={"batch_size": 64, "sequence_length": 32, "optimizer": "sgd", "weight_decay": 0}
        )


@pytest.mark.parametrize(
    "facts",
    [{"leg": "1"}, {"leg": True}, {"leg": -1}, {"leg": 1.5}, {"leg": 1, "before": 3}, {"leg": 1, "before": {"a": 1}},
     {"leg": 1, "before": {"steps": "x"}}, {"leg": 1, "before": [1]}],
)  # fmt: skip
def test_a_plan_that_was_edited_does_not_go_on(facts: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"facts": facts, "training": {}}))
    with pytest.raises(InputError, match="was edited"):
        _stage(Run(tmp_path), Cost())
