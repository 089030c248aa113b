from collections import Counter, defaultdict

import pytest
import torch

from longhold.tasks import Agreement
from longhold.tasks.agreement import (
    ADJECTIVES,
    ADVERBS,
    CONSTRUCTIONS,
    NEUTRAL_NOUNS,
    NOUNS,
    OPENERS,
    PAST,
    PREPOSITIONS,
    VERBS,
    VOCABULARY,
)

TRAIN, TEST = Agreement(), Agreement(split="test")

CLASSES = {
    **dict.fromkeys((*NOUNS[0], *NOUNS[1], *NEUTRAL_NOUNS), "noun"),
    **dict.fromkeys((*VERBS[0], *VERBS[1]), "verb"),
    **dict.fromkeys(PAST, "past"),
    **dict.fromkeys(PREPOSITIONS, "preposition"),
    **dict.fromkeys(ADJECTIVES, "adjective"),
    **dict.fromkeys(ADVERBS, "adverb"),
    **dict.fromkeys(OPENERS, "opener"),
    **{word: word for word in ("the", "that", "which", ",")},
}


def number(word):
    """By English spelling: plural nouns end in s, and so do singular verbs."""
    if CLASSES[word] == "verb":
        return "singular" if word.endswith("s") else "plural"
    if word in NEUTRAL_NOUNS:
        return None
    return "plural" if word.endswith("s") else "singular"


class Parsed:
    """A sentence read from left to right, by rules written down here once more."""

    def __init__(self, text):
        self.words = text.split()
        self.template = tuple(CLASSES[word] for word in self.words)
        rest = list(self.words)
        if rest[0] in OPENERS:
            rest.pop(0)
        self.subject = self._noun_phrase(rest)
        self.verb = rest.pop()
        self.distance = len(rest)
        self.kinds, self.nouns, adverbs = [], [], []
        while rest and rest[-1] in ADVERBS:
            adverbs.append(rest.pop())
        if rest and rest[-1] == ",":
            rest.pop()
        while rest:
            self._modifier(rest)
        self.fillers = len(adverbs) + self.adjectives
        assert CLASSES[self.verb] == "verb"

    adjectives = 0

    def _noun_phrase(self, rest, count=False):
        assert rest.pop(0) == "the"
        while rest[0] in ADJECTIVES:
            rest.pop(0)
            self.adjectives += count
        noun = rest.pop(0)
        assert CLASSES[noun] == "noun"
        return noun

    def _modifier(self, rest):
        first = rest.pop(0)
        if first == ",":
            assert rest.pop(0) == "which"
            kind = "which"
        elif first == "that":
            kind = "subject_relative" if rest[0] in PAST else "object_relative"
        else:
            assert first in PREPOSITIONS
            kind = "preposition"
        if kind in ("which", "subject_relative"):
            assert rest.pop(0) in PAST
        self.nouns.append(self._noun_phrase(rest, True))
        if kind == "object_relative":
            assert rest.pop(0) in PAST
        self.kinds.append(kind)

    @property
    def attractors(self):
        return sum(number(noun) not in (None, number(self.subject)) for noun in self.nouns)


def parsed(task, size=400, step=0):
    return [Parsed(text) for text in task.sentences(task.batches(seed=1, batch_size=size).at(step))]


def some_strata():
    yield TRAIN
    yield from TEST.by_attractors()
    for construction in CONSTRUCTIONS:
        for attractors in (0, 1, 4):
            yield Agreement("test", construction, attractors, max(attractors, 2), 3)
    yield Agreement("test", "which", 0, 0, 0)
    yield Agreement("train", None, None, None, 9)
    yield Agreement("test", nonce=True)


