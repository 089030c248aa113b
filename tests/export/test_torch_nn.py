"""The exported folder, run where longhold cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from longhold import InputError, TextModel
from longhold.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_dict,
)
from longhold.export import standalone
from longhold.export.torch_nn import SCRIPT, export_torch
from longhold.models import LanguageModel, LanguageModelConfig

TEXT = "The Time Traveller (for so it will be convenient to speak of him) was expounding.\n我能吞下玻璃 42 × ½ don't\n"
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "char, some": CharTokenizer.train(TEXT, 270),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT * 2),
    "bpe": BPETokenizer.train(TEXT * 40, 300),
}
KINDS: dict[str, dict[str, Any]] = {
    "one-hot": {},
    "embedding, learned state": {"embedding_size": 6, "learn_initial_state": True},
    "tied": {"embedding_size": 8, "tie_weights": True},
}


def language_model(cell: str, tokenizer: Tokenizer, **options: Any) -> LanguageModel:
    config = LanguageModelConfig(
        cell=cell, vocab_size=tokenizer.vocab_size, hidden_size=options.pop("hidden_size", 8), num_layers=2, **options
    )
    model = LanguageModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_0_l" in name:
                parameter.uniform_(-1, 1)  # a learned state starts at zero
    return model.eval()


def python(folder: Path, code: str) -> str:
    """What a program prints, with the exported folder in sight and longhold out of it."""
    hidden = f"import sys; sys.modules['longhold'] = None; sys.path.insert(0, {str(folder)!r}); "
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", hidden + code], capture_output=True, encoding="utf-8", env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("cell", "kind"),
    [*product(("rnn", "gru", "lstm"), KINDS)],
)
@torch.no_grad()
def test_torch_nn_gives_the_same_logits(cell: str, kind: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["char"]
    model = language_model(cell, tokenizer, **KINDS[kind])
    export_torch(model, tokenizer, tmp_path)
    loaded, read = standalone.load(tmp_path)
    assert {type(part).__module__.split(".")[0] for part in loaded.children()} == {"torch"}
    ids = torch.tensor(read.encode(TEXT[:40]))[:, None].repeat(1, 3)
    for actual, expected in zip(flat(loaded(ids)), flat(model(ids)), strict=True):
        assert (actual - expected).abs().max() <= 1e-6


def flat(result: Any) -> list[torch.Tensor]:
    outputs, state = result
    return [outputs, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("options", [{"cell": "lstm", "proj_size": 3}, {"cell": "rnn", "nonlinearity": "relu"}])
@torch.no_grad()
def test_the_options_of_torch_nn(options: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = ByteTokenizer()
    model = language_model(options.pop("cell"), tokenizer, learn_initial_state=True, **options)
    export_torch(model, tokenizer, tmp_path)
    ids = torch.randint(256, (20, 2))
    for actual, expected in zip(flat(standalone.load(tmp_path)[0](ids)), flat(model(ids)), strict=True):
        assert (actual - expected).abs().max() <= 1e-6


@torch.no_grad()
def test_it_runs_without_longhold(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["bpe"]
    model = language_model("lstm", tokenizer)
    export_torch(model, tokenizer, tmp_path)
    code = f"""
import json, torch, write
model, tokenizer = write.load({str(tmp_path)!r})
ids = tokenizer.encode({TEXT!r})
print(json.dumps([ids, model(torch.tensor(ids)[:, None])[0][-1, 0].tolist()]))
try:
    import longhold
except ImportError:
    print("no longhold")
"""
    numbers, end = python(tmp_path, code).splitlines()
    ids, logits = json.loads(numbers)
    assert end == "no longhold"
    assert ids == tokenizer.encode(TEXT).tolist()
    expected = model(torch.tensor(ids)[:, None])[0][-1, 0]
    assert (torch.tensor(logits) - expected).abs().max() <= 1e-6


def test_the_script_writes_text(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["char"]
    export_torch(language_model("gru", tokenizer), tokenizer, tmp_path)
    primed = ["--prime", "我能", "--length", "60", "--seed"]
    greedy = ["--length", "9", "--temperature", "0", "--seed"]
    code = f"""
import runpy
for options in {[[*primed, "3"], [*primed, "3"], [*primed, "4"], [*greedy, "1"], [*greedy, "2"]]!r}:
    sys.argv = ["write.py", *options]
    runpy.run_path({str(tmp_path / "write.py")!r}, run_name="__main__")
    print("<end>")
