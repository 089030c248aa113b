"""Models of text: their bits, what they write, how much context they use, and how their verbs agree."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup
from scipy.stats import t as student

from longhold.study.claims.rows import Run
from longhold.study.horizon import TextHorizon, text_horizon
from longhold.study.report.document import Block, Cell, Entry, Figure, Paragraph, Section, Subheading, Table
from longhold.study.report.groups import Group
from longhold.study.report.localized import LocalizedText, exact, two_digits
from longhold.study.report.plots import horizon_strip, lag_scale
from longhold.study.report.series import Series, key
from longhold.study.report.writing import written
from longhold.study.rows.results import TextReading
from longhold.study.statistics import CONFIDENCE, LEAST_SEEDS, Interval

_COIN = 0.5


def text(known: Sequence[Group], series: Series) -> Section | None:
    """The section; None where no model of text was tested."""
    blocks: list[Block] = []
    for group in known:
        measured = [*written(group, series), *_context(group, series)]
        if measured:
            blocks += [Subheading(LocalizedText.same(group.name)), *measured]
    return Section(LocalizedText("Text", "文本"), tuple(blocks)) if blocks else None


def _context(group: Group, series: Series) -> list[Block]:
    """How much context its models use and how their verbs agree; nothing where none was tested."""
    measured = [(arm, runs) for arm in group.arms if (runs := _read(group, arm))]
    if not measured:
        return []
    horizon = (_horizons(group, measured, series), _curves(group, measured))
    return [Paragraph(_CONTEXT, quiet=True), *horizon, *_agreement(group, measured)]


_CONTEXT = LocalizedText(
    "Text horizon: at the same held-out targets, the bits that a model needs when it knows only the last k true "
    "tokens, which other held-out text precedes, less those with everything before; the smallest k beyond which the "
    "excess stays within the tolerance. The interval is by bootstrap, seeds crossed with contiguous parts of the text. "
    "A weaker model can look longer, so read it beside the bits and the length of training.",
    "文本跨度：在相同的留出目标上，模型只知道最后 k 个真实词元（之前接上其他留出文本）时所需的比特数，"
    "减去知道全部上文时的比特数；超过该 k 后，超出量一直不大于容差。区间由自助法得出，种子与连续文本段交叉。"
    "较弱的模型可能看得更远，因此须与比特数及训练长度一并阅读。",
)


def _read(group: Group, arm: str) -> list[Run]:
    return [run for run in group.at(arm) if run.row.text is not None]


def _readings(runs: Iterable[Run]) -> list[TextReading]:
    return [run.row.text for run in runs if run.row.text is not None]


def _horizon(runs: Sequence[Run]) -> TextHorizon:
    readings = _readings(runs)
    return text_horizon(readings[0].lengths, [one.segment_excess for one in readings], readings[0].tolerance)


def _horizons(group: Group, measured: Sequence[tuple[str, list[Run]]], series: Series) -> Figure:
    lengths = _readings(measured[0][1])[0].lengths
    caption = LocalizedText("{}: text horizon, tokens", "{}：文本跨度（词元）").format(group.name)
    head: tuple[Entry, ...] = (LocalizedText("arm", "对象"), LocalizedText("text horizon", "文本跨度"))
    drawn: list[tuple[Entry, ...]] = []
    numbers: list[tuple[Entry, ...]] = []
    for arm, runs in measured:
        found, style = _horizon(runs), series.style(group.cell(arm))
        strip = horizon_strip(found.tokens.value, found.tokens.interval, lengths, style)
        drawn.append((Cell(LocalizedText.same(arm), key(style)), Cell(_value(found), strip)))
        numbers.append((arm, Cell(_value(found), number=True), *_figures(runs)))
    columns: tuple[Entry, ...] = (
        *head[:1],
        Cell(LocalizedText("text horizon", "文本跨度"), number=True),
        *(Cell(name, number=True) for name in _COLUMNS),
    )
    foot = (Markup(""), lag_scale(lengths))
    return Figure((), Table(caption, head, tuple(drawn), foot, "grid-few"), Table(caption, columns, tuple(numbers)))


_COLUMNS = (
    LocalizedText("bits per token, mean", "每词元比特数（均值）"),
    LocalizedText("least to most", "最小至最大"),
    LocalizedText("n-gram", "n 元"),
    LocalizedText("trained on windows of", "训练窗口"),
    LocalizedText("seeds", "种子"),
)


def _figures(runs: Sequence[Run]) -> tuple[Cell, ...]:
    readings = _readings(runs)
    bits = [one.full_bits for one in readings]
    values = (
        f"{statistics.fmean(bits):.3f}",
        f"{min(bits):.3f}–{max(bits):.3f}",
        f"{readings[0].ngram_bits:.3f}",
        exact([one.window for one in readings]),
        str(len(readings)),
    )
    return tuple(Cell(LocalizedText.same(value), number=True) for value in values)


def _value(found: TextHorizon) -> LocalizedText:
    ends = (found.tokens.value, found.tokens.interval.low, found.tokens.interval.high)
    value, low, high = (f"> {found.lengths[-1]}" if math.isinf(end) else f"{end:.0f}" for end in ends)
    return LocalizedText("{} ({} to {})", "{}（{} 至 {}）").format(value, low, high)


def _curves(group: Group, measured: Sequence[tuple[str, list[Run]]]) -> Table:
    caption = LocalizedText(
        "{}: bits per token above those with full context, mean over seeds", "{}：超出完整上文的每词元比特数，种子均值"
    ).format(group.name)
    found = [(arm, _horizon(runs)) for arm, runs in measured]
    head: tuple[Entry, ...] = (
        LocalizedText("context, tokens", "上文（词元）"),
        *(Cell(LocalizedText.same(a), number=True) for a, _ in found),
    )
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (
            str(length),
            *(Cell(LocalizedText.same(f"{round(one.excess[place], 3) + 0.0:.3f}"), number=True) for _, one in found),
        )
        for place, length in enumerate(found[0][1].lengths)
    )
    return Table(caption, head, rows)


def _agreement(group: Group, measured: Sequence[tuple[str, list[Run]]]) -> list[Block]:
    sets = [one.paradigm for one in _readings(measured[0][1])[0].pairs]
    if not sets:
        return []
    caption = LocalizedText(
        "{}: proportion of BLiMP's pairs in which the grammatical sentence is likelier",
        "{}：BLiMP 句对中合语法句更可能的比例",
    ).format(group.name)
    head: tuple[Entry, ...] = (
        LocalizedText("set", "集合"),
        Cell(LocalizedText("n-gram", "n 元"), number=True),
        *(Cell(LocalizedText.same(arm), number=True) for arm, _ in measured),
    )
    rows: tuple[tuple[Entry, ...], ...] = tuple(
        (
            name,
            Cell(LocalizedText.same(two_digits(_ngram(measured[0][1], place))), number=True),
            *(Cell(_accuracy(runs, place), number=True) for _, runs in measured),
        )
        for place, name in enumerate(sets)
    )
    return [Table(caption, head, rows), Paragraph(_PAIRS, quiet=True)]


_PAIRS = LocalizedText(
    "A coin gets 0.50. Mean over seeds with a 95 % interval over seeds and pairs. An up or down arrow stands only "
    f"where, with at least {LEAST_SEEDS} seeds, the whole interval lies above, or below, both the coin and the n-gram; "
    "elsewhere nothing is claimed.",
    "抛硬币为 0.50。种子均值及对种子和句对的 95 % 区间。仅当种子不少于"
    f" {LEAST_SEEDS} 个且整个区间都高于或低于硬币与 n 元模型时才标箭头；其余不作断言。",
)


def _ngram(runs: Sequence[Run], place: int) -> float:
    pairs = _readings(runs)[0].pairs[place]
    return pairs.ngram_right / pairs.pairs


def _accuracy(runs: Sequence[Run], place: int) -> LocalizedText:
    pairs = [one.pairs[place] for one in _readings(runs)]
    mean, interval = pair_accuracy([one.right for one in pairs], pairs[0].pairs)
    others = (_COIN, _ngram(runs, place))
    sign = ""
    if len(runs) >= LEAST_SEEDS:
        sign = "↑ " if interval.low > max(others) else "↓ " if interval.high < min(others) else ""
    return LocalizedText.same(f"{sign}{two_digits(mean)} ({two_digits(interval.low)}–{two_digits(interval.high)})")


def pair_accuracy(right: Sequence[int], pairs: int) -> tuple[float, Interval]:
    """The mean proportion of right pairs over seeds and its t interval, with the sampling of the pairs added.

        half width = t sqrt(s^2 / n + p (1 - p) / pairs)

    Args:
        right: right pairs of each seed.
        pairs: of how many, the same for all.
    """
    proportions = [one / pairs for one in right]
    mean, count = statistics.fmean(proportions), len(proportions)
    between: Any = statistics.variance(proportions) / count if count > 1 else 0.0
    width = float(student.ppf((1 + CONFIDENCE) / 2, max(1, count - 1))) * math.sqrt(between + mean * (1 - mean) / pairs)
    return mean, Interval(max(0.0, mean - width), min(1.0, mean + width))
