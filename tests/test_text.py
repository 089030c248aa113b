"""TextModel: writing, scoring and the file, for every tokenizer and cell."""

import copy
import json
import math
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold import text
from longhold.data import Corpus
from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State
from longhold.models.file import read_model, write_model
from longhold.models.language_model import LanguageModelConfig
from longhold.text import Facts, Score, TextModel, load, train
from longhold.training import Diverged
from longhold.training.session import Session

TEXT = "The Time Traveller (for so it will be convenient to speak of him) — was expounding.\n其眼閃爍。\n"
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "closed": CharTokenizer("abcdefghijklmnopqrstuvwxyz ", fallback=False),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT),
    "bpe": BPETokenizer.train(TEXT, 300),
}


def text_model(tokenizer: str = "char", **values: Any) -> TextModel:
    made = TOKENIZERS[tokenizer]
    torch.manual_seed(5)
    config = LanguageModelConfig(**{"cell": "lstm", "hidden_size": 12, "vocab_size": made.vocab_size, **values})
    return TextModel(config.build(), made, Facts(corpus="The Time Machine", steps=12, seed=5, seconds=1.5))


class Uniform(SequenceModel):
    """Every token is as probable as every other; `ids` never matter."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size

    def initial_state(self, batch: int) -> State:
        return ()

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        return torch.zeros(*inputs.shape, self.vocab_size), ()


class Parrot(Uniform):
    """After id `n` comes `n + 1`, for certain."""

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        return F.one_hot((inputs + 1) % self.vocab_size, self.vocab_size) * 1000.0, ()


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_pieces_are_whole_characters_and_make_the_decoded_text(tokenizer: str) -> None:
    made = text_model(tokenizer)
    pieces = list(made.write("traveller", length=200, temperature=1.5, seed=3))
    assert all(pieces)
    again = "".join(made.write("traveller", length=200, temperature=1.5, seed=3))
    assert again == "".join(pieces)
    assert "".join(made.write("traveller", length=200, temperature=1.5, seed=4)) != again


def test_the_text_goes_on_from_the_prompt_and_repeats_it_only_when_asked() -> None:
    tokenizer = CharTokenizer("abcdef", fallback=False)
    made = TextModel(Parrot(6), tokenizer)
    assert list(made.write("fab", length=4)) == ["c", "d", "e", "f"]
    assert list(made.write("fab", length=2, echo=True)) == ["fab", "c", "d"]
    assert list(made.write("a", length=0)) == []


@pytest.mark.parametrize(
    ("characters", "first"), [("a\n", "a"), (" a", "a"), ("\n a", " "), ("bcd", "c")]
)  # code point order: "\n" < " " < letters, and Parrot writes the next one
def test_an_empty_prompt_begins_after_newline_space_or_the_first_id(characters: str, first: str) -> None:
    made = TextModel(Parrot(len(characters)), CharTokenizer(characters, fallback=False))
    assert next(made.write()) == first


def test_a_character_in_several_bytes_comes_out_once_and_whole() -> None:
    class Spells(Uniform):
        def forward(
            self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None
        ) -> tuple[Tensor, State]:
            raw = "é其!".encode()
            following = dict(pairwise(raw)) | {ord("\n"): raw[0]}
            ids = torch.tensor([[following.get(int(token), 0) for token in row] for row in inputs])
            return F.one_hot(ids, 256) * 1000.0, ()

    made = TextModel(Spells(256), ByteTokenizer())
    assert list(made.write(length=6)) == ["é", "其", "!"]
    assert list(made.write(length=4)) == ["é"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_what_is_written_is_utf8_at_any_length(tokenizer: str) -> None:
    made = text_model(tokenizer)
    longest = "".join(made.write("traveller", length=400, temperature=1.5, seed=3))
    assert "\ufffd" not in longest
    assert {len(character.encode()) for character in longest} == ({1} if tokenizer == "closed" else {1, 2, 3, 4})
    for length in range(30):
        text = "".join(made.write("traveller", length=length, temperature=1.5, seed=3))
        assert "\ufffd" not in text
        assert longest.startswith(text)


def test_writing_ends_before_a_stop_text_and_draws_no_more() -> None:
    made = TextModel(Parrot(6), CharTokenizer("abcdef", fallback=False))
    assert "".join(made.write("a", length=50, stop="ab")) == "bcdef"
    assert "".join(made.write("a", length=50, stop=["fa", "eff"])) == "bcde"
    assert "".join(made.write("ab", length=50, stop="abc", echo=True)) == "abcdef"
    assert "".join(made.write("a", length=3, stop="dX")) == "bcd"
    with pytest.raises(InputError, match="stop=''"):
        made.write("a", stop=["x", ""])


def test_a_repetition_penalty_over_a_window_of_the_prompt_and_the_text() -> None:
    class Stutters(Uniform):
        def forward(
            self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None
        ) -> tuple[Tensor, State]:
            return F.one_hot(inputs, self.vocab_size) * 3.0 - torch.arange(self.vocab_size) * 0.1 + 1, ()

    made = TextModel(Stutters(4), CharTokenizer("abcd", fallback=False))
    options = {"length": 6, "greedy": True}
    assert "".join(made.write("c", **options)) == "cccccc"
    assert "".join(made.write("c", repetition_penalty=50, repetition_window=2, **options)) == "abcabc"
    assert "".join(made.write("c", repetition_penalty=1, repetition_window=2, **options)) == "cccccc"


def test_unknown_characters_are_told_and_still_read() -> None:
    made = text_model("char")
    assert made.unknown("Time ☃ Z☃") == ("☃", "Z")
    read: list[int] = []
    made.model.output.register_forward_hook(lambda _, given, __: read.append(given[0].shape[0]))
    list(made.write("Time ☃", length=3))
    assert read == [5 + len("☃".encode()), 1, 1]


def test_a_closed_vocabulary_names_what_it_lacks() -> None:
    made = text_model("closed")
    assert made.unknown("tea, No. 3") == (",", "N", ".", "3")
    for use in (made.write, made.score):
        with pytest.raises(InputError, match="','"):
            use("tea, please")


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 0},
        {"repetition_window": 0},
        {"stop": ""},
        {"temperature": -1},
        {"top_k": 0},
        {"top_p": 2},
        {"min_p": -1},
        {"length": -1},
        {"seed": -1},
    ],
)
def test_options_out_of_range_are_told_at_once(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=f"^{name}="):
        text_model().write("The", **options)


def test_a_uniform_model_scores_log2_v_bits_a_token() -> None:
    made = TextModel(Uniform(256), ByteTokenizer())
    score = made.score("naïve 其")
    assert (score.tokens, score.characters, score.utf8_bytes) == (10, 7, 10)
    assert score.nats == pytest.approx(10 * math.log(256))
    assert score.bits_per_byte == pytest.approx(8)
    assert score.bits_per_character == pytest.approx(80 / 7)
    assert score.perplexity == pytest.approx(256)
    assert made.score("x") == Score(nats=pytest.approx(math.log(256)), tokens=1, characters=1, utf8_bytes=1)


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
def test_a_score_is_the_sum_of_each_tokens_surprise_given_all_before(tokenizer: str) -> None:
    made = text_model(tokenizer)
    made.model.double()
    text = TEXT * 6
    ids = made.tokenizer.encode(text)
    start = made.tokenizer.encode("\n")[-1:]
    with torch.no_grad():
        outputs, _ = made.model.eval()(torch.from_numpy(np.concatenate([start, ids[:-1]])).unsqueeze(1))
    surprise = -outputs[:, 0].log_softmax(-1)[torch.arange(len(ids)), torch.from_numpy(ids)]
    score = made.score(text)
    assert score.nats == pytest.approx(surprise.sum().item(), rel=1e-12)
    assert (score.characters, score.utf8_bytes, score.tokens) == (len(text), len(text.encode()), len(ids))


def test_an_empty_text_has_no_score() -> None:
    for use in (text_model().score, text_model().surprises):
        with pytest.raises(InputError, match="empty"):
            use("")


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
def test_the_first_place_is_predicted_from_the_start_token_and_all_add_up(tokenizer: str) -> None:
    made = text_model(tokenizer)
    text = "The Ω of it.\n" * 30
    found = made.surprises(text)
    assert found.bits.sum() * math.log(2) == pytest.approx(made.score(text).nats)
    start = torch.from_numpy(made.tokenizer.encode("\n")[-1:]).unsqueeze(1)
    with torch.no_grad():
        first = made.model.eval()(start)[0][-1, 0].double().log_softmax(-1)[int(made.tokenizer.encode(text)[0])]
    assert found.bits[0] == pytest.approx(-first.item() / math.log(2))
    assert {text[place.position : place.position + len(place.text)] for place in found.largest(5)} == {
        place.text for place in found.largest(5)
    }


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize(
    "values",
    [
        {"cell": "rnn", "nonlinearity": "relu"},
        {"cell": "gru", "num_layers": 2, "embedding_size": 12, "tie_weights": True},
        {"cell": "lstm", "zoneout": (0.1, 0.2), "learn_initial_state": True, "layer_norm": True, "init": "chrono:40"},
    ],
    ids=lambda values: values["cell"],
)
def test_a_saved_model_is_the_same_bit_for_bit(tmp_path: Path, tokenizer: str, values: dict[str, Any]) -> None:
    made = text_model(tokenizer, **values)
    made.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    inputs = torch.from_numpy(made.tokenizer.encode("time traveller")).unsqueeze(1)
    assert torch.equal(made.model.eval()(inputs)[0], again.model(inputs)[0])
    assert again.facts == made.facts
    assert again.model.config == made.model.config
    assert again.tokenizer.to_dict() == made.tokenizer.to_dict()
    assert list(again.write("so", length=30, seed=1)) == list(made.write("so", length=30, seed=1))
    assert not again.model.training
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_dtype_is_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    made = text_model()
    made.model.to(dtype)
    made.save(tmp_path / "m")
    assert {parameter.dtype for parameter in load(tmp_path / "m").model.parameters()} == {dtype}


def test_a_loaded_model_can_be_trained_further(tmp_path: Path) -> None:
    text_model("char", embedding_size=12, tie_weights=True).save(tmp_path / "m")
    model = load(tmp_path / "m").model.train()
    ids = torch.arange(20).unsqueeze(1)
    before = model.loss(ids[:-1], ids[1:])[0]
    before.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert model.loss(ids[:-1], ids[1:])[0] < before
    assert model.embedding.weight is model.output.weight


def test_a_fresh_process_writes_the_same_text(tmp_path: Path) -> None:
    made = text_model("bpe")
    made.save(tmp_path / "m.safetensors")
    code = (
        "import sys\n"
        "from longhold.text import load\n"
        "sys.stdout.reconfigure(encoding='utf-8', newline='')\n"
        "print(''.join(load(sys.argv[1]).write('The Time', length=60, seed=8)), end='')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.safetensors")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.decode() == "".join(made.write("The Time", length=60, seed=8))


def test_loading_draws_no_random_number(tmp_path: Path) -> None:
    text_model().save(tmp_path / "m")
    before = torch.get_rng_state()
    load(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_follows_torchs_default_device_and_the_argument(tmp_path: Path) -> None:
    text_model().save(tmp_path / "m")
    assert {p.device.type for p in load(tmp_path / "m", device="meta").model.parameters()} == {"meta"}
    with torch.device("meta"):
        assert {p.device.type for p in load(tmp_path / "m").model.parameters()} == {"meta"}
    for device in ("cuda:99", "nonsense"):
        with pytest.raises(InputError, match=device) as caught:
            load(tmp_path / "m", device=device)
        assert "\n" not in str(caught.value)


def test_the_file_names_no_place_and_no_person(tmp_path: Path) -> None:
    made = text_model("byte")
    made.facts = Facts(corpus="/home/lovelace/secret/diary.txt")
    assert made.facts.corpus == "diary.txt"
    made.save(tmp_path / "m")
    text = (tmp_path / "m").read_bytes().decode("latin-1")
    assert not any(word in text for word in ("/home", "lovelace", "secret", str(tmp_path), Path.home().name + "/"))
    assert Facts(corpus=r"C:\Users\lovelace\books\\").corpus == "books"


def test_facts_are_checked() -> None:
    for values in ({"steps": -1}, {"user": "ada"}, {"seconds": float("inf")}):
        with pytest.raises(InputError):
            Facts(**values)


def edited(path: Path, change: Any) -> None:
    """The file with another document and a digest that fits it."""
    tensors, document = read_model(path)
    document = copy.deepcopy(document)
    change(document, tensors)
    write_model(path, tensors, document, overwrite=True)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda d, _: d.update(kind="checkpoint"), "holds a 'checkpoint', expected a 'language_model'"),
        (lambda d, _: d.pop("config"), "config is missing"),
        (lambda d, _: d.update(config=[]), "config"),
        (lambda d, _: d["config"].update(hidden_size=0), "hidden_size=0"),
        (lambda d, _: d["config"].update(hidden_size=13), "do not fit"),
        (lambda d, _: d["config"].update(hidden_size=2**24, num_layers=1000), "do not fit"),
        (lambda d, _: d["config"].update(cell="gru"), "do not fit"),
        (lambda d, _: d["config"].update(cell="transformer"), "transformer"),
        (lambda d, _: d["config"].update(init="nothing:like:it"), "nothing:like:it"),
        (lambda d, _: d["config"].update(surprise=1), "surprise"),
        (lambda d, _: d.pop("tokenizer"), "tokenizer is missing"),
        (lambda d, _: d.update(tokenizer={"kind": "rune"}), "rune"),
        (lambda d, _: d.update(tokenizer={"kind": "char", "characters": 3, "fallback": True}), "characters"),
        (lambda d, _: d.update(tokenizer=ByteTokenizer().to_dict()), "token ids"),
        (lambda d, _: d.update(facts={"host": "enigma"}), "host"),
        (lambda d, _: d.update(facts=None), "facts"),
        (lambda d, _: d.update(extra=1), "extra"),
        (lambda _, t: t.pop("output.bias"), "output.bias"),
        (lambda _, t: t.update({"output.bias": torch.zeros(3)}), "output.bias"),
        (lambda _, t: t.clear(), "do not fit"),
    ],
)
def test_parts_that_do_not_fit_are_one_line(tmp_path: Path, change: Any, line: str) -> None:
    path = tmp_path / "m.safetensors"
    text_model().save(path)
    edited(path, change)
    with pytest.raises(InputError, match=line) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"cannot read {str(path)!r}: ")


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_a_changed_value_in_the_document_loads_or_is_one_line(tmp_path: Path, tokenizer: str) -> None:
    path = tmp_path / "m.safetensors"
    text_model(tokenizer).save(path)
    tensors, document = read_model(path)
    places = [place for place in leaves(document) if place != ("kind",)]
    chance = random.Random(0)
    complaints = []
    for place in chance.choices(places, k=80):
        changed = copy.deepcopy(document)
        target = changed
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = chance.choice([None, -1, 10**30, "x", [1], {"a": 2}, True])
        write_model(path, tensors, changed)
        try:
            load(path)
        except InputError as error:
            complaints.append(str(error))
    assert len(complaints) > 35
    assert not any("\n" in complaint for complaint in complaints)


def leaves(tree: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values in a JSON document, objects and lists included."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [place] if place else []
    return found + [leaf for key, branch in inside for leaf in leaves(branch, (*place, key))]


def test_saving_what_has_no_file_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a Parrot"):
        TextModel(Parrot(256), ByteTokenizer()).save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_vocabulary_of_another_size_is_refused() -> None:
    model = LanguageModelConfig(cell="rnn", vocab_size=9, hidden_size=2).build()
    with pytest.raises(InputError, match="9 token ids and its tokenizer has 256"):
        TextModel(model, ByteTokenizer())


def test_the_document_is_the_one_that_is_described(tmp_path: Path) -> None:
    text_model().save(tmp_path / "m")
    _, document = read_model(tmp_path / "m")
    assert document.keys() == {"kind", "config", "tokenizer", "facts"}
    assert json.loads(json.dumps(document)) == document


STORY = "".join(f"On day {day} the traveller found sand, {day % 7} stones and a grey machine.\n" for day in range(60))
QUICK = {"steps": 10, "batch_size": 2, "sequence_length": 8, "evaluate_every": 5}


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary.txt"
    path.write_text(STORY, encoding="utf-8")
    return path


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


def test_more_finds_the_text_of_a_model_file(diary: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    train(diary, hidden_size=8, training=QUICK, output=path)
    second = train(path, more="1s", output=path, training={"batch_size": 2, "sequence_length": 8})
    assert second.facts.corpus == "diary.txt"
    assert load(path).facts == second.facts
    diary.unlink()
    with pytest.raises(InputError, match=r"its text 'diary.txt' is not beside .*m.safetensors'"):
        train(path, more="1s")


def stranger(folder: Path, corpus: str) -> Path:
    """A sound model file that says it was trained on a corpus of that name."""
    made = text_model()
    path = folder / "m.safetensors"
    made.save(path)
    tensors, document = read_model(path)
    write_model(path, tensors, {**document, "facts": {**document["facts"], "corpus": corpus}})
    return path


SECRET = "my secret, which nobody may learn. " * 40


PLAIN_NOWHERE = (
    "",
    ".",
    "..",
    "/",
    "~",
    "~root",
    "-",
    "*",
    "*.txt",
    "?",
    "a/../..",
    "..\\..",
    "a\\..",
    "C:",
    "C:x",
    "sub",
)
STRANGE_NAMES = ("nul\0", "two\nlines", "\x1b[31mred", "\u202etxt", "x" * 300)
STRANGE_FILES = ("sub", "sub/s.txt", "link", "link to a folder", "FIFO", ".hidden", "gone")


@pytest.mark.parametrize("name", [*PLAIN_NOWHERE, *STRANGE_NAMES, *STRANGE_FILES])
def test_a_strangers_model_leads_to_no_text_but_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    for place in ("../above.txt", "other.txt", "sub/s.txt", ".hidden", "\x1b[31mred"):
        (here / place).write_text(SECRET)
    (here / "link").symlink_to("../above.txt")
    (here / "link to a folder").symlink_to("..")
    (here / "gone").symlink_to("nowhere")
    for shipped in ("~", "-", "*", "?"):
        (here / shipped).mkdir()
    os.mkfifo(here / "FIFO")
    path = stranger(here, name)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))
    read = []
    monkeypatch.setattr("longhold.data.corpora._read", read.append)
    notes: list[str] = []
    for source in (path, "m.safetensors"):
        with pytest.raises(InputError, match="is not beside") as caught:
            train(source, more="1s", on_note=notes.append)
        assert str(caught.value).isprintable()
    assert read == notes == []


@pytest.mark.parametrize("name", ["diary.txt", "日记 1.txt", "~tilde-is-refused-below"])
def test_the_text_beside_a_model_is_named_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_text(STORY)
    path = stranger(tmp_path, name)
    happened: list[str] = []
    monkeypatch.setattr("longhold.text.load_corpus", lambda place, **options: happened.append(f"read {place}"))
    with pytest.raises((AttributeError, InputError)):
        train(path, more="1s", on_note=happened.append)
    if name.startswith("~"):
        assert happened == []
    else:
        assert happened == [
            f"reads the text {name!r}, which lies beside {str(path)!r} and which the model names",
            f"read {tmp_path / name}",
        ]


def test_a_known_text_that_a_model_names_is_that_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pydoc").mkdir()
    (tmp_path / "pydoc" / "secret.txt").write_text(SECRET)
    notes: list[str] = []
    corpus = text._corpus("m.safetensors", load(stranger(tmp_path, "pydoc")), None, (), notes.append)
    assert notes == ["reads the text pydoc, which the model names"]
    assert "secret" not in corpus.text[:10_000]
    assert corpus.sources == ()


def test_what_train_may_not_write_is_known_before_it_trains(
    diary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*arguments: object, **options: object) -> None:
        raise AssertionError("it trained")

    monkeypatch.setattr("longhold.text.train_text", trained)
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


def test_save_replaces_a_model_and_nothing_else(tmp_path: Path) -> None:
    made = text_model()
    for _ in range(2):
        made.save(tmp_path / "m")
    (tmp_path / "thesis.docx").write_text("forty years")
    with pytest.raises(InputError, match=r"thesis\.docx' is there already"):
        made.save(tmp_path / "thesis.docx")
    assert (tmp_path / "thesis.docx").read_text() == "forty years"
    made.save(tmp_path / "thesis.docx", overwrite=True)
    assert load(tmp_path / "thesis.docx").facts == made.facts


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"more": "1s", "budget": "1s"}, "expected one of them"),
        ({"more": "1s"}, "expected begin= or output="),
        ({"more": "1s", "begin": "none.safetensors"}, "no model 'none.safetensors' to go on from"),
        ({"more": "soon", "begin": "none.safetensors"}, "soon"),
    ],
)
def test_more_that_cannot_be(diary: Path, values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        train(diary, **values)


def test_a_model_that_goes_on_takes_no_shape(diary: Path, tmp_path: Path) -> None:
    made = train(diary, hidden_size=8, training=QUICK, output=tmp_path / "m.safetensors")
    for given in ({"cell": "gru"}, {"hidden_size": 9}, {"recipe": "awd"}, {"model": {"layer_norm": True}}):
        with pytest.raises(InputError, match=rf"{next(iter(given))} cannot be chosen"):
            train(diary, more="1s", begin=made, **given)
    with pytest.raises(InputError, match="is a model, expected a text"):
        train(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="not a Parrot"):
        train(diary, more="1s", begin=TextModel(Parrot(256), ByteTokenizer()))


def test_a_model_file_from_before_the_newer_fields_still_loads(tmp_path: Path) -> None:
    made = text_model()
    made.save(tmp_path / "m")
    tensors, document = read_model(tmp_path / "m")
    for name in ("locked_dropout", "input_dropout", "embedding_dropout", "output_dropout"):
        del document["config"][name]
    del document["facts"]["held_out_bits_per_byte"]
    write_model(tmp_path / "old", tensors, document)
    old = load(tmp_path / "old")
    assert (old.facts, old.model.config) == (made.facts, made.model.config)


def test_a_text_that_was_read_already_trains_as_its_file_does(diary: Path) -> None:
    given = Corpus("/home/me/diary.txt", diary.read_text(encoding="utf-8"), "utf-8", 1, ())
    first, second = (train(source, hidden_size=8, training=QUICK) for source in (diary, given))
    assert second.facts.corpus == "diary.txt"
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
    with pytest.raises(InputError, match="begin= or output="):
        train(given, more="1s")


WINDOWS, MAC = "\ufeff" + TEXT.replace("\n", "\r\n"), TEXT.replace("\n", "\r")


@pytest.mark.parametrize("other", [WINDOWS, MAC], ids=["windows", "mac"])
@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
def test_a_text_is_read_with_its_line_ends_as_training_reads_them(tokenizer: str, other: str) -> None:
    made = text_model(tokenizer)
    assert made.score(other) == made.score(TEXT)
    assert np.array_equal(made.surprises(other).starts, made.surprises(TEXT).starts)
    assert made.surprises(other).text == TEXT
    assert torch.equal(made.trace(other).bits, made.trace(TEXT).bits)
    assert made.trace(other).text == TEXT
    assert made.unknown(other) == made.unknown(TEXT)
    assert np.array_equal(made.prompt_ids(other), made.prompt_ids(TEXT))
    assert list(made.write(other, length=20, seed=1, echo=True)) == list(made.write(TEXT, length=20, seed=1, echo=True))


def test_a_prompt_of_nothing_but_a_mark_is_an_empty_one_and_stops_are_read_too() -> None:
    made = TextModel(Parrot(6), CharTokenizer("ab\ncde", fallback=False))
    assert np.array_equal(made.prompt_ids("\ufeff"), made.prompt_ids(""))
    assert "".join(made.write("a", length=5, stop="e\r\n")) == "bcd"
    with pytest.raises(InputError, match="the text to score is empty"):
        made.score("\ufeff")


def test_training_reads_a_corpus_at_hand_as_it_reads_a_file(tmp_path: Path) -> None:
    story = "The cat sat on the mat.\n" * 40
    (tmp_path / "story.txt").write_bytes(story.replace("\n", "\r\n").encode())
    options: dict[str, Any] = {"hidden_size": 4, "num_layers": 1, "training": {"steps": 2, "warmup_steps": 0}}
    trained = [train(tmp_path / "story.txt", **options)]
    trained += [train(Corpus("story", story.replace("\n", end)), **options) for end in ("\n", "\r\n", "\r")]
    assert len({made.score(story).nats for made in trained}) == 1
    assert len({str(made.tokenizer.to_dict()) for made in trained}) == 1


WRONG_SOURCES: list[Any] = [
    np.zeros(3),
    torch.zeros(3),
    ["a.txt"],
    ("a",),
    None,
    {},
    b"a.txt",
    5,
    1.5,
    True,
    set(),
    open,
]


@pytest.mark.parametrize("wrong", WRONG_SOURCES, ids=lambda value: type(value).__name__)
def test_what_is_no_text_to_train_on_is_refused_with_what_is(wrong: Any) -> None:
    with pytest.raises(InputError, match=rf"Corpus\(name, text\), got {type(wrong).__name__}$") as refusal:
        train(wrong)
    assert "a path, a pattern, a known name or '-'" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_path_that_is_none_and_a_text_in_the_place_of_a_path() -> None:
    with pytest.raises(InputError, match=r"^no file, folder or known text '/nowhere/at all\.txt'"):
        train(Path("/nowhere/at all.txt"))
    with pytest.raises(
        InputError, match=r"^no file 'Once upon\\n.*a text itself goes as longhold.data.Corpus\(name, te"
    ):
        train("Once upon\n" * 300)


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


@pytest.mark.parametrize("wrong", [None, 5, b"x", ["a"]], ids=repr)
def test_texts_and_paths_of_another_type_are_refused(wrong: Any) -> None:
    made, kind = text_model(), type(wrong).__name__
    for read in (made.score, made.surprises, made.trace, made.unknown, made.write, made.prompt_ids):
        with pytest.raises(InputError, match=f"should be a str, got {kind}"):
            read(wrong)
    for place in (made.save, load, TextModel.load):
        with pytest.raises(InputError, match=f"file should be a path, as str or pathlib.Path, got {kind}"):
            place(wrong)


@pytest.mark.parametrize("wrong", ["3", 3.5, None, True, -1], ids=repr)
def test_lengths_and_seeds_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^length=.*: expected 0 or more tokens"):
        text_model().write("t", length=wrong)
    if wrong is not None:
        with pytest.raises(InputError, match=r"^seed=.*: expected an integer"):
            text_model().write("t", seed=wrong)


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
