"""What every arm costs, and how its learning rate was chosen."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from longhold.study.plan import Plan
from longhold.study.study_report.document import Block, Cell, Entry, Paragraph, Section, Table
from longhold.study.study_report.groups import Group
from longhold.study.study_report.said import Said, exact, short, spread, whole
from longhold.study.tuning import WORKABLE

Rows = Sequence[Mapping[str, Any]]


def cost(known: Sequence[Group]) -> Section | None:
    """A table for each experiment; None without rows."""
    if not known:
        return None
    blocks: list[Block] = [Paragraph(_COSTS, quiet=True)]
    blocks += [Table(Said.same(group.name), _HEAD, tuple(_row(group, arm) for arm in group.arms)) for group in known]
    return Section(Said("What it costs", "代价"), tuple(blocks))


_COSTS = Said(
    "Parameters, state and operations are computed from the models that were built; operations are those of one step "
    "of one sequence, forward. Tokens per second depend on the machine, on one core each, and on how busy it was.",
    "参数、状态和运算量由实际构建的模型算出；运算量为单个序列单步的前向运算。每秒 token "
    "数取决于机器（每次运行一个核心）及其繁忙程度。",
)

_HEAD: tuple[Entry, ...] = (
    Said("arm", "对象"),
    *(
        Cell(text, number=True)
        for text in (
            Said("runs", "运行"),
            Said("failed", "失败"),
            Said("hidden units", "隐藏单元"),
            Said("parameters", "参数"),
            Said("state, bytes", "状态（字节）"),
            Said("FLOPs per token", "每 token 浮点运算"),
            Said("learning rate", "学习率"),
            Said("steps used, median", "所用步数（中位数）"),
            Said("tokens/s, median", "每秒 token 数（中位数）"),
            Said("seconds, all runs", "总秒数"),
        )
    ),
)


def _row(group: Group, arm: str) -> tuple[Entry, ...]:
    mine = group.at(arm)
    figures = [
        str(len(mine)),
        str(sum(run.failed for run in mine)),
        *(_exact(group.column(name, arm)) for name in ("hidden_size", "parameters", "state_bytes", "flops_per_token")),
        spread(group.column("lr", arm)),
        _median(group.column("steps_used", arm)),
        _median(group.column("tokens_per_second", arm)),
        whole(sum(group.column("seconds", arm))),
    ]
    return (arm, *(Cell(Said.same(text), number=True) for text in figures))


def _exact(values: Sequence[int]) -> str:
    return exact(values) if values else "–"


def _median(values: Sequence[float]) -> str:
    return whole(statistics.median(values)) if values else "–"


def tuning(rows: Rows, plan: Plan | None) -> Section | None:
    """How learning rates were chosen; None where none was tuned."""
    tables = [table for name in _tuned(rows, plan) if (table := _rates(name, rows)) is not None]
    if not tables:
        return None
    return Section(Said("How learning rates were chosen", "学习率如何选定"), (Paragraph(_TUNING, quiet=True), *tables))


_TUNING = Said(
    "Every arm had the same grid, on seeds that are used for nothing else, and nothing was pruned. The rate with "
    "which "
    "most seeds solve was taken, then the one with the fewest steps; a winner at an edge widened the grid. How "
    "many rates "
    "work is a result of its own: a narrow window needs luck or a search. All intervals on this page are given this "
    "tuning.",
    "每个对象使用同一组学习率，调优所用种子不作他用，也没有提前淘汰。取解出种子最多的学习率，其次取步数最少的；"
    "若最优值在边缘则扩展范围。"
    "有多少学习率可用本身就是一个结果：窗口窄，就要靠运气或搜索。本页所有区间都以此调优为前提。",
)


def _tuned(rows: Rows, plan: Plan | None) -> list[str]:
    there = {str(row.get("experiment")) for row in rows if row.get("stage") == "tuning"}
    order = [] if plan is None else [experiment.name for experiment in plan.experiments if experiment.name in there]
    return [*order, *sorted(there - set(order))]


def _rates(name: str, rows: Rows) -> Table | None:
    mine = [row for row in rows if row.get("experiment") == name]
    tried = [row for row in mine if row.get("stage") == "tuning"]
    rates = sorted({float(row["lr"]) for row in tried})
    chosen = {str(row["arm"]): float(row["lr"]) for row in mine if row.get("stage") == "result"}
    head: tuple[Entry, ...] = (
        Said("arm", "对象"),
        *(Cell(Said.same(f"{lr:g}"), number=True) for lr in rates),
        Cell(Said("chosen", "选定"), number=True),
        Cell(Said("rates that work", "可用学习率"), number=True),
    )
    arms = dict.fromkeys(str(row["arm"]) for row in tried)
    table = tuple(_rate_row(arm, [row for row in tried if row["arm"] == arm], rates, chosen.get(arm)) for arm in arms)
    caption = Said("{}: seeds that solve, of all tried, by learning rate", "{}：各学习率下解出的种子 / 试过的种子")
    return Table(caption.format(name), head, table)


def _rate_row(arm: str, tried: Rows, rates: Sequence[float], chosen: float | None) -> tuple[Entry, ...]:
    solved = {lr: [bool(row["solved"]) for row in tried if float(row["lr"]) == lr] for lr in rates}
    works = sum(bool(known) and statistics.fmean(known) >= WORKABLE for known in solved.values())
    shown = [
        Said("{} of {}", "{} / {}").format(sum(known), len(known)) if known else Said.same("–")
        for known in solved.values()
    ]
    last = ["–" if chosen is None else short(chosen), str(works)]
    return (arm, *(Cell(text, number=True) for text in [*shown, *map(Said.same, last)]))
