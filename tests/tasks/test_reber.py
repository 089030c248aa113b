import pytest
import torch

from longhold.tasks import IGNORE_INDEX, EmbeddedReber
from tests.tasks.sampling import margin


def is_reber(text):
    """By derivation: each nonterminal of the grammar rewritten by hand, all readings kept."""
    rules = {"1": ("T2", "P3"), "2": ("S2", "X4"), "3": ("T3", "V5"), "4": ("X3", "S"), "5": ("P4", "V")}
    readings = {"1"}
    if not (text.startswith("B") and text.endswith("E")):
        return False
    for letter in text[1:-1]:
        readings = {rule[1:] for state in readings if state for rule in rules[state] if rule[0] == letter}
    return "" in readings


def test_known_strings_of_the_grammar():
    """The examples that are printed for it (Fahlman 1991 and its successors), and strings that break it."""
    for text in ("BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BPVPXVPXVPXVVE", "BTSXXTVVE", "BPTTVVE", "BTXSE", "BPVPSE"):
        assert is_reber(text)
    for text in ("BTE", "BPVPE", "BTSSPXSE", "BTXS", "PVVE", "BVVE", "BPTVVEE"):
        assert not is_reber(text)


def texts_of(batch):
    for b in range(batch.mask.shape[1]):
        steps = int(batch.mask[:, b].sum())
        inputs, targets = batch.inputs[:steps, b].tolist(), batch.targets[:, b].tolist()
        assert inputs[1:] == targets[: steps - 1]
        assert targets[steps:] == [IGNORE_INDEX] * (len(targets) - steps)
        yield "".join("BTSXPVE"[token] for token in [*inputs, targets[steps - 1]])


@pytest.mark.parametrize("longest", [5, 9, 40])
def test_every_string_is_of_the_grammar_and_its_outer_symbols_agree(longest):
    batch = EmbeddedReber(longest).batches(seed=3, batch_size=200).at(1)
    for text in texts_of(batch):
        assert text[0] == "B"
        assert text[1] == text[-2]
        assert text[1] in "TP"
        assert text[-1] == "E"
        assert is_reber(text[2:-2]), text
        assert 5 <= len(text[2:-2]) <= longest


def test_the_strings_are_as_likely_as_the_graph_makes_them():
    batch = EmbeddedReber(60).batches(seed=1, batch_size=20_000).at(0)
    inner = [text[2:-2] for text in texts_of(batch)]
    for text, p in (("BTXSE", 1 / 8), ("BPVVE", 1 / 8), ("BPVPSE", 1 / 16), ("BTSXSE", 1 / 16), ("BTSSXSE", 1 / 32)):
        assert abs(inner.count(text) / 20_000 - p) < margin(p, 20_000)


def test_the_score_is_the_second_outer_symbol_alone():
    task = EmbeddedReber()
    batch = task.batches(seed=2, batch_size=60).at(0)
    outputs = torch.zeros(*batch.mask.shape, 7)
    for b, text in enumerate(texts_of(batch)):
        outputs[len(text) - 3, b, "BTSXPVE".index(text[1])] = 1
    assert task.scores(outputs, batch).tolist() == [1] * 60
    assert task.accuracy(outputs, batch) < 0.5


def test_guessing_gets_the_chance_level():
    task, n = EmbeddedReber(), 20_000
    batch = task.batches(seed=1, batch_size=n).at(0)
    shares = []
    for letter in "BTSXPVE":
        outputs = torch.zeros(*batch.mask.shape, 7)
        outputs[..., "BTSXPVE".index(letter)] = 1
        shares.append(task.scores(outputs, batch).mean().item())
    assert abs(max(shares) - task.chance) < margin(0.5, n)
    assert sum(shares) == pytest.approx(1)
