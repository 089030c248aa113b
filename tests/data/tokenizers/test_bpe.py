import json
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import tokenizers

from longhold.data.tokenizers import BPETokenizer, bpe
from longhold.errors import InputError

TEXT = "\n".join(f"The {n} cats on mat number {n * n} said:\n\n  'why not?'  " for n in range(200))


def test_ids_are_the_library_s_own() -> None:
    tokenizer = BPETokenizer.train(TEXT, 400)
    engine = tokenizers.Tokenizer.from_str(tokenizer.model)
    ids = tokenizer.encode(TEXT)
    assert ids.tolist() == engine.encode(TEXT).ids
    assert tokenizer.decode(ids) == engine.decode(ids.tolist())
    assert tokenizer.vocab_size == 400
    assert len(ids) < len(TEXT) / 2


def test_a_long_text_is_cut_where_it_does_not_matter() -> None:
    generator = random.Random(1)
    words = ["a", "word", "\n", "\n\n", " ", "  \n ", "中文", "don't", ".", "\r\n", "\t", "'ll", "42"]
    text = "".join(generator.choices(words, k=150_000))
    tokenizer = BPETokenizer.train(text[:20_000], 300)
    assert len(text) > 3 * (1 << 16)
    assert tokenizer.encode(text).tolist() == tokenizers.Tokenizer.from_str(tokenizer.model).encode(text).ids


def test_training_again_gives_the_same() -> None:
    assert BPETokenizer.train(TEXT, 300).to_dict() == BPETokenizer.train(TEXT, 300).to_dict()


def test_a_short_text_gives_a_small_vocabulary() -> None:
    assert 256 <= BPETokenizer.train("abc").vocab_size < 300
    assert BPETokenizer.train("").vocab_size == 256


def test_a_size_below_the_bytes_is_refused() -> None:
    with pytest.raises(InputError, match="at least 256, got 100"):
        BPETokenizer.train("abc", 100)


def test_what_is_stored_is_the_library_s_own_form() -> None:
    tokenizer = BPETokenizer.train(TEXT, 300)
    assert tokenizers.Tokenizer.from_str(tokenizer.model).to_str() == tokenizer.model


def test_a_stored_model_gives_the_same_ids() -> None:
    tokenizer = BPETokenizer.train(TEXT, 320)
    again = BPETokenizer.from_dict(tokenizer.to_dict())
    text = " a  \tB\r\n\n e\u0301\u4e2d\U0001f600\u00a0. " + TEXT
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
    assert again.decode(again.encode(text)) == text


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    form = json.loads(BPETokenizer.train(TEXT, 300).model)
    change(form)
    return json.dumps(form)


def vocab(form: dict[str, Any]) -> dict[str, Any]:
    return form["model"]["vocab"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(normalizer={"type": "Lowercase"}), "normalizer"),
        (lambda f: f.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}}), "pre_tokenizer"),
        (lambda f: f.update(post_processor={"type": "TemplateProcessing"}), "post_processor"),
        (lambda f: f.update(truncation={"max_length": 1}), "truncation"),
        (lambda f: f.update(added_tokens=[{"id": 5, "content": "x"}]), "added_tokens"),
        (lambda f: f["model"].update(dropout=0.5), "'model'"),
        (lambda f: f["model"].update(type="WordPiece"), "'model'"),
        (lambda f: f.update(surprise=1), "surprise"),
        (lambda f: f.pop("decoder"), "decoder"),
        (lambda f: f["model"].pop("merges"), "no vocabulary and merges"),
        (lambda f: f["model"].update(vocab=[]), "integers"),
        (lambda f: vocab(f).update(a="1"), "integers"),
        (lambda f: vocab(f).update(a=True), "integers"),
        (lambda f: vocab(f).update(a=2**40), "from 0"),
        (lambda f: vocab(f).update(a=vocab(f)["b"]), "from 0"),
        (lambda f: vocab(f).update({"": len(vocab(f))}), "from 0"),
        (lambda f: vocab(f).pop("a"), "from 0"),
        (lambda f: f["model"].update(vocab={}, merges=[]), "all 256 bytes"),
        (lambda f: vocab(f).update({"\u4e2d": len(vocab(f))}), "not a byte-level token"),
        (lambda f: f["model"].update(merges={}), "pairs"),
        (lambda f: f["model"]["merges"].append(["a"]), "pairs"),
        (lambda f: f["model"]["merges"].append("a b"), "pairs"),
        (lambda f: f["model"]["merges"].append(["a", 3]), "pairs"),
        (lambda f: f["model"]["merges"].append(["Q", "Q"]), "Q"),
        (lambda f: f["model"]["merges"].append(["nowhere", "a"]), "nowhere"),
    ],
)
def test_a_changed_model_is_refused_in_one_line(change: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        BPETokenizer(edited(change))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "model", ["", "{}", "[]", "null", "[" * 100_000, '{"model": 1}', '{"a": 1, "a": 2}', "1" * 5000]
)
def test_what_is_no_model_is_refused(model: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        BPETokenizer(model)


def test_only_the_two_tables_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = BPETokenizer.train(TEXT, 300).to_dict()
    monkeypatch.setattr(bpe, "tokenizers", SimpleNamespace(Tokenizer=OnlyATokenizer))
    assert BPETokenizer.from_dict(stored).encode("why not").size


class OnlyATokenizer:
    """The library's class without any way to read JSON."""

    def __new__(cls, model: Any) -> Any:
        return tokenizers.Tokenizer(model)
