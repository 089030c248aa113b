"""`train`: a text becomes a model with its facts, saved where it should be, or one line."""

import copy
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.text import load, train
from longhold.training import Diverged
from longhold.training.session import Session
from tests.text.stories import QUICK, STORY


def test_training_gives_a_model_with_its_facts_and_saves_it(diary: Path, tmp_path: Path) -> None:
    ended: list[Any] = []
    made = train(diary, hidden_size=8, training=QUICK, output=tmp_path / "m.safetensors", on_trained=ended.append)
    facts = made.facts
    assert (facts.corpus, facts.seed) == ("diary.txt", 0)
    assert facts.characters == round(0.9 * len(STORY))
    assert facts.held_out_bits_per_character == facts.held_out_bits_per_byte == ended[0].held_out_bits
    stored = load(tmp_path / "m.safetensors")
    assert stored.facts == facts
    assert list(stored.write("On day", length=20, seed=1)) == list(made.write("On day", length=20, seed=1))


def test_more_adds_up(diary: Path, tmp_path: Path) -> None:
    first = train(diary, hidden_size=8, training=QUICK)
    before = first.facts
    second = train(diary, more="2s", begin=first, training={"batch_size": 2, "sequence_length": 8})
    assert second.facts.held_out_bits_per_character < before.held_out_bits_per_character
    assert second.facts.steps > before.steps
    assert second.facts.tokens_seen > before.tokens_seen
    assert second.facts.seconds > before.seconds
    assert second.tokenizer.to_dict() == first.tokenizer.to_dict()


def test_what_diverges_is_raised_and_nothing_is_written(diary: Path, tmp_path: Path) -> None:
    place = tmp_path / "diary.safetensors"
    model = train(diary, output=place, hidden_size=8, training=QUICK)
    before, weights = place.read_bytes(), copy.deepcopy(model.model.state_dict())
    with pytest.raises(Diverged, match="learning rate 1000"):
        train(diary, output=place, hidden_size=8, training={**QUICK, "lr": 1000.0, "steps": 30})
    with pytest.raises(Diverged, match="the model stays as it was"):
        train(diary, more=1, begin=model, output=place, training={"lr": 1000.0, "batch_size": 2})
    assert place.read_bytes() == before
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.model.state_dict().items())


def test_what_was_learnt_before_it_diverged_is_kept_with_a_warning(
    diary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Session.advance

    def broken(session: Session) -> None:
        advance(session)
        if session.counters.step == 30:
            with torch.no_grad():
                next(session.model.parameters()).fill_(math.nan)

    monkeypatch.setattr(Session, "advance", broken)
    long = {**QUICK, "steps": 40, "evaluate_every": 10, "lr": 0.01}
    with pytest.warns(UserWarning, match="became nan at step 30.*the weights of step 20 were kept"):
        kept = train(diary, output=tmp_path / "kept.safetensors", hidden_size=8, training=long)
    assert load(tmp_path / "kept.safetensors").facts == kept.facts
    assert kept.facts.steps == 20
    said: list[str] = []
    train(diary, on_note=said.append, hidden_size=8, training=long)
    assert said[-1].startswith("diverged: ")


def test_what_train_may_not_write_is_known_before_it_trains(
    diary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*arguments: object, **options: object) -> None:
        raise AssertionError("it trained")

    monkeypatch.setattr("longhold.text.training.train_text", trained)
    (tmp_path / "thesis").write_text("forty years")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "diary.txt").hardlink_to(diary)
    for output, folder, line in (
        (tmp_path / "thesis", None, "is not a language model that longhold wrote"),
        (diary, None, "it is what is read"),
        (tmp_path / "sub" / "diary.txt", None, "it is what is read"),
        (None, tmp_path / "thesis", "what is there is no folder"),
    ):
        with pytest.raises(InputError, match=line):
            train(diary, output=output, folder=folder)
    for source in (tmp_path / "sub", str(tmp_path / "s*" / "*.txt")):
        with pytest.raises(InputError, match="it is what is read"):
            train(source, output=diary, overwrite=True)
    monkeypatch.setattr(sys, "stdin", open(diary, encoding="utf-8"))  # noqa: SIM115 - closed below
    with pytest.raises(InputError, match="it is what is read"):
        train("-", output=diary, overwrite=True)
    sys.stdin.close()
    with pytest.raises(AssertionError, match="it trained"):
        train(diary, output=tmp_path / "thesis", overwrite=True)
    assert diary.read_text(encoding="utf-8") == STORY


