"""Subject-verb agreement: the tutorial's cat and cats as a controlled grammar."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor

from longhold.errors import InputError
from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, supervised

_NOUNS = (
    *("cat", "dog", "bird", "horse", "boy", "girl", "king", "pilot"),
    *("farmer", "doctor", "teacher", "singer", "robot", "lion", "duck", "clown"),
)
_VERBS = ("sleep", "run", "wait", "sing", "jump", "fall", "play", "eat", "swim", "hide", "move", "rest")

NOUNS = (_NOUNS, tuple(f"{noun}s" for noun in _NOUNS))
"""Singular, then plural."""
VERBS = (tuple(f"{verb}s" for verb in _VERBS), _VERBS)
"""Singular, then plural."""
NEUTRAL_NOUNS = ("sheep", "deer", "fish", "salmon")
PAST = ("chased", "saw", "followed", "heard", "liked", "watched")
PREPOSITIONS = ("near", "behind", "beside", "above")
ADJECTIVES = ("old", "small", "red", "quiet", "young", "brave")
ADVERBS = ("often", "quietly", "still", "rarely", "always", "sometimes")
OPENERS = ("today", "here", "now")
STOP, COMMA, THE, THAT, WHICH = ".", ",", "the", "that", "which"

VOCABULARY = (
    *(STOP, COMMA, THE, THAT, WHICH),
    *(*NOUNS[0], *NOUNS[1], *VERBS[0], *VERBS[1]),
    *(*NEUTRAL_NOUNS, *PAST, *PREPOSITIONS, *ADJECTIVES, *ADVERBS, *OPENERS),
)
"""The words; an id is a place in it. A plural stands as many places after its singular as there are such words."""

Construction = Literal["preposition", "subject_relative", "object_relative", "which"]

CONSTRUCTIONS: dict[str, int] = {"preposition": 3, "subject_relative": 4, "object_relative": 4, "which": 5}
"""What may stand between subject and verb, and the words that each one takes."""

MOST = 4
"""The most modifiers of a sentence, and the most fillers unless a number is given."""

_PAIRINGS = 4
"""A noun and a verb whose places add up to a multiple of it never meet outside nonce sentences."""

_ID = {word: place for place, word in enumerate(VOCABULARY)}


@final
@dataclass(frozen=True)
class Agreement(Task):
    """Sentences in which a verb agrees with its subject, word by word; what counts is the verb's number.

        today the old cat  , which chased the red dogs  , which saw the sheep  ,  often  sleeps

    **The grammar.** An opener or none, "the", 0 to 2 adjectives, the subject; then `M` modifiers of one construction,
    each with a noun of its own; adverbs; the verb, and nothing after it.

        preposition         near the dogs
        subject_relative    that chased the dogs
        object_relative     that the dogs chased
        which               , which chased the dogs        (and one comma after the last)

    A modifier's noun is singular, plural, or one whose form shows neither ("sheep"); verbs inside modifiers are in the
    past, whose form shows neither. An **attractor** is a noun between subject and verb of the other number
    (Linzen, Dupoux and Goldberg 2016). **Fillers** are adjectives before the modifiers' nouns and adverbs before the
    verb, each at a place drawn at random. The distance from subject to verb in words is
    `M * CONSTRUCTIONS[construction] + fillers`, and one more for `which` with `M > 0`.

    **What is drawn.** Fields left at None are drawn for each sentence, uniformly: the construction, 0 to 4 modifiers,
    0 to 4 fillers; without a number of attractors every modifier's noun is singular, plural or neutral with equal
    chances, independently of the subject, so no other noun predicts the verb. With a number `a` of attractors just `a`
    modifiers, drawn at random, have one, and the others are neutral: at a given number of modifiers the distance is
    then the same for every `a`. Rows `2i` and `2i + 1` are the same sentence with the number of every noun and of the
    verb exchanged, so in an even batch nouns and verbs are balanced exactly.

    **Train and test.** A template is a sentence's sequence of word classes. Every combination of construction,
    modifiers and fillers has templates for training and others for the test, and no template is in both. In **nonce**
    sentences subject and verb are known words that never meet elsewhere: of each noun's 12 verbs, 3 are kept for them.

    **Questions.** The next word is the target at every step; `loss` is the language model's. A score is 1 if at the
    last step the verb's right form is likelier than its form of the other number, 0 if it is less likely, and 1/2 if
    the two are equal: the minimal pair. Chance is 1/2.
    """

    name: ClassVar[str] = "agreement"

    split: Literal["train", "test"] = "train"
    """Which templates are used."""
    construction: Construction | None = None
    """The construction of all modifiers; None: drawn."""
    attractors: Annotated[int, Field(ge=0, le=MOST)] | None = None
    """Attractors in every sentence; None: the modifiers' nouns are independent of the subject."""
    modifiers: Annotated[int, Field(ge=0, le=MOST)] | None = None
    """`M`, at least the number of attractors; None: drawn."""
    fillers: Annotated[int, Field(ge=0)] | None = None
    """Number-neutral words between subject and verb besides the modifiers; None: drawn, 0 to 4."""
    nonce: bool = False
    """Whether subject and verb are pairs that are never trained. Only for the test."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modifiers is not None and self.modifiers < (self.attractors or 0):
            raise InputError(f"agreement: modifiers={self.modifiers}: expected at least attractors={self.attractors}")
        if self.nonce and self.split == "train":
            raise InputError("agreement: nonce=True: expected split='test', since what is trained is not unseen")

    @property
    def length(self) -> int:
        widest = max(CONSTRUCTIONS.values()) if self.construction is None else CONSTRUCTIONS[self.construction]
        most = MOST if self.modifiers is None else self.modifiers
        comma = most > 0 and self.construction in (None, "which")
        return 6 + most * widest + comma + (MOST if self.fillers is None else self.fillers)

    @property
    def input_size(self) -> int:
        return len(VOCABULARY)

    @property
    def output_size(self) -> int:
        return len(VOCABULARY)

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def examination(self) -> "Agreement":
        """The same sentences from the test's templates."""
        return replace(self, split="test")

    def by_attractors(self) -> tuple["Agreement", ...]:
        """The test at 0, 1, 2, 3 and 4 attractors, all with 4 modifiers, so that nothing else differs."""
        return tuple(replace(self.examination, attractors=count, modifiers=MOST) for count in range(MOST + 1))

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """1, 0 or (for a tie) 1/2 for each sentence by its verb's minimal pair, `(B,)` float64."""
        step, verb = _verbs(batch)
        logits = outputs[step, torch.arange(len(step))].double()
        right, wrong = (logits.gather(1, form[:, None])[:, 0] for form in (verb, _other_number(verb)))
        return (right > wrong).double() + 0.5 * (right == wrong).double()

    def last_noun_scores(self, batch: TaskBatch) -> Tensor:
        """The scores of a baseline: the verb takes the number of the last noun before it that has one."""
        numbers = _numbers(batch.inputs, NOUNS)  # (T, B): 0 or 1, -1 elsewhere
        places = torch.arange(len(numbers))[:, None] * (numbers >= 0)
        last = numbers.gather(0, places.argmax(0)[None])[0]
        return (last == _numbers(_verbs(batch)[1], VERBS)).double()

    def majority_score(self, batch: TaskBatch) -> float:
        """The score of a baseline: the commoner number of the batch's verbs, everywhere."""
        plural = float(_numbers(_verbs(batch)[1], VERBS).double().mean())
        return max(plural, 1 - plural)

    def sentences(self, batch: TaskBatch) -> list[str]:
        """The sentences of a batch as text, the stop before them left out."""
        words = batch.targets.T.tolist()
        return [" ".join(VOCABULARY[word] for word in row if word != IGNORE_INDEX) for row in words]

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        draw = self._draw((batch_size + 1) // 2, generator)
        words = _words(draw, generator)
        twins = [words.ids + words.plural_offset * (words.plural ^ flipped) for flipped in (False, True)]
        order = (~words.present).byte().argsort(dim=0, stable=True)
        order = order[: int(words.present.sum(0).max())]
        ids = torch.stack([twin.gather(0, order) for twin in twins], dim=-1).flatten(1)[:, :batch_size]
        lengths = words.present.sum(0).repeat_interleave(2)[:batch_size]
        known = torch.arange(len(ids))[:, None] < lengths
        ids = ids.where(known, _ID[STOP])
        return supervised(ids[:-1], ids[1:].where(known[1:], IGNORE_INDEX))

    def _draw(self, rows: int, generator: torch.Generator) -> "_Draw":
        def whole(value: int | None, least: int, most: int) -> Tensor:
            drawn = torch.randint(least, most + 1, (rows,), generator=generator)
            return drawn if value is None else torch.full_like(drawn, value)

        names = list(CONSTRUCTIONS)
        kind = whole(None if self.construction is None else names.index(self.construction), 0, len(names) - 1)
        modifiers = whole(self.modifiers, self.attractors or 0, MOST)
        fillers = whole(self.fillers, 0, MOST)
        place = (torch.rand(int(fillers.max()) + 1, rows, generator=generator) * (modifiers + 1)).long()
        place[torch.arange(len(place))[:, None] >= fillers] = MOST + 1
        filled = torch.stack([(place == slot).sum(0) for slot in range(MOST + 1)])  # 0: adverbs; j: modifier j
        adjectives = whole(None, 0, 2)
        weights = torch.arange(1, MOST + 2)[:, None]
        opener = (adjectives + (weights * filled).sum(0) + (self.split == "test")) % 2 == 1
        subject = torch.randint(2, (rows,), generator=generator) == 1
        numbers = self._modifier_numbers(subject, modifiers, generator)
        noun = whole(None, 0, len(NOUNS[0]) - 1)
        rest = torch.zeros_like(noun) if self.nonce else whole(None, 1, _PAIRINGS - 1)
        verb = (rest - noun) % _PAIRINGS + _PAIRINGS * whole(None, 0, len(VERBS[0]) // _PAIRINGS - 1)
        return _Draw(kind, modifiers, filled, adjectives, opener, subject, numbers, noun, verb)

    def _modifier_numbers(self, subject: Tensor, modifiers: Tensor, generator: torch.Generator) -> Tensor:
        """`(4, rows)`: 0 singular, 1 plural, 2 a noun that shows neither."""
        if self.attractors is None:
            return torch.randint(3, (MOST, len(subject)), generator=generator)
        chosen = torch.rand(MOST, len(subject), generator=generator)
        chosen[torch.arange(MOST)[:, None] >= modifiers] = 2.0
        attracts = chosen.argsort(0).argsort(0) < self.attractors
        return (~subject).long().expand(MOST, -1).where(attracts, 2)


class _Draw(NamedTuple):
    """What decides sentences but for the choice of words of no consequence; rows last, `(rows,)` unless stated."""

    kind: Tensor
    """Place of the construction in `CONSTRUCTIONS`."""
    modifiers: Tensor
    filled: Tensor
    """`(5, rows)`: adverbs, then the adjectives of each modifier."""
    adjectives: Tensor
    opener: Tensor
    subject: Tensor
    """Whether the subject is plural."""
    numbers: Tensor
    """`(4, rows)`; see `_modifier_numbers`."""
    noun: Tensor
    verb: Tensor


class _Words(NamedTuple):
    """A grid with a place for every word that a sentence of the batch may have, each `(places, rows)`."""

    ids: Tensor
    """In the singular."""
    present: Tensor
    plural: Tensor
    plural_offset: Tensor
    """What is added for the plural; 0 for words without one."""


class _Grid:
    """Collects the places of `_Words`."""

    def __init__(self, rows: int, generator: torch.Generator) -> None:
        self.rows, self.generator = rows, generator
        self.places: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def fixed(self, word: str, present: Tensor | bool = True) -> None:
        self.numbered(torch.full((self.rows,), _ID[word]), present)

    def any_of(self, words: tuple[str, ...], present: Tensor | bool = True) -> None:
        self.numbered(self.draw(words), present)

    def draw(self, words: tuple[str, ...]) -> Tensor:
        return _ID[words[0]] + torch.randint(len(words), (self.rows,), generator=self.generator)

    def numbered(
        self, ids: Tensor, present: Tensor | bool, plural: Tensor | bool = False, offset: Tensor | int = 0
    ) -> None:
        place = [torch.as_tensor(value).expand(self.rows) for value in (present, plural, offset)]
        self.places.append((ids, place[0], place[1], place[2]))

    def words(self) -> _Words:
        ids, present, plural, offset = (torch.stack(column) for column in zip(*self.places, strict=True))
        return _Words(ids, present, plural, offset)


def _words(draw: _Draw, generator: torch.Generator) -> _Words:
    grid, names = _Grid(len(draw.kind), generator), list(CONSTRUCTIONS)
    is_which = draw.kind == names.index("which")
    grid.fixed(STOP)
    grid.any_of(OPENERS, draw.opener)
    grid.fixed(THE)
    _some(grid, ADJECTIVES, draw.adjectives, True)
    grid.numbered(_ID[NOUNS[0][0]] + draw.noun, True, draw.subject, len(NOUNS[0]))
    for j in range(MOST):
        there = draw.modifiers > j
        prepositional, object_relative = (
            there & (draw.kind == names.index(name)) for name in ("preposition", "object_relative")
        )
        grid.fixed(COMMA, there & is_which)
        grid.fixed(WHICH, there & is_which)
        grid.fixed(THAT, there & ~is_which & ~prepositional)
        grid.any_of(PAST, there & ~prepositional & ~object_relative)
        grid.any_of(PREPOSITIONS, prepositional)
        grid.fixed(THE, there)
        _some(grid, ADJECTIVES, draw.filled[j + 1], there)
        neutral = draw.numbers[j] == 2
        noun = grid.draw(NOUNS[0]).where(~neutral, grid.draw(NEUTRAL_NOUNS))
        grid.numbered(noun, there, draw.numbers[j] == 1, torch.where(neutral, 0, len(NOUNS[0])))
        grid.any_of(PAST, object_relative)
    grid.fixed(COMMA, is_which & (draw.modifiers > 0))
    _some(grid, ADVERBS, draw.filled[0], True)
    grid.numbered(_ID[VERBS[0][0]] + draw.verb, True, draw.subject, len(VERBS[0]))
    return grid.words()


def _some(grid: _Grid, words: tuple[str, ...], count: Tensor, present: Tensor | bool) -> None:
    """As many of the words as each row's count."""
    for i in range(int(count.max())):
        grid.any_of(words, present & (count > i))


def _verbs(batch: TaskBatch) -> tuple[Tensor, Tensor]:
    """The step at which each sentence's verb is the target, and the verb, both `(B,)`."""
    step = batch.mask.sum(0) - 1
    return step, batch.targets.gather(0, step[None])[0]


def _numbers(ids: Tensor, words: tuple[tuple[str, ...], tuple[str, ...]]) -> Tensor:
    """0 where an id is one of the singular words, 1 of the plural ones, else -1."""
    place = ids - _ID[words[0][0]]
    return (place // len(words[0])).where((place >= 0) & (place < 2 * len(words[0])), -1)


def _other_number(verb: Tensor) -> Tensor:
    return torch.where(_numbers(verb, VERBS) == 0, verb + len(VERBS[0]), verb - len(VERBS[0]))
