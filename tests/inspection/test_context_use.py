"""Context use against a loop that feeds each window by itself, and on sources of known memory."""

import math

import pytest
import torch

from longhold.errors import InputError
from longhold.inspection import context_use
from longhold.models import KneserNey, LanguageModelConfig
from longhold.models.language_model import LanguageModel
from tests.inspection.calibration import MarkovSource


def language_model() -> LanguageModel:
    return LanguageModelConfig(cell="lstm", vocab_size=5, hidden_size=12, dropout=0.5).build(dtype=torch.float64)


def bits_after(model: LanguageModel, context: torch.Tensor, token: torch.Tensor) -> float:
    outputs, _ = model(context[:, None])
    return -float(outputs[-1, 0].log_softmax(0)[token].detach()) / math.log(2)


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_bits_are_those_of_each_window_read_alone(pieces: int) -> None:
    model = language_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # so that context matters
    tokens, before = torch.randint(5, (700,)), torch.randint(5, (20, max(pieces, 1)))
    given = None if pieces == 0 else before[:, 0] if pieces == 1 else before
    found = context_use(model, tokens, lengths=[1, 3, 9], targets=26, segments=4, before=given)
    assert model.training
    model.eval()
    at = torch.linspace(9, 699, 24).long().tolist()
    assert found.targets == 24
    full = [bits_after(model, tokens[:end], tokens[end]) for end in at]
    assert found.full_bits == pytest.approx(sum(full) / 24, rel=1e-9)
    for row, length in enumerate([1, 3, 9]):
        bits = []
        for index, end in enumerate(at):
            window = tokens[end - length : end]
            filler = before[:, index % pieces] if pieces else window[:0]
            bits.append(bits_after(model, torch.cat([filler, window]), tokens[end]))
        assert found.bits[row] == pytest.approx(sum(bits) / 24, rel=1e-9)
        assert found.excess[row] == pytest.approx((sum(bits) - sum(full)) / 24, abs=1e-9)
        for segment in range(4):
            here = slice(6 * segment, 6 * segment + 6)
            assert found.segment_excess[segment][row] == pytest.approx((sum(bits[here]) - sum(full[here])) / 6)


def test_a_horizon_beyond_the_longest_length_is_told_as_longer() -> None:
    source = MarkovSource(6)
    model = KneserNey(7, 2).fit(source.tokens(20_000, seed=1).tolist())
    found = context_use(model, source.tokens(3000, seed=2), lengths=[1, 2, 4])
    assert (found.horizon, found.censored, found.low, found.high, found.high_censored) == (4, True, 4, 4, True)
    assert str(found).startswith("uses > 4 tokens of context (4 to > 4)")


def test_a_unigram_model_uses_no_more_than_one_token() -> None:
    tokens = torch.randint(3, (2000,))
    found = context_use(KneserNey(1, 3).fit(tokens.tolist()), tokens)
    assert set(found.excess) == {0.0}
    assert (found.horizon, found.low, found.high) == (1, 1, 1)


def test_an_excess_that_comes_back_counts() -> None:
    """A horizon is where the excess stays within the tolerance, not where it is so for the first time."""
    source = MarkovSource(3)
    model = KneserNey(4, 2).fit(source.tokens(20_000, seed=1).tolist())
    found = context_use(model, source.tokens(3000, seed=2), lengths=[1, 2, 3, 4], tolerance=0.5)
    assert found.excess[0] > 0.5 or found.excess[1] > 0.5
    assert found.horizon == 3


def test_the_interval_widens_where_segments_differ() -> None:
    """Half of the text needs two tokens, the other half one: draws of segments with little of the first need one."""
    source, dull = MarkovSource(2), torch.full((3000,), 2)
    model = KneserNey(3, 3).fit(torch.cat([source.tokens(20_000, seed=1), dull]).tolist())
    text = torch.cat([dull, source.tokens(3000, seed=2)])
    whole = context_use(model, text, lengths=[1, 2, 3], targets=2048)
    assert (whole.horizon, whole.low, whole.high) == (2, 2, 2)
    between = whole.excess[0] - 0.01  # of a tolerance just below the excess of the whole text
    torn = context_use(model, text, lengths=[1, 2, 3], targets=2048, tolerance=between)
    assert (torn.horizon, torn.low, torn.high) == (2, 1, 2)


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    tokens, model = torch.randint(5, (300,)), language_model()
    for arguments, message in [
        ({"lengths": []}, "lengths []"),
        ({"lengths": [2, 1]}, "lengths [2, 1]"),
        ({"lengths": [0, 1]}, "lengths [0, 1]"),
        ({"targets": 3}, "targets=3"),
        ({"segments": 1}, "segments=1"),
        ({"tolerance": -1.0}, "tolerance=-1.0"),
        ({"confidence": 1.0}, "confidence=1.0"),
        ({"resamples": 0}, "resamples=0"),
        ({"targets": 300}, "300 tokens"),
        ({"tokens": tokens[:, None]}, "(300, 1)"),
        ({"before": tokens[:0]}, "before (0,)"),
    ]:
        with pytest.raises(InputError) as caught:
            context_use(
                **{"model": model, "tokens": tokens, "lengths": [1, 4], "targets": 8, "segments": 4, **arguments}
            )
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
