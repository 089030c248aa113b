"""Streamed generation equals recomputing everything from scratch at each step."""

import codecs
import importlib
import itertools
import time
from typing import Any

import pytest
import torch
from torch import Tensor

import longhold
from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.errors import InputError
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.stepper import Stepper
from longhold.sampling import SamplingConfig, generate, generate_batch, sample

generate_module = importlib.import_module("longhold.sampling.generate")  # the package's name is the function's


def model(cell: str, num_layers: int = 2, **values: Any) -> LanguageModel:
    torch.manual_seed(10)
    config = LanguageModelConfig(cell=cell, vocab_size=11, hidden_size=9, num_layers=num_layers, dropout=0.5, **values)
    made = config.build(dtype=torch.float64)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=2)  # lively: greedy text does not settle on one token
        made.output.bias.zero_()
    return made


def from_scratch(model: LanguageModel, prompt: Tensor, length: int, config: SamplingConfig, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    tokens = prompt
    model.eval()
    with torch.no_grad():
        for _ in range(length):
            outputs, _ = model(tokens.unsqueeze(1))
            tokens = torch.cat([tokens, sample(outputs[-1], config, generator)])
    model.train()
    return tokens[len(prompt) :].tolist()


PROMPT = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(
    "config", [SamplingConfig(greedy=True), SamplingConfig(), SamplingConfig(temperature=0.8, top_k=6, top_p=0.9)]
)
def test_streamed_equals_recomputed(cell: str, num_layers: int, config: SamplingConfig) -> None:
    made = model(cell, num_layers)
    expected = from_scratch(made, PROMPT, 60, config, seed=8)
    assert list(generate(made, PROMPT, 60, config, seed=8)) == expected
    assert len(set(expected)) > 1


def test_it_is_the_prompt_that_is_continued() -> None:
    config = SamplingConfig(greedy=True)
    continuations = {tuple(generate(model("lstm"), PROMPT[:cut], 20, config)) for cut in range(1, 9)}
    assert len(continuations) > 1


def test_seeds_repeat_and_no_seed_does_not() -> None:
    made, config = model("gru"), SamplingConfig(temperature=9)
    runs = [tuple(generate(made, PROMPT, 50, config, seed=seed)) for seed in (1, 1, 2, None, None)]
    assert runs[0] == runs[1]
    assert len(set(runs)) == 4


def test_torchs_own_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    list(generate(model("rnn"), PROMPT, 5, SamplingConfig(), seed=1))
    torch.manual_seed(4)
    made = model("rnn")
    before = torch.get_rng_state()
    list(generate(made, PROMPT, 5, SamplingConfig()))
    assert torch.equal(torch.get_rng_state(), before)


def test_each_column_of_a_batch_is_generated_alone() -> None:
    made, config = model("lstm"), SamplingConfig(greedy=True)
    prompts = torch.stack([PROMPT, PROMPT.flip(0), PROMPT // 2], 1)
    together = torch.stack(list(generate_batch(made, prompts, 30, config)))
    for column in range(3):
        assert together[:, column].tolist() == list(generate(made, prompts[:, column], 30, config))


def test_between_tokens_the_model_is_in_its_own_mode_and_may_learn() -> None:
    made = model("lstm")
    made.layer.eval()  # a part that its owner keeps in evaluation
    stream = generate_batch(made, PROMPT.unsqueeze(1), 3, SamplingConfig(), seed=0)
    ids = next(stream)
    assert (made.training, made.layer.training, made.output.training) == (True, False, True)
    assert not torch.is_inference_mode_enabled()
    made.loss(ids.unsqueeze(0), ids.unsqueeze(0))[0].backward()
    assert made.output.weight.grad is not None


def test_tokens_come_one_at_a_time() -> None:
    made, calls = model("rnn"), []
    made.output.register_forward_hook(lambda _, given, __: calls.append(given[0].shape[0]))
    stream = generate(made, PROMPT, 1_000_000, SamplingConfig(), seed=0)
    assert calls == []
    assert len(list(itertools.islice(stream, 3))) == 3
    assert calls == [8, 1, 1]


def test_a_length_of_zero_gives_nothing() -> None:
    assert list(generate(model("rnn"), PROMPT, 0, SamplingConfig())) == []


def test_what_cannot_be_is_refused_before_the_first_token() -> None:
    made, config = model("rnn"), SamplingConfig()
    with pytest.raises(InputError, match="prompt is empty"):
        generate(made, PROMPT[:0], 5, config)
    with pytest.raises(InputError, match="length=-1"):
        generate(made, PROMPT, -1, config)
    for seed in (-1, 2**64):
        with pytest.raises(InputError, match="seed="):
            generate(made, PROMPT, 5, config, seed=seed)
    with pytest.raises(ValueError, match="shape"):
        generate(made, PROMPT.unsqueeze(1), 5, config)
    with pytest.raises(ValueError, match="shape"):
        generate_batch(made, PROMPT, 5, config)


def test_a_model_that_diverged_is_one_line_and_leaves_its_mode() -> None:
    made = model("rnn")
    with torch.no_grad():
        made.output.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="not finite"):
        next(generate(made, PROMPT, 5, SamplingConfig()))
    assert made.training


class Draws:
    """The numbers of tokens that steppers were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
        self.sizes: list[int] = []
        draw = Stepper.draw

        def noted(stepper: Stepper, ids: Tensor, uniforms: Tensor, **rules: Any) -> Tensor:
            self.sizes.append(len(uniforms))
            time.sleep(seconds)
            return draw(stepper, ids, uniforms, **rules)

        monkeypatch.setattr(Stepper, "draw", noted)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "config",
    [SamplingConfig(greedy=True), SamplingConfig(temperature=0.7, top_k=9, top_p=0.9, min_p=0.02), SamplingConfig()],
)
def test_in_cpp_and_in_python_the_same_ids(
    cell: str, dtype: torch.dtype, config: SamplingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, draws = model(cell).to(dtype), Draws(monkeypatch)
    with torch.no_grad():
        for parameter in made.layer.parameters():
            parameter.mul_(0.3)  # at its liveliest the model is chaotic: roundings grow until they show
    prompts = torch.stack([PROMPT, PROMPT.flip(0)], 1)
    in_cpp = torch.stack(list(generate_batch(made, prompts, 200, config, seed=4)))
    assert sum(draws.sizes) == 199
    assert list(generate(made, PROMPT, 50, config, seed=4))  # one row too
    draws.sizes.clear()
    with longhold.use_backend("torch"):
        in_python = torch.stack(list(generate_batch(made, prompts, 200, config, seed=4)))
    assert draws.sizes == []
    assert torch.equal(in_cpp, in_python)


def test_the_first_tokens_come_at_once_and_later_ones_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "_PATIENCE", 60.0)
    draws, config = Draws(monkeypatch), SamplingConfig()
    stream = generate(model("gru"), PROMPT, 1_000_000, config, seed=0)
    next(stream)
    assert draws.sizes == []
    next(stream)
    assert draws.sizes == [1]
    list(itertools.islice(stream, 150))
    assert draws.sizes == [1, 2, 4, 8, 16, 32, 64, 64]
    assert len(list(generate(model("gru"), PROMPT, 100, config, seed=0))) == 100
    assert draws.sizes[8:] == [1, 2, 4, 8, 16, 32, 36]


def test_a_model_that_takes_its_time_hands_out_its_tokens_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = Draws(monkeypatch, seconds=0.02)
    list(generate(model("gru"), PROMPT, 20, SamplingConfig(), seed=0))
    assert set(draws.sizes) == {1}


def test_greedy_text_takes_nothing_from_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", None)
    assert len(list(generate(model("gru"), PROMPT, 40, SamplingConfig(greedy=True)))) == 40


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_what_was_written_before_the_output_broke_is_still_handed_out(backend: str) -> None:
    made, config, prompt = model("rnn", 1, embedding_size=4), SamplingConfig(temperature=3.0), PROMPT[:1]
    whole = list(generate(made, prompt, 60, config, seed=2))
    seen = [*prompt.tolist(), *whole]
    cut = max(n for n in range(1, 61) if seen[n] not in seen[:n])  # where the last id to appear appears
    assert cut > 8
    with torch.no_grad():
        made.embedding.weight[seen[cut]] = torch.nan
    with longhold.use_backend(backend):
        stream = generate(made, prompt, 60, config, seed=2)
        assert list(itertools.islice(stream, cut)) == whole[:cut]
        with pytest.raises(InputError, match="not finite"):
            next(stream)


def repeated_by_hand(made: LanguageModel, prompt: Tensor, length: int, config: SamplingConfig, seed: int) -> list[int]:
    """Everything recomputed at each step, the penalty on the last tokens of prompt and text."""
    generator, tokens = torch.Generator().manual_seed(seed), prompt.tolist()
    plain = SamplingConfig(temperature=config.temperature)
    made.eval()
    with torch.no_grad():
        for _ in range(length):
            logits = made(torch.tensor(tokens).unsqueeze(1))[0][-1]
            for token in set(tokens[-config.repetition_window :]):
                x = logits[0, token]
                logits[0, token] = x / config.repetition_penalty if x > 0 else x * config.repetition_penalty
            tokens.append(int(sample(logits, plain, generator)))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("window", [1, 3, 500])
def test_a_penalty_looks_back_over_its_window_and_takes_the_python_path(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, draws = model("gru"), Draws(monkeypatch)
    config = SamplingConfig(repetition_penalty=3, repetition_window=window)
    written = list(generate(made, PROMPT, 60, config, seed=5))
    assert written == repeated_by_hand(made, PROMPT, 60, config, seed=5)
    assert draws.sizes == []
    assert written != list(generate(made, PROMPT, 60, SamplingConfig(), seed=5))
    assert draws.sizes != []


def test_a_penalty_of_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made, draws = model("gru"), Draws(monkeypatch)
    config = SamplingConfig(repetition_penalty=1, repetition_window=3)
    assert list(generate(made, PROMPT, 40, config, seed=5)) == list(
        generate(made, PROMPT, 40, SamplingConfig(), seed=5)
    )
    assert draws.sizes


def test_a_long_prompt_is_read_in_parts_and_obeyed() -> None:
    made, shapes = model("lstm", 1, embedding_size=4), []
    prompt = torch.randint(11, (2500,), generator=torch.Generator().manual_seed(1))
    config = SamplingConfig(greedy=True)
    handle = made.output.register_forward_hook(lambda _, given, __: shapes.append(given[0].shape[0]))
    written = list(generate(made, prompt, 3, config))
    handle.remove()
    assert max(shapes) <= 1024
    assert sum(shapes) == 2500 + 2
    assert written == from_scratch(made, prompt, 3, config, seed=0)


CHINESE = "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠 né 😀\n" * 20
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer(CHINESE[:12]),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(CHINESE, 270),
    "bpe": BPETokenizer.train(CHINESE, 310),
}


RULES = [
    SamplingConfig(),
    SamplingConfig(greedy=True),
    SamplingConfig(temperature=2.0, top_k=3),
    SamplingConfig(top_p=0.4, min_p=0.1),
    SamplingConfig(repetition_penalty=2.0),
]


@pytest.mark.parametrize(("backend", "length"), [("cpu", 1000), ("torch", 200)])
@pytest.mark.parametrize("config", RULES, ids=repr)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_drawn_under_a_rule_is_utf8(name: str, config: SamplingConfig, backend: str, length: int) -> None:
    made, tokenizer = chinese_model(name), TOKENIZERS[name]
    prompts, rule = torch.from_numpy(tokenizer.encode("而"))[:, None].repeat(1, 2), tokenizer.continuations
    length = 150 if config.looks_back else length  # draws that look back are slow on either backend
    with longhold.use_backend(backend):
        rows = torch.stack(list(generate_batch(made, prompts, length, config, seed=1, continuations=rule)))
    for row in rows.T.tolist():
        raw = b"".join(map(tokenizer.token_bytes, row))
        text = codecs.getincrementaldecoder("utf-8")("strict").decode(raw)
        assert len(text.encode()) > len(raw) - 4


@pytest.mark.parametrize("name", TOKENIZERS)
def test_without_a_rule_it_is_not(name: str) -> None:
    made, prompt = chinese_model(name), torch.from_numpy(TOKENIZERS[name].encode("而"))
    free = list(generate(made, prompt, 300, SamplingConfig(), seed=1))
    assert "\ufffd" in TOKENIZERS[name].decode(free)
    rule = TOKENIZERS[name].continuations
    held = TOKENIZERS[name].decode(generate(made, prompt, 300, SamplingConfig(), seed=1, continuations=rule))
    assert {len(character.encode()) for character in held} == {1, 2, 3, 4}


def chinese_model(name: str) -> LanguageModel:
    torch.manual_seed(4)
    made = LanguageModelConfig(cell="gru", vocab_size=TOKENIZERS[name].vocab_size, hidden_size=12).build()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=1.0)
    return made


def test_under_a_rule_in_cpp_and_in_python_the_same_ids() -> None:
    tokenizer = TOKENIZERS["bpe"]
    made = LanguageModelConfig(cell="lstm", vocab_size=tokenizer.vocab_size, hidden_size=9).build(dtype=torch.float64)
    with torch.no_grad():
        made.output.weight.mul_(9)
    rule, prompts = tokenizer.continuations, torch.tensor([[0xE4, 3], [20, 30]])
    for config in (SamplingConfig(), SamplingConfig(temperature=0.7, top_k=9, top_p=0.9, min_p=0.02)):
        in_cpp = torch.stack(list(generate_batch(made, prompts, 400, config, seed=4, continuations=rule)))
        with longhold.use_backend("torch"):
            in_python = torch.stack(list(generate_batch(made, prompts, 400, config, seed=4, continuations=rule)))
        assert torch.equal(in_cpp, in_python)


def test_a_prompt_that_ends_amid_a_character_is_gone_on_from() -> None:
    made = LanguageModelConfig(cell="gru", vocab_size=256, hidden_size=5).build()
    rule, begun = ByteTokenizer().continuations, "学".encode()[:2]
    written = bytes(generate(made, torch.tensor(list(begun)), 300, SamplingConfig(), seed=3, continuations=rule))
    text = (begun + written).decode("utf-8", errors="replace")
    assert "\ufffd" not in text[:-1]
    assert "\ufffd" in written.decode("utf-8", errors="replace")[:1]


def test_where_any_id_may_follow_a_rule_changes_nothing() -> None:
    made, config = model("gru"), SamplingConfig()
    closed = CharTokenizer("abcdefghij中", fallback=False)
    ids = list(generate(made, PROMPT, 100, config, seed=5, continuations=closed.continuations))
    assert ids == list(generate(made, PROMPT, 100, config, seed=5))
