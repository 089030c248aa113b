"""The file of a TextModel: what goes in comes out, and what does not fit is one line."""

import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.data.tokenizers import ByteTokenizer
from longhold.errors import InputError
from longhold.models.file import read_model, write_model
from longhold.models.language_model import LanguageModelConfig
from longhold.text import Facts, TextModel, load
from tests.text.small import TOKENIZERS, Parrot, text_model


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