@pytest.mark.parametrize("task", list(some_strata()), ids=str)
def test_every_sentence_parses_and_agrees(task):
    for sentence in parsed(task):
        assert number(sentence.verb) == number(sentence.subject)
        assert len(set(sentence.kinds)) <= 1
        assert len(sentence.words) <= task.length
        if task.construction is not None and sentence.kinds:
            assert sentence.kinds[0] == task.construction
        if task.attractors is not None:
            assert sentence.attractors == task.attractors
            neutral = sum(number(noun) is None for noun in sentence.nouns)
            assert neutral == len(sentence.nouns) - task.attractors
        if task.modifiers is not None:
            assert len(sentence.nouns) == task.modifiers
        assert sentence.fillers == task.fillers if task.fillers is not None else sentence.fillers <= 4
        width = CONSTRUCTIONS[sentence.kinds[0]] * len(sentence.kinds) if sentence.kinds else 0
        comma = "which" in sentence.kinds
        assert sentence.distance == width + sentence.fillers + comma


def test_the_verb_is_asked_last_and_scored_by_its_minimal_pair():
    batch = TEST.batches(seed=1, batch_size=60).at(0)
    outputs = torch.zeros(*batch.mask.shape, TEST.output_size)
    outputs[..., VOCABULARY.index("the")] = 50  # likelier than either form, which is not what is asked
    assert TEST.scores(outputs, batch).tolist() == [0.5] * 60
    steps = []
    for b, sentence in enumerate(TEST.sentences(batch)):
        verb = sentence.split()[-1]
        steps.append(len(sentence.split()) - 1)
        assert batch.inputs[steps[b], b] == VOCABULARY.index(sentence.split()[-2])
        outputs[steps[b], b, VOCABULARY.index(verb)] = 1
    assert TEST.scores(outputs, batch).tolist() == [1] * 60
    for b, sentence in enumerate(TEST.sentences(batch)):
        verb = sentence.split()[-1]
        other = verb[:-1] if verb.endswith("s") else verb + "s"
        outputs[steps[b], b, VOCABULARY.index(other)] = 2
    assert TEST.scores(outputs, batch).tolist() == [0] * 60


def test_inputs_are_the_words_one_step_late():
    batch = TRAIN.batches(seed=1, batch_size=30).at(0)
    for b, sentence in enumerate(TRAIN.sentences(batch)):
        words = sentence.split()
        assert [VOCABULARY[i] for i in batch.inputs[: len(words), b]] == [".", *words[:-1]]
        assert int(batch.mask[:, b].sum()) == len(words)


@pytest.mark.parametrize("task", [TRAIN, TEST, *TEST.by_attractors(), Agreement("test", nonce=True)], ids=str)
def test_numbers_are_balanced_by_twins(task):
    texts = task.sentences(task.batches(seed=2, batch_size=200).at(1))
    for one, other in zip(texts[::2], texts[1::2], strict=True):
        pairs = list(zip(one.split(), other.split(), strict=True))
        for a, b in pairs:
            if CLASSES[a] == "verb" or (CLASSES[a] == "noun" and a not in NEUTRAL_NOUNS):
                assert a != b
                assert a.rstrip("s") == b.rstrip("s")
            else:
                assert a == b
    batch = task.batches(seed=2, batch_size=200).at(1)
    assert task.majority_score(batch) == 0.5


def test_an_odd_batch_is_the_even_one_without_its_last_twin():
    even, odd = (TEST.sentences(TEST.batches(seed=2, batch_size=size).at(1)) for size in (8, 7))
    assert odd == even[:7]


def test_chance_is_what_a_blind_answer_gets():
    """One output for all: whatever it prefers, the twins prefer one each."""
    batch = TRAIN.batches(seed=1, batch_size=2_000).at(0)
    outputs = torch.randn(TRAIN.output_size).expand(*batch.mask.shape, -1)
    assert TRAIN.scores(outputs, batch).mean() == TRAIN.chance == 0.5


def all_templates(task):
    found = defaultdict(set)
    for step in range(12):
        for sentence in parsed(task, 4_000, step):
            kind = sentence.kinds[0] if sentence.kinds else None
            found[kind, len(sentence.kinds), sentence.fillers].add(sentence.template)
    return found


