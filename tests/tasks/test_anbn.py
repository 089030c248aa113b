import itertools
from collections import Counter

import pytest
import torch

from longhold.tasks import IGNORE_INDEX, AnBn, AnBnStrings
from longhold.tasks.anbn import END

STRONG = 9.0


def text_of(batch, b):
    """The string that a column asks for, its end left out; checks that inputs are the targets one step late."""
    steps = int(batch.mask[:, b].sum())
    inputs, targets = batch.inputs[:steps, b].tolist(), batch.targets[:, b].tolist()
    assert inputs == [END, *targets[: steps - 1]]
    assert targets[steps - 1] == END
    assert targets[steps:] == [IGNORE_INDEX] * (len(targets) - steps)
    return "".join("ab"[symbol] for symbol in targets[: steps - 1])


def slow_next(prefix):
    """What may follow a prefix of a string of the language, by its definition."""
    a, b = prefix.count("a"), prefix.count("b")
    assert prefix == "a" * a + "b" * b
    if b == 0:
        return {"a"} if a == 0 else {"a", "b"}
    return {"b"} if b < a else {"."} if b == a else set()


def outputs_of(batch, answer):
    """Logits of a model that finds `answer(prefix)` much likelier than the rest."""
    outputs = torch.zeros(*batch.mask.shape, 3)
    for b in range(batch.mask.shape[1]):
        text = text_of(batch, b)
        for t in range(len(text) + 1):
            outputs[t, b, "ab.".index(answer(text[:t]))] = STRONG
    return outputs


def counts(prefix):
    """A model that has learned the language: where it has the choice it always continues with `a`."""
    return min(slow_next(prefix) or {"."})


@pytest.mark.parametrize("task", [AnBn(3, 3), AnBn(5, 5), AnBn()])
def test_training_strings_belong_to_the_language(task):
    batch = task.batches(seed=1, batch_size=400).at(0)
    lengths = Counter()
    for b in range(400):
        text = text_of(batch, b)
        n = len(text) // 2
        assert text == "a" * n + "b" * n
        lengths[n] += 1
    assert set(lengths) <= set(range(1, task.longest + 1))
    if task.longest <= 5:
        expected = 400 / task.longest
        assert all(abs(lengths[n] - expected) <= 4 * (expected * (1 - 1 / task.longest)) ** 0.5 for n in lengths)
        assert len(lengths) == task.longest


@pytest.mark.parametrize("longest", [3, 10])
def test_the_examination_has_every_string_and_near_miss(longest):
    task = AnBnStrings(longest)
    assert task.tested_sequences == max(1000, 4 * longest)
    found = Counter()
    for step in range(4):
        batch = task.batches(seed=step, batch_size=longest).at(step)
        found.update(text_of(batch, b) for b in range(longest))
    expected = Counter()
    for n in range(1, longest + 1):
        expected.update({"a" * n + "b" * n: 2, "a" * n + "b" * (n - 1): 1, "a" * n + "b" * (n + 1): 1})
    assert found == expected
    assert torch.equal(task.batches(0, 5).at(4 * longest).inputs, task.batches(9, 5).at(0).inputs)


def test_the_examination_goes_with_the_training():
    assert AnBn(50, 200, 0.7).examination == AnBnStrings(200, 0.7)
    assert AnBnStrings(200).examination == AnBnStrings(200)


def test_a_model_that_counts_gets_every_verdict_right():
    task = AnBnStrings(12)
    batch = task.batches(0, 48).at(0)
    outputs = outputs_of(batch, counts)
    assert task.scores(outputs, batch).tolist() == [1] * 48
    assert task.solved(1.0)
    assert task.solved(task.chance + 1.0 * (task.perfect - task.chance))
    assert not task.solved(1 - 1e-6)
    training = AnBn(12, 12)
    batch = training.batches(0, 48).at(0)
    assert training.scores(outputs_of(batch, counts), batch).tolist() == [1] * 48


def slow_accepts(text, answer):
    """Judged where the language leaves no choice, or the string makes none of it."""
    for t, symbol in enumerate([*text, "."]):
        free = len(slow_next(text[:t])) > 1 and symbol in "ab" if "b" not in text[:t] else False
        if not free and answer(text[:t]) != symbol:
            return False
    return True


@pytest.mark.parametrize(
    "answer",
    [
        counts,
        lambda prefix: "a" if "b" not in prefix else "b" if prefix.count("b") < min(4, prefix.count("a")) else ".",
        lambda prefix: "a" if "b" not in prefix else "b" if prefix.count("b") <= prefix.count("a") else ".",
        lambda prefix: ".",
        lambda prefix: "b",
        lambda prefix: "a" if not prefix else "b" if len(prefix) % 7 else ".",
    ],
    ids=["counts", "counts to four", "one too many", "ends at once", "never ends", "by the clock"],
)
def test_acceptance_is_that_of_the_definition(answer):
    task = AnBnStrings(9)
    batch = task.batches(0, 36).at(0)
    accepted = task.accepted(outputs_of(batch, answer), batch).tolist()
    texts = [text_of(batch, b) for b in range(36)]
    assert accepted == [slow_accepts(text, answer) for text in texts]
    right = [a == (text.count("a") == text.count("b")) for a, text in zip(accepted, texts, strict=True)]
    assert task.scores(outputs_of(batch, answer), batch).tolist() == right


def test_the_threshold_is_what_has_to_be_exceeded():
    task = AnBnStrings(3, threshold=0.6)
    batch = task.batches(0, 1).at(0)  # a b: judged are the a and the end
    for p, accepted in ((0.59, False), (0.61, True)):
        outputs = torch.tensor([p, (1 - p) / 2, (1 - p) / 2]).log().expand(3, 1, 3).clone()
        outputs[2] = outputs[2].roll(2, dims=-1)  # p for the end
        assert task.accepted(outputs, batch).tolist() == [accepted]
    even = torch.zeros(3, 1, 3)
    assert not task.accepted(even, batch).any()


def test_who_accepts_a_string_rejects_its_neighbours():
    task = AnBnStrings(6)
    batch = task.batches(0, 24).at(0)
    outputs = torch.randn(*batch.mask.shape, 3) + 2 * outputs_of(batch, counts) / STRONG
    outputs = outputs[:, :4].repeat(1, 6, 1)  # the same answer after equal steps, as of a model that sees no symbol
    accepted = task.accepted(outputs, batch).view(6, 4)
    assert not (accepted[:, 0] & (accepted[:, 1] | accepted[:, 3])).any()


@pytest.mark.parametrize("longest", [3, 4, 7])
def test_chance_is_what_the_best_answer_by_step_number_gets(longest):
    """All answers that see no symbol, tried one by one, on every string once."""
    training, examination = AnBn(longest, longest), AnBnStrings(longest)
    exam = examination.batches(0, 4 * longest).at(0)
    texts = [text_of(exam, b) for b in range(4 * longest)]
    best_training = best_examination = 0.0
    for answers in itertools.product("b.", repeat=2 * longest):

        def answer(prefix, answers=answers):
            return "a" if not prefix else answers[len(prefix) - 1] if len(prefix) <= len(answers) else "."

        accepted = [slow_accepts(text, answer) for text in texts]
        best_training = max(best_training, sum(accepted[::4]) / longest)
        right = [a == (text.count("a") == text.count("b")) for a, text in zip(accepted, texts, strict=True)]
        best_examination = max(best_examination, sum(right) / len(right))
    assert training.chance == pytest.approx(best_training)
    assert examination.chance == pytest.approx(best_examination)
