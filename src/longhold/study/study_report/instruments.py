"""What instruments saw in the trained models, for rows that carry it.

A row may carry two columns:

- `gradient_by_lag`: `[{"lag", "start", "trained"}]`, the norm of the gradient of the loss by the state so many steps
  before, at the start (or null) and after training;
- `time_constants`: `{"start": [...] or null, "trained": [...], "caution": line}`, quantiles of -1 / ln of the gate that
  keeps the state, in steps, at the levels of `longhold.inspection.LEVELS`.
"""

from collections.abc import Sequence
from typing import Any

from longhold.inspection import LEVELS
from longhold.study.claims.rows import Run
from longhold.study.study_report.document import (
    Block,
    Cell,
    Entry,
    Figure,
    Panel,
    Paragraph,
    Section,
    Subheading,
    Table,
)
from longhold.study.study_report.groups import Group
from longhold.study.study_report.plots import decades
from longhold.study.study_report.said import Said, short
from longhold.study.study_report.series import Series, key

_GRADIENT, _GATES = "gradient_by_lag", "time_constants"


def instruments(known: Sequence[Group], series: Series) -> Section | None:
    """Gradient by lag and time constants; None where no row carries either."""
    blocks: list[Block] = []
    for group in known:
        blocks += _gradients(group, series) + _gates(group)
    return Section(Said("Why: inside the models", "为什么：模型内部"), tuple(blocks)) if blocks else None


def _gradients(group: Group, series: Series) -> list[Block]:
    carrying = [(arm, level, _with(group.at(arm, level), _GRADIENT)) for arm, level in _places(group)]
    carrying = [entry for entry in carrying if entry[2]]
    if not carrying:
        return []
    panels = tuple(
        Panel(
            _titled(group, arm, level),
            key(style),
            Said.same(""),
            decades(_lines(found), style),
            Said("lag, steps", "延迟（步）"),
        )
        for arm, level, found in carrying
        for style in [series.style(group.cell(arm))]
    )
    head: tuple[Entry, ...] = (
        Said("arm", "对象"),
        *([Cell(Said.same(group.vary), number=True)] if group.levels else []),
        Cell(Said("seed", "种子"), number=True),
        Said("lag: norm after training", "延迟：训练后的范数"),
    )
    rows: list[tuple[Entry, ...]] = [
        (
            arm,
            *([Cell(Said.same(str(level)), number=True)] if level is not None else []),
            Cell(Said.same(str(run.seed)), number=True),
            _norms(run),
        )
        for arm, level, found in carrying
        for run in found
    ]
    caption = Said("{}: gradient by lag", "{}：按延迟的梯度").format(group.name)
    return [
        Subheading(caption),
        Paragraph(_GRADIENTS, quiet=True),
        Figure((), panels, Table(caption, head, tuple(rows))),
    ]


_GRADIENTS = Said(
    "The norm of the gradient of the loss by the state so many steps before, on a logarithmic scale: a line for "
    "every "
    "seed after training, a dashed one before. It tells what training could still reach, not what the model "
    "remembers.",
    "损失对若干步之前状态的梯度范数，对数坐标：每个种子训练后一条线，训练前为虚线。它说明训练还能触及多远，"
    "而不是模型记得多少。",
)


def _gates(group: Group) -> list[Block]:
    found = [(arm, level, run) for arm, level in _places(group) for run in _with(group.at(arm, level), _GATES)]
    if not found:
        return []
    head: tuple[Entry, ...] = (
        Said("arm", "对象"),
        *([Cell(Said.same(group.vary), number=True)] if group.levels else []),
        Cell(Said("seed", "种子"), number=True),
        Said("before training: quantiles", "训练前：分位数"),
        Said("after training: quantiles", "训练后：分位数"),
        Said("caution", "注意"),
    )
    rows: list[tuple[Entry, ...]] = [
        (
            arm,
            *([Cell(Said.same(str(level)), number=True)] if level is not None else []),
            Cell(Said.same(str(run.seed)), number=True),
            *_quantiles(run.columns[_GATES]),
        )
        for arm, level, run in found
    ]
    levels = ", ".join(f"{100 * level:.0f}" for level in LEVELS)
    caption = Said(
        "{}: time constants of the gate that keeps the state, in steps; quantiles {} % over units",
        "{}：保持状态的门的时间常数（步）；各单元的 {} % 分位数",
    ).format(group.name, levels)
    return [
        Subheading(Said("{}: time constants", "{}：时间常数").format(group.name)),
        Table(caption, head, tuple(rows)),
    ]


def _places(group: Group) -> list[tuple[str, int | None]]:
    levels: Sequence[int | None] = group.levels or (None,)
    return [(arm, level) for arm in group.arms for level in levels]


def _with(known: Sequence[Run], column: str) -> list[Run]:
    return [run for run in known if run.columns.get(column)]


def _titled(group: Group, arm: str, level: int | None) -> Said:
    return Said.same(arm if level is None else f"{arm}, {group.vary} {level}")


def _lines(found: Sequence[Run]) -> list[tuple[str, list[tuple[float, float]]]]:
    return [
        (name, [(float(point["lag"]), float(point[column])) for point in run.columns[_GRADIENT] if point.get(column)])
        for run in found
        for name, column in (("thin dashed", "start"), ("thin", "trained"))
    ]


def _norms(run: Run) -> str:
    return ", ".join(f"{point['lag']}: {short(float(point['trained']))}" for point in run.columns[_GRADIENT])


def _quantiles(values: dict[str, Any]) -> tuple[str, str, str]:
    start, trained = ([short(float(value)) for value in values.get(name) or ()] for name in ("start", "trained"))
    return ", ".join(start) or "–", ", ".join(trained) or "–", str(values.get("caution") or "")