"""
    first, again, other, best, same, _ = python(tmp_path, code).split("\n<end>\n")
    assert first.startswith("我能")
    assert len(first) > 10
    assert again == first
    assert other != first
    assert best == same


@torch.no_grad()
def test_the_script_begins_and_goes_on_as_longhold_does(tmp_path: Path) -> None:
    for name, tokenizer in TOKENIZERS.items():
        model = TextModel(language_model("lstm", tokenizer), tokenizer)
        export_torch(model.model, tokenizer, tmp_path)
        for prime in ("", "The 玻", "\ufeffThe\r\n", "The\r"):
            pieces = standalone.write(*standalone.load(tmp_path), prime, 40, 0.0, None)
            assert "".join(pieces) == "".join(model.write(prime, length=40, greedy=True)), name


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(st.characters(codec="utf-8"), max_size=30))
def test_the_tokenizer_is_ours(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    read = standalone.Tokenizer(tokenizer.to_dict())
    assert read.encode(text) == tokenizer.encode(text).tolist()
    assert read.tokens == [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize(
    "text", [TEXT, "a  b   c\n\n d'll we're '​s ¾ 一二 Ⅻ e\u0301\u00a0\u3000x\x1c\x85", "١٢٣ ไทย עברית 😀"]
)
def test_the_tokenizer_is_ours_on_chosen_text(name: str, text: str) -> None:
    assert standalone.Tokenizer(TOKENIZERS[name].to_dict()).encode(text) == TOKENIZERS[name].encode(text).tolist()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_script_keeps_to_utf8_as_longhold_does(name: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[name]
    rule = tokenizer.continuations
    assert rule is not None
    assert standalone.Tokenizer(tokenizer.to_dict()).continuations() == rule.next.tolist()
    export_torch(language_model("gru", tokenizer), tokenizer, tmp_path)
    text = "".join(standalone.write(*standalone.load(tmp_path), "The ", 600, 1.0, 3))
    assert "\ufffd" not in text
    assert {len(character.encode()) for character in text} == {1, 2, 3, 4}


def test_a_closed_vocabulary_says_what_it_lacks() -> None:
    closed = tokenizer_from_dict({"kind": "char", "characters": "ab", "fallback": False})
    read = standalone.Tokenizer(closed.to_dict())
    assert read.encode("abba") == [0, 1, 1, 0]
    assert read.start() == 0
    assert read.continuations()[0] == [0, 0]
    with pytest.raises(ValueError, match="not in the vocabulary: 'c'"):
        read.encode("abc")


@pytest.mark.parametrize(
    ("cell", "options", "named"),
    [
        ("lstm", {"peephole": True}, "peephole=True"),
        ("lstm", {"coupled_gates": True}, "coupled_gates=True"),
        ("gru", {"reset_after": False}, "reset_after=False"),
        ("rnn", {"layer_norm": True}, "layer_norm=True"),
        ("gru", {"zoneout": 0.1}, "zoneout"),
    ],
)
def test_options_that_torch_nn_lacks_are_refused(cell: str, options: Any, named: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["byte"]
    with pytest.raises(InputError, match=named):
        export_torch(language_model(cell, tokenizer, **options), tokenizer, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_earlier_export_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["byte"]
    model = language_model("rnn", tokenizer)
    size = export_torch(model, tokenizer, tmp_path / "out")
    assert size == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert export_torch(model, tokenizer, tmp_path / "out") == size
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        export_torch(model, tokenizer, tmp_path / "out")
    with pytest.raises(InputError, match="cannot make the folder"):
        export_torch(model, tokenizer, tmp_path / "no" / "such")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", SCRIPT])
def test_a_file_of_another_tool_is_kept(tmp_path: Path, name: str) -> None:
    tokenizer = TOKENIZERS["byte"]
    model = language_model("gru", tokenizer)
    export_torch(model, tokenizer, tmp_path)
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign", {"format": "pt"})
    foreign = (tmp_path / "foreign").read_bytes() if name == "model.safetensors" else b'{"version": "1.0"}'
    (tmp_path / "foreign").unlink()
    (tmp_path / name).write_bytes(foreign)
    with pytest.raises(InputError, match=f"{name}' is there already and is not"):
        export_torch(model, tokenizer, tmp_path)
    assert (tmp_path / name).read_bytes() == foreign
    export_torch(model, tokenizer, tmp_path, overwrite=True)
    assert (tmp_path / name).read_bytes() != foreign


def test_facts_that_are_nobodys_business_stay_out(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["byte"]
    facts = {"corpus": "diary.txt", "seconds": 3.5, "characters": 99, "held_out_bits_per_character": None, "host": "me"}
    export_torch(language_model("rnn", tokenizer), tokenizer, tmp_path, facts)
    assert json.loads((tmp_path / "config.json").read_text())["facts"] == {"characters": 99}
