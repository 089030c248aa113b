"""Results of models of text: bits of held-out text beside counting and `xz`, and what they write."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from longhold.study.claims.rows import Run
from longhold.study.report.axis import Axis, axis_from_zero
from longhold.study.report.document import (
    Block,
    Cell,
    Entry,
    Figure,
    Paragraph,
    Quotation,
    Quotations,
    Subheading,
    Table,
)
from longhold.study.report.groups import Group
from longhold.study.report.localized import LocalizedText, exact, whole
from longhold.study.report.plots import value_scale, value_strip
from longhold.study.report.series import Series, key
from longhold.study.rows.results import Writing

_MOST_SAMPLES = 12
_LARGEST_LOSS = 700.0  # beyond it the exponential leaves the floats


def written(group: Group, series: Series) -> list[Block]:
    """Bits and samples of a group; nothing where no model wrote."""
    written = [(arm, runs) for arm in group.arms if (runs := writers(group, arm))]
    if not written:
        return []
    about = _ABOUT.format(whole(_first(written).characters))
    return [
        Paragraph(group.settings, quiet=True),
        Paragraph(about, quiet=True),
        _figure(group, written, series),
        *_samples(written, series),
    ]


def rivals_of(writing: Writing) -> tuple[tuple[LocalizedText, float], ...]:
    """Returns the predictors without a network and their bits, n-gram and xz first."""
    return (
        (LocalizedText("n-gram of order 6", "6 元模型"), writing.ngram_bits),
        (LocalizedText("xz after training", "xz（接在训练文本后）"), writing.xz_bits),
        (LocalizedText("xz alone", "xz（单独压缩）"), writing.xz_alone_bits),
        (LocalizedText("token frequencies", "词元频率"), writing.frequency_bits),
    )


def writers(group: Group, arm: str) -> list[Run]:
    """The runs of an arm whose models wrote."""
    return [run for run in group.at(arm) if run.row.writing is not None]


def bits_of(runs: Sequence[Run]) -> list[float]:
    """Bits per character of the held-out text, seed by seed."""
    return [writing.bits for writing in writings(runs)]


def writings(runs: Iterable[Run]) -> list[Writing]:
    """Returns what the models of some runs wrote, of those that did."""
    return [run.row.writing for run in runs if run.row.writing is not None]


def _first(written: Sequence[tuple[str, list[Run]]]) -> Writing:
    return writings(written[0][1])[0]


def train_perplexity(curve: Sequence[Sequence[float]]) -> float:
    """Per token, of the last steps of a learning curve: of a run's own batches, so not quality."""
    loss = float(curve[-1][1])
    return math.exp(loss) if loss < _LARGEST_LOSS else math.inf


_ABOUT = LocalizedText(
    "Bits per character on the first {} characters of the held-out tenth, to which nothing was fitted and by which "
    "nothing was chosen; the state is carried through all of it. Where part=fitted, the last twentieth of the training "
    "text chose the step whose weights were kept, and the rivals read it too. The n-gram is Kneser-Ney's; xz after "
    "training is what xz -9e grows by when that text follows the training text. Training perplexity is of text that "
    "was just being trained on, and is not quality.",
    "留出的十分之一文本中前 {} 个字符上的每字符比特数；没有任何模型在其上拟合，也没有据其作任何选择，状态贯穿始终。"
    "若 part=fitted，则由训练文本的最后二十分之一选出保留哪一步的权重，对照模型也读了这一部分。n 元模型用 Kneser-Ney "
    "平滑；“xz（接在训练文本后）”是把该文本接在训练文本之后 xz -9e 输出所增加的量。训练困惑度取自正在训练的文本，"
    "并不代表质量。",
)


