"""A walk against the model called on the whole sequence."""

import pytest
import torch

from longhold.data.tokenizers import continuations
from longhold.errors import InputError
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.sampling import SamplingConfig, Walk, generate

PROMPT = [3, 1, 4, 1, 5]


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(3)
    made = LanguageModelConfig(cell="lstm", vocab_size=8, hidden_size=6, num_layers=2, dropout=0.5).build()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    return made.double()


def probabilities(model: LanguageModel, ids: list[int]) -> list[float]:
    with torch.no_grad():
        return model.eval()(torch.tensor(ids).unsqueeze(1))[0][-1, 0].softmax(-1).tolist()


def test_the_likeliest_are_the_model_s_own_after_any_choices(model: LanguageModel) -> None:
    walk = Walk(model, PROMPT, SamplingConfig(temperature=9, top_k=1))
    chosen: list[int] = []
    for step in ([2], [7, 7, 0], [5]):
        walk.take(step)
        chosen += step
        expected = probabilities(model, PROMPT + chosen)
        ranked = sorted(range(8), key=lambda token: -expected[token])
        found = walk.likeliest(5)
        assert [candidate.token for candidate in found] == ranked[:5]
        assert [c.probability for c in found] == pytest.approx([expected[token] for token in ranked[:5]])
    assert walk.ids == chosen
    assert len(walk.likeliest(100)) == 8


def test_undo_takes_back_whole_choices_to_the_same_numbers(model: LanguageModel) -> None:
    walk = Walk(model, PROMPT, SamplingConfig())
    seen = [walk.likeliest(8)]
    for step in ([2], [7, 7, 0], [5]):
        walk.take(step)
        seen.append(walk.likeliest(8))
    for expected, ids in zip(seen[-2::-1], ([2, 7, 7, 0], [2], []), strict=True):
        assert walk.undo()
        assert walk.ids == ids
        assert walk.likeliest(8) == expected
    assert not walk.undo()
    walk.take([])
    assert not walk.undo()


@pytest.mark.parametrize(
    "config",
    [SamplingConfig(), SamplingConfig(greedy=True), SamplingConfig(repetition_penalty=4, repetition_window=3, top_k=5)],
)
def test_chance_draws_what_generate_draws(model: LanguageModel, config: SamplingConfig) -> None:
    walk = Walk(model, PROMPT, config, seed=11)
    drawn = [walk.draw() for _ in range(30)]
    assert drawn == list(generate(model, torch.tensor(PROMPT), 30, config, seed=11))
    assert walk.ids == drawn


def test_what_cannot_be_is_refused(model: LanguageModel) -> None:
    with pytest.raises(InputError, match="prompt is empty"):
        Walk(model, [], SamplingConfig())
    with pytest.raises(InputError, match="seed=-1"):
        Walk(model, PROMPT, SamplingConfig(), seed=-1)
    with torch.no_grad():
        model.output.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="not finite"):
        Walk(model, PROMPT, SamplingConfig()).likeliest(3)


def test_the_model_keeps_its_mode(model: LanguageModel) -> None:
    model.train()
    Walk(model, PROMPT, SamplingConfig()).draw()
    assert model.training


TOKENS = [b"a", b"b", "中".encode(), b"\xe4", b"\xb8", b"\xad", b"\xc3", b"\xff"]


def test_only_what_may_come_is_proposed_with_shares_that_add_up(model: LanguageModel) -> None:
    walk = Walk(model, PROMPT[:1], SamplingConfig(), continuations=continuations(TOKENS))
    walk.take([0])
    ids = [*PROMPT[:1], 0]
    for taken, may in (([], [0, 1, 2, 3, 6]), ([3], [4, 5]), ([4], [4, 5]), ([5], [0, 1, 2, 3, 6])):
        walk.take(taken)
        ids += taken
        whole = probabilities(model, ids)
        found = {candidate.token: candidate.probability for candidate in walk.likeliest(8)}
        assert found == pytest.approx({token: whole[token] / sum(whole[v] for v in may) for token in may})
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert [c.token for c in walk.likeliest(1)] == [max(may, key=whole.__getitem__)]
        assert walk.amid_a_character == (len(may) == 2)
    assert walk.undo()
    assert walk.amid_a_character


def test_what_is_hardly_possible_stands_before_what_may_not_come(model: LanguageModel) -> None:
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([0.0, 0, 0, 0, -5000, 4000, 0, 0]))
    walk = Walk(model, [3], SamplingConfig(), continuations=continuations(TOKENS))
    assert [candidate.token for candidate in walk.likeliest(8)] == [5, 4]


@pytest.mark.parametrize("config", [SamplingConfig(), SamplingConfig(greedy=True), SamplingConfig(top_k=2)])
def test_chance_under_a_rule_draws_what_generate_draws(model: LanguageModel, config: SamplingConfig) -> None:
    rule = continuations(TOKENS)
    walk = Walk(model, PROMPT, config, seed=11, continuations=rule)
    drawn = [walk.draw() for _ in range(60)]
    assert drawn == list(generate(model, torch.tensor(PROMPT), 60, config, seed=11, continuations=rule))
    assert 7 not in drawn
