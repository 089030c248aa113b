"""What a run leaves behind, part by part: scores, what instruments saw, what a model of text does."""

from typing import final

from longhold.config import Config


@final
class LagScore(Config):
    """How one test of a run went."""

    lag: int | None
    """The lag that is tested, where there is one."""
    level: int | None = None
    """The value of the field in which the tests differ, where it is not their lag."""
    score: float
    """In the task's own unit, the mean over test sequences; of a probe the accuracy."""
    recall: float
    """0 for guessing, 1 for perfect."""
    solved: bool
    """Whether that counts as solved."""


@final
class GradientAt(Config):
    """The norm of the gradient of the tested answer's loss by the state so many steps before, geometric mean over
    sequences."""

    lag: int
    """Steps before the answer."""
    start: float
    """Before training."""
    trained: float
    """After it."""


@final
class TimeQuantiles(Config):
    """Time constants of the gate that keeps the state, in steps: quantiles over units, at `inspection.LEVELS`."""

    start: tuple[float, ...]
    """Of the gate at its bias alone, before training."""
    trained: tuple[float, ...]
    """Along the path while the trained model reads the task's inputs."""
    longest: float
    """Of any unit, along the same path."""
    caution: str
    """Whether they may be read as memory, in a line."""


@final
class PairAccuracy(Config):
    """How often a text model finds the grammatical sentence of a pair likelier."""

    paradigm: str
    """The set of pairs, as BLiMP names it."""
    right: int
    """Pairs in which it does."""
    ngram_right: int
    """The same of the n-gram of the same text."""
    pairs: int
    """Of how many."""


@final
class TextReading(Config):
    """How much context a text model uses, and how its verbs agree."""

    window: int
    """Tokens at which its backpropagation was truncated."""
    full_bits: float
    """Bits per token at the targets, given all the text before them."""
    lengths: tuple[int, ...]
    """Tokens of true context that were tried."""
    bits: tuple[float, ...]
    """Bits per token given the last so many tokens, preceded by other held-out text."""
    excess: tuple[float, ...]
    """`bits - full_bits`."""
    excess_from_nothing: tuple[float, ...]
    """The same where an empty state precedes, which also tells how strange that is to the model."""
    segment_excess: tuple[tuple[float, ...], ...]
    """`excess` in each contiguous part of the text, `(segments, lengths)`: what a bootstrap draws from."""
    targets: int
    """Tokens that were predicted."""
    tolerance: float
    """Excess, in bits per token, up to which it counts as nothing."""
    horizon: int
    """The smallest length from which on the excess stays within the tolerance; where censored, the longest tried."""
    censored: bool
    """The excess is above the tolerance at the longest length tried."""
    ngram_bits: float
    """Bits per token of the n-gram of the same text, on the same held-out text."""
    pairs: tuple[PairAccuracy, ...]
    """BLiMP's sets of the specification."""


@final
class Writing(Config):
    """Results of a model of text: bits per character of the held-out text, beside predictors without a network on the
    same text, and what it writes."""

    bits: float
    """Of the model, state carried from the end of the training text through all that was tested."""
    characters: int
    """How many were tested, from the beginning of the held-out text."""
    frequency_bits: float
    """Of token frequencies in the training text, without context."""
    ngram_bits: float
    """Of the Kneser-Ney n-gram of the training text."""
    xz_bits: float
    """What `xz -9e` grows by when the tested text follows the training text."""
    xz_alone_bits: float
    """The tested text compressed by `xz -9e` with nothing before it."""
    best_step: int
    """The step whose weights were kept, best on the text that was set aside for that; else the last."""
    prime: str
    """What it writes after: the first words of the held-out text."""
    temperature: float
    """Of what it writes."""
    sample: str
    """What it writes."""