def _figure(group: Group, written: Sequence[tuple[str, list[Run]]], series: Series) -> Figure:
    rivals = rivals_of(_first(written))
    axis = axis_from_zero([*(bits for _, runs in written for bits in bits_of(runs)), *(bits for _, bits in rivals)])
    drawn = [
        _drawn(LocalizedText.same(arm), series.style(group.cell(arm)), bits_of(runs), axis) for arm, runs in written
    ]
    drawn += [_drawn(name, "baseline", [bits], axis) for name, bits in rivals]
    caption = LocalizedText("{}: bits per character of held-out text", "{}：留出文本的每字符比特数").format(group.name)
    head = (LocalizedText("arm", "对象"), Cell(_BITS, number=True), LocalizedText("fewer is better", "越少越好"))
    plot = Table(caption, head, tuple(drawn), (Markup(""), Markup(""), value_scale(axis)), "dots")
    return Figure((), plot, _numbers(caption, written, rivals))


_BITS = LocalizedText("bits", "比特")


def _drawn(name: LocalizedText, style: str, values: Sequence[float], axis: Axis) -> tuple[Entry, ...]:
    mean = LocalizedText.same(_shown(statistics.fmean(values)))
    every = LocalizedText.same(", ".join(map(_shown, values)))
    tips = [f"{name.en} · bits = {_shown(value)}" for value in values]
    return (Cell(name, key(style)), Cell(mean, number=True), Cell(every, value_strip(values, tips, axis, style)))


def _numbers(
    caption: LocalizedText, written: Sequence[tuple[str, list[Run]]], rivals: Sequence[tuple[LocalizedText, float]]
) -> Table:
    head: tuple[Entry, ...] = (
        LocalizedText("arm", "对象"),
        *(
            Cell(text, number=True)
            for text in (
                LocalizedText("parameters", "参数"),
                LocalizedText("steps, best", "步数（最优）"),
                LocalizedText("training perplexity, mean", "训练困惑度（均值）"),
                LocalizedText("bits per character, mean", "每字符比特数（均值）"),
                LocalizedText("of every seed", "每个种子"),
            )
        ),
    )
    rows: list[tuple[Entry, ...]] = [(arm, *_cells(_row(runs))) for arm, runs in written]
    rows += [(name, *_cells(["", "", "", _shown(bits), ""])) for name, bits in rivals]
    return Table(caption, head, tuple(rows))


def _cells(shown: Iterable[str]) -> tuple[Cell, ...]:
    return tuple(Cell(LocalizedText.same(text), number=True) for text in shown)


def _row(runs: Sequence[Run]) -> Iterator[str]:
    yield exact([run.row.parameters for run in runs])
    used = exact([run.row.steps_used for run in runs])
    yield f"{used}, {exact([writing.best_step for writing in writings(runs)])}"
    yield f"{statistics.fmean(train_perplexity(run.row.curve) for run in runs):.2f}"
    yield _shown(statistics.fmean(bits_of(runs)))
    yield ", ".join(map(_shown, bits_of(runs)))


def _shown(bits: float) -> str:
    return f"{bits:.3f}"


def _samples(written: Sequence[tuple[str, list[Run]]], series: Series) -> list[Block]:
    first = _first(written)
    quoted = [_quotation(arm, runs[0], series) for arm, runs in written[:_MOST_SAMPLES]]
    about = _WRITES.format(" ".join(first.prime.split()), f"{first.temperature:g}")
    return [
        Subheading(LocalizedText("What they write", "它们写出的文字")),
        Paragraph(about, quiet=True),
        Quotations(tuple(quoted)),
    ]


def _quotation(arm: str, run: Run, series: Series) -> Quotation:
    (writing,) = writings([run])
    return Quotation(LocalizedText.same(arm), key(series.style(run.row.spec.cell)), writing.prime, writing.sample)


_WRITES = LocalizedText(
    "After the same words of the held-out text, “{}”, at temperature {}; of each arm the first seed.",
    "均接在留出文本的同一段文字“{}”之后，温度 {}；每个对象取第一个种子。",
)