def test_no_template_is_in_training_and_test_and_every_cell_has_both():
    train, test = all_templates(TRAIN), all_templates(TEST)
    assert not set().union(*train.values()) & set().union(*test.values())
    cells = {(kind, m, f) for kind in CONSTRUCTIONS for m in range(1, 5) for f in range(5)}
    cells |= {(None, 0, f) for f in range(5)}
    assert set(train) == set(test) == cells
    assert min(len(templates) for templates in (*train.values(), *test.values())) >= 3


def lemma(word):
    return word.rstrip("s")


def test_nonce_sentences_pair_known_words_that_never_meet():
    known, nonce = (
        {(lemma(s.subject), lemma(s.verb)) for step in range(3) for s in parsed(task, 4_000, step)}
        for task in (TRAIN, Agreement("test", nonce=True))
    )
    assert not known & nonce
    assert len(known) == 16 * 9
    assert len(nonce) == 16 * 3
    assert {(lemma(s.subject), lemma(s.verb)) for s in parsed(TEST, 4_000)} <= known
    for words in zip(*nonce, strict=True):
        assert set(words) <= {word for pair in known for word in pair}


def test_in_training_no_other_noun_tells_the_verb():
    task = Agreement(modifiers=2)
    counts = Counter()
    for sentence in parsed(task, 8_000):
        for place, noun in enumerate(sentence.nouns):
            counts[place, number(noun) and number(noun) == number(sentence.verb)] += 1
    for place in range(2):
        for relation in (None, True, False):
            assert abs(counts[place, relation] / 8_000 - 1 / 3) < 0.03


def test_subjects_verbs_and_constructions_are_drawn_evenly():
    sentences = parsed(TRAIN, 12_000)
    for words, least in ((Counter(s.subject for s in sentences), 32), (Counter(s.verb for s in sentences), 24)):
        assert len(words) == least
        assert max(words.values()) / min(words.values()) < 1.5
    kinds = Counter(s.kinds[0] for s in sentences if s.kinds)
    assert max(kinds.values()) / min(kinds.values()) < 1.15


def slow_last_noun(sentence):
    last = [noun for noun in (sentence.subject, *sentence.nouns) if number(noun)][-1]
    return float(number(last) == number(sentence.verb))


@pytest.mark.parametrize("task", [TRAIN, TEST, *TEST.by_attractors()], ids=str)
def test_the_last_noun_baseline_reads_the_last_noun(task):
    batch = task.batches(seed=1, batch_size=400).at(0)
    scores = task.last_noun_scores(batch)
    assert scores.tolist() == [slow_last_noun(sentence) for sentence in parsed(task)]
    if task.attractors is not None:
        assert scores.mean() == (1.0 if task.attractors == 0 else 0.0)
    else:
        assert 0.5 < scores.mean() < 0.8


def test_the_majority_baseline_takes_the_commoner_number():
    batch = TRAIN.batches(seed=1, batch_size=6).at(0)
    plural = [sentence.split()[-1][-1] != "s" for sentence in TRAIN.sentences(batch)]
    kept = [*[i for i in range(6) if plural[i]][:2], plural.index(False)]
    unbalanced = type(batch)(*(part[:, kept] for part in batch))
    assert TRAIN.majority_score(unbalanced) == pytest.approx(2 / 3)


def test_attractors_are_compared_at_one_distance():
    strata = TRAIN.by_attractors()
    assert [task.attractors for task in strata] == [0, 1, 2, 3, 4]
    distances = [sorted(s.distance - s.fillers for s in parsed(task, 3_000)) for task in strata]
    means = [sum(d) / len(d) for d in distances]
    assert max(means) - min(means) < 0.3  # the same mixture of constructions, drawn anew
    fixed = [Agreement("test", "preposition", a, 4, 2) for a in range(5)]
    assert {s.distance for task in fixed for s in parsed(task)} == {14}


def test_fillers_may_exceed_what_is_trained():
    assert {s.fillers for s in parsed(Agreement("test", fillers=40))} == {40}
    assert Agreement("test", fillers=40).length > 40


def test_the_vocabulary_names_every_word_once():
    assert len(set(VOCABULARY)) == len(VOCABULARY) == TRAIN.input_size == TRAIN.output_size
    assert set(VOCABULARY) == set(CLASSES) | {"."}
