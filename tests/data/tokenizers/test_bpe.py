import json
import random

import pytest
import tokenizers

from longhold.data.tokenizers import BPETokenizer
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


def lossy() -> str:
    engine = json.loads(BPETokenizer.train(TEXT, 300).model)
    engine["normalizer"] = {"type": "Lowercase"}
    return json.dumps(engine)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("", "cannot be read"),
        ("{}", "cannot be read"),
        (tokenizers.Tokenizer(tokenizers.models.BPE()).to_str(), "all 256 bytes"),
        (tokenizers.Tokenizer(tokenizers.models.BPE({"\u4e2d": 0}, [])).to_str(), "not a byte-level token"),
        (lossy(), "change no text"),
    ],
    ids=["empty", "no model", "no bytes", "not bytes", "lossy"],
)
def test_a_wrong_model_is_refused(model: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BPETokenizer(model)