def test_a_text_that_was_read_already_trains_as_its_file_does(diary: Path) -> None:
    given = Corpus("/home/me/diary.txt", diary.read_text(encoding="utf-8"), "utf-8", 1, ())
    first, second = (train(source, hidden_size=8, training=QUICK) for source in (diary, given))
    assert second.facts.corpus == "diary.txt"
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
    with pytest.raises(InputError, match="begin= or output="):
        train(given, more="1s")


def test_training_reads_a_corpus_at_hand_as_it_reads_a_file(tmp_path: Path) -> None:
    story = "The cat sat on the mat.\n" * 40
    (tmp_path / "story.txt").write_bytes(story.replace("\n", "\r\n").encode())
    options: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "training": {"steps": 2, "warmup_steps": 0}}
    trained = [train(tmp_path / "story.txt", **options)]
    trained += [train(Corpus("story", story.replace("\n", end)), **options) for end in ("\n", "\r\n", "\r")]
    assert len({made.score(story).nats for made in trained}) == 1
    assert len({str(made.tokenizer.to_dict()) for made in trained}) == 1


CORPUS = Corpus("t", "The cat sat on the mat. " * 100)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"output": 5}, "output should be a path, as str or pathlib.Path, got int"),
        ({"output": b"a"}, "output should be a path.* got bytes"),
        ({"folder": ["a"]}, "folder should be a path.* got list"),
        ({"begin": {}, "more": 1}, "begin should be a path.* got dict"),
        ({"budget": []}, r"duration \[\]: expected a time"),
        ({"budget": True}, "duration True: expected a time"),
        ({"more": {}}, r"duration \{\}: expected a time"),
        ({"model": "x"}, "model='x': expected a dict"),
        ({"training": 5}, "training=5: expected a dict"),
        ({"device": None}, "device None: expected cpu"),
        ({"device": "meta"}, "device 'meta' holds no numbers to train"),
    ],
)
def test_options_of_another_type_are_refused(options: Any, named: str) -> None:
    with pytest.raises(InputError, match=named):
        train(CORPUS, **options)


SMALL_AND_QUICK: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "training": {"steps": 3, "warmup_steps": 0}}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.device("meta")])
def test_training_goes_on_under_whatever_the_caller_has_turned_off(mode: Any, tmp_path: Path) -> None:
    expected = train(CORPUS, **SMALL_AND_QUICK)
    with mode():
        found = train(CORPUS, **SMALL_AND_QUICK, output=tmp_path / "m.safetensors")
        assert train(CORPUS, **SMALL_AND_QUICK, budget=0.2).facts.steps
        more = train(CORPUS, more=0.2, begin=load(tmp_path / "m.safetensors", device="cpu"))
    for name, tensor in expected.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], tensor)
    assert math.isfinite(more.score("The cat").nats)


def test_training_in_double_precision_and_with_deterministic_algorithms() -> None:
    expected = train(CORPUS, **SMALL_AND_QUICK).score("The cat").nats
    torch.use_deterministic_algorithms(True)
    try:
        assert train(CORPUS, **SMALL_AND_QUICK).score("The cat").nats == expected
    finally:
        torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float64)
    try:
        assert next(train(CORPUS, **SMALL_AND_QUICK).model.parameters()).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
