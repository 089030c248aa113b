"""What every arm costs, and how its learning rate was chosen."""

import statistics
from collections.abc import Callable, Sequence

from longhold.study.plan.plan import Plan
from longhold.study.plan.tuning import WORKABLE
from longhold.study.report.document import Block, Cell, Entry, Folded, Paragraph, Section, Table
from longhold.study.report.groups import Group, learning_rate_of
from longhold.study.report.said import Said, exact, short, spread, whole
from longhold.study.rows.row import Row

Rows = Sequence[Row]


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


_SIZES: tuple[Callable[[Row], int], ...] = (
    lambda row: row.hidden_size,
    lambda row: row.parameters,
    lambda row: row.state_bytes,
    lambda row: row.flops_per_token,
)


def _row(group: Group, arm: str) -> tuple[Entry, ...]:
    mine = group.at(arm)
    figures = [
        str(len(mine)),
        str(sum(run.failed for run in mine)),
        *(exact(group.known(read, arm)) for read in _SIZES),
        spread(group.known(learning_rate_of, arm)),
        _median(group.known(lambda row: row.steps_used, arm)),
        _median(group.known(lambda row: row.tokens_per_second, arm)),
        whole(sum(group.known(lambda row: row.seconds, arm))),
    ]
    return (arm, *(Cell(Said.same(text), number=True) for text in figures))


def _median(values: Sequence[float]) -> str:
    return whole(statistics.median(values)) if values else "–"


def tuning(rows: Rows, plan: Plan | None) -> Section | None:
    """How learning rates were chosen; None where none was tuned."""
    names = _tuned(rows, plan)
    grids = [_rates(name, rows) for name in names if not _is_searched(name, rows)]
    searches = [_trials(name, rows) for name in names if _is_searched(name, rows)]
    blocks: list[Block] = [Paragraph(_TUNING, quiet=True), *grids] if grids else []
    if searches:
        blocks += [Paragraph(_SEARCHED, quiet=True), *searches]
    return Section(Said("How learning rates were chosen", "学习率如何选定"), tuple(blocks)) if blocks else None


_TUNING = Said(
    "Every arm had the same grid, on seeds that are used for nothing else, and nothing was pruned. The rate with "
    "which most seeds solve was taken, then the one with the fewest steps, then that with the best recall; a winner at "
    "an edge widened the grid. How many rates work is a result of its own: a narrow window needs luck or a search. All "
    "intervals on this page are given this tuning.",
    "每个对象使用同一组学习率，调优所用种子不作他用，也没有提前淘汰。取解出种子最多的学习率，其次取步数最少的，再次取回忆率最高的；"
    "若最优值在边缘则扩展范围。"
    "有多少学习率可用本身就是一个结果：窗口窄，就要靠运气或搜索。本页所有区间都以此调优为前提。",
)


def _tuned(rows: Rows, plan: Plan | None) -> list[str]:
    there = {row.spec.experiment for row in rows if row.spec.stage == "tuning"}
    order = [] if plan is None else [experiment.name for experiment in plan.experiments if experiment.name in there]
    return [*order, *sorted(there - set(order))]


_SEARCHED = Said(
    "Every arm had the same number of trials over the same space by the same sampler, on seeds that are used for "
    "nothing else, and nothing was pruned; a trial follows from those of its arm before it. The one with which most "
    "seeds solve was taken, then the one with the fewest steps, then that with the best recall. Shown is what was "
    "chosen; all intervals on this page are given this tuning.",
    "每个对象以同一采样器在同一空间内作同样多次试验，所用种子不作他用，也没有提前淘汰；每次试验取决于该对象此前的"
    "试验。取解出种子最多的，其次取步数最少的，再次取回忆率最高的。表中为选定的值；本页所有区间都以此调优为前提。",
)


def _is_searched(name: str, rows: Rows) -> bool:
    return any(row.spec.experiment == name and row.spec.trial is not None for row in rows)


def _trials(name: str, rows: Rows) -> Folded:
    """What each arm tried, and of it what was chosen."""
    mine = [row for row in rows if row.spec.experiment == name]
    chosen = {(row.spec.arm, *_values(row)) for row in mine if row.spec.stage == "result"}
    places: dict[tuple[str, int], list[Row]] = {}
    for row in mine:
        if row.spec.trial is not None:
            places.setdefault((row.spec.arm, row.spec.trial), []).append(row)
    whole, taken = list[tuple[Entry, ...]](), list[tuple[Entry, ...]]()
    for (arm, trial), tried in sorted(places.items()):
        entries = _trial_row(arm, trial, tried)
        whole.append(entries)
        if (arm, *_values(tried[0])) in chosen:
            taken.append(entries)
    head: tuple[Entry, ...] = (
        Said("arm", "对象"),
        *(
            Cell(text, number=True)
            for text in (
                Said("trial", "试验"),
                Said("learning rate", "学习率"),
                Said("clip_norm", "梯度裁剪"),
                Said("embedding", "嵌入宽度"),
                Said("seeds that solve", "解出的种子"),
            )
        ),
    )
    caption = Said("{}: what a search tried and chose", "{}：搜索试过与选定的值").format(name)
    return Folded(Table(caption, head, tuple(taken)), Table(caption, head, tuple(whole)))


def _values(row: Row) -> tuple[float, float, int | None]:
    """Returns what a search chooses."""
    return row.spec.lr, row.spec.clip_norm, row.spec.embedding_size


def _trial_row(arm: str, trial: int, tried: Rows) -> tuple[Entry, ...]:
    shown = ["–" if value is None else f"{value:g}" for value in _values(tried[0])]
    solved = Said("{} of {}", "{} / {}").format(sum(row.solved for row in tried), len(tried))
    return (arm, *(Cell(text, number=True) for text in [*map(Said.same, (str(trial), *shown)), solved]))


def _rates(name: str, rows: Rows) -> Table:
    mine = [row for row in rows if row.spec.experiment == name]
    tried = [row for row in mine if row.spec.stage == "tuning"]
    rates = sorted({row.spec.lr for row in tried})
    chosen = {row.spec.arm: row.spec.lr for row in mine if row.spec.stage == "result"}
    head: tuple[Entry, ...] = (
        Said("arm", "对象"),
        *(Cell(Said.same(f"{lr:g}"), number=True) for lr in rates),
        Cell(Said("chosen", "选定"), number=True),
        Cell(Said("rates that work", "可用学习率"), number=True),
    )
    arms = dict.fromkeys(row.spec.arm for row in tried)
    table = tuple(_rate_row(arm, [row for row in tried if row.spec.arm == arm], rates, chosen.get(arm)) for arm in arms)
    caption = Said("{}: seeds that solve, of all tried, by learning rate", "{}：各学习率下解出的种子 / 试过的种子")
    return Table(caption.format(name), head, table)


def _rate_row(arm: str, tried: Rows, rates: Sequence[float], chosen: float | None) -> tuple[Entry, ...]:
    solved = {lr: [row.solved for row in tried if row.spec.lr == lr] for lr in rates}
    works = sum(bool(known) and statistics.fmean(known) >= WORKABLE for known in solved.values())
    shown = [
        Said("{} of {}", "{} / {}").format(sum(known), len(known)) if known else Said.same("–")
        for known in solved.values()
    ]
    last = ["–" if chosen is None else short(chosen), str(works)]
    return (arm, *(Cell(text, number=True) for text in [*shown, *map(Said.same, last)]))
