"""Numbers and sentences that the terminal and the page share, so that they cannot differ."""

from collections.abc import Iterable

from longhold.study.comparison import Comparison
from longhold.study.recall import SOLVED, Arm, RecallRow


def bits(value: float) -> str:
    """Bits per character."""
    return f"{value:.3f}"


def perplexity(value: float) -> str:
    """Perplexity."""
    return f"{value:.2f}"


def whole(value: float) -> str:
    """A count, or a rate rounded to one, with thousands set apart."""
    return f"{value:,.0f}"


def seconds(value: float) -> str:
    """A time."""
    return f"{value:.1f} s"


def recall(row: RecallRow) -> str:
    """A run's recall with two digits, or that it failed."""
    return "failed" if row.recall is None else f"{round(row.recall, 2) + 0.0:.2f}"  # + 0.0 turns -0.0 into 0.0


def solved(rows: Iterable[RecallRow]) -> str:
    """How many of some runs solved their lag."""
    known = list(rows)
    return f"{sum(row.solved for row in known)} of {len(known)}"


def by_arm_and_lag(rows: Iterable[RecallRow]) -> dict[Arm, dict[int, list[RecallRow]]]:
    """Runs of the same arm and lag together, in the order in which they come."""
    arms: dict[Arm, dict[int, list[RecallRow]]] = {}
    for row in rows:
        arms.setdefault(row.run.arm, {}).setdefault(row.run.lag, []).append(row)
    return arms


INITS = {
    "uniform": "torch's default",
    "orthogonal": "recurrent matrix",
    "chrono": "told the lag",
    "tutorial": "the tutorial's",
    "identity": "recurrent matrix",
    "forget:1": "forget bias 1",
}
"""What an initialisation is, in a few words."""


def text_caption() -> str:
    """What the text results are and how far they go."""
    return (
        "One run per cell: equal parameters, equal optimiser settings, equal shares of time. Indicative, not a ranking."
    )


def recall_caption(rows: tuple[RecallRow, ...]) -> str:
    """What the recall results are and how far they go."""
    config = rows[0].run.config
    return (
        f"A fresh model is trained at each lag. Indicative: n = {len(config.seeds)} seeds. Recall is "
        f"(accuracy - chance) / (1 - chance) on {whole(config.test_sequences)} fresh sequences; "
        f"solved means at least {SOLVED}."
    )


def recall_settings(rows: tuple[RecallRow, ...]) -> str:
    """The settings that every recall run shares, in a line."""
    config, sizes = rows[0].run.config, sorted({row.parameters for row in rows})
    parameters = whole(sizes[0]) if len(sizes) == 1 else f"{whole(sizes[0])} to {whole(sizes[-1])}"
    return (
        f"{config.symbols} symbols, {config.distractors} distractors; {parameters} parameters; at most "
        f"{whole(config.steps)} steps of {config.batch_size} sequences; Adam, learning rate {config.lr:g} for every "
        f"row; gradients clipped at norm {config.clip_norm:g}; a run stops early once it answers its own new batches"
    )


def limits(comparison: Comparison) -> list[tuple[str, str]]:
    """What the comparison does and does not say: a heading and a sentence or two each."""
    said = [
        (
            "Time decides, and here it was short.",
            f"Each cell had the same share of a budget of {whole(comparison.budget_seconds)} seconds on this machine, "
            "turned into a number of steps by timing a few of them; so a slower cell, or one timed in a busy moment, "
            "made fewer. Steps, tokens and time stand in the table. A longer run, another size or another learning "
            "rate can change the order.",
        ),
        (
            "One run is one draw.",
            "The text results are one run per cell. How much another seed would change them is not measured here.",
        ),
        (
            "Training perplexity is not quality.",
            "It is measured on text that the model was just being trained on. Held-out bits per character are measured "
            "on text to which no cell and no baseline was fitted and by which nothing was chosen.",
        ),
    ]
    return said + (_recall_limits() if comparison.recall else [])


def _recall_limits() -> list[tuple[str, str]]:
    return [
        (
            "Protocol and initialisation decide.",
            "Every model here was trained at one lag and tested at the same lag. Trained on a mixture of short and "
            "long lags instead, every one of these cells can look perfect. Therefore cell and initialisation are "
            "shown as two things, and the protocol is named.",
        ),
        (
            "Chrono is a hint, not a discovery.",
            "Its gate biases are spread over time constants up to the length of the task (lag + 2), so the model is "
            "told how long it will have to wait. LSTM and GRU get the same hint. The plain RNN has no gate that "
            "could take it; it is shown with an orthogonal recurrent matrix.",
        ),
        (
            "Not solved means: not within these steps.",
            "The limit on steps, the learning rate and the size are the same for all rows, none of which was tuned "
            "by itself. It does not follow that a cell cannot learn the task.",
        ),
    ]
