"""What was not tested: what the plan asks for and the rows lack, and what the plan leaves out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from longhold.models.network import CellName
from longhold.study.plan.plan import Experiment, Plan
from longhold.study.report.document import Block, Paragraph, Section, Statement, Statements
from longhold.study.report.evaluation import Evaluation
from longhold.study.report.groups import PROTOCOLS, Group
from longhold.study.report.localized import LocalizedText, counted, whole
from longhold.study.statistics import LEAST_SEEDS
from longhold.tasks.registry import ELSEWHERE, TASKS


def gaps(known: Sequence[Group], plan: Plan | None, evaluation: Evaluation | None) -> Section:
    """The section; it is never empty, since no study tests everything."""
    items = [*_failed(known), *_few(known)]
    if plan is not None:
        items += _missing(known, plan)
    if evaluation is not None:
        items += _unanswered(evaluation.unanswered)
    items += _left_out(known)
    blocks: list[Block] = [] if plan is not None else [Paragraph(_NO_PLAN)]
    return Section(LocalizedText("What was not tested", "没有测试的"), (*blocks, Statements(tuple(items))))


_NO_PLAN = LocalizedText(
    "The plan's file was not given, so this page cannot tell which of its runs are missing, nor test what it predicts.",
    "没有给出计划文件，因此本页无法得知缺少哪些运行，也无法判断其预测。",
)


def _failed(known: Sequence[Group]) -> list[Statement]:
    found = []
    for group in known:
        lost = [run for run in group.runs if run.failed]
        if lost:
            text = LocalizedText("{}: {} failed and count as not solving.", "{}：{}失败，计为未解出。").format(
                group.name, counted(len(lost), "run", "runs", "次运行")
            )
            details = [
                f"{run.arm}{'' if run.level is None else f', {run.vary} {run.level}'}, seed {run.seed}: {run.row.error}"
                for run in lost
            ]
            found.append(Statement(text, LocalizedText.same("; ".join(details))))
    return found


def _few(known: Sequence[Group]) -> list[Statement]:
    found = []
    for group in known:
        counts = {arm: len({run.seed for run in group.at(arm)}) for arm in group.arms}
        few = [f"{arm} ({count})" for arm, count in counts.items() if count < LEAST_SEEDS]
        if few:
            text = LocalizedText(
                f"{{}}: fewer than {LEAST_SEEDS} seeds, so nothing is claimed of these arms.",
                f"{{}}：不足 {LEAST_SEEDS} 个种子，对这些对象不作断言。",
            )
            found.append(Statement(text.format(group.name), LocalizedText.same("; ".join(few))))
    return found


def _missing(known: Sequence[Group], plan: Plan) -> list[Statement]:
    there = {group.name: group for group in known}
    found = []
    for experiment in plan.experiments:
        lacking = {arm: _lacking(experiment, arm, there.get(experiment.name)) for arm in experiment.labels()}
        total = sum(lacking.values())
        if total:
            text = LocalizedText("{}: {} of the plan not there.", "{}：缺少计划中的 {}。").format(
                experiment.name, counted(total, "run", "runs", "次运行")
            )
            details = "; ".join(f"{arm} {whole(count)}" for arm, count in lacking.items() if count)
            found.append(Statement(text, LocalizedText.same(details)))
    return found


def _lacking(experiment: Experiment, arm: str, group: Group | None) -> int:
    """Runs that the plan asks for and that are not there; levels that are left out by its rule are not asked for."""
    have = {} if group is None else {(run.seed, run.level): run.solved for run in group.at(arm)}
    count = 0
    for seed in experiment.seeds:
        failures = 0
        for test_spec in experiment.protocol.test_specs():
            if failures == experiment.protocol.failures_to_stop:
                break
            solved = have.get((seed, test_spec.level))
            count += solved is None
            failures = failures + 1 if solved is False else 0
    return count


def _unanswered(names: Mapping[str, str]) -> list[Statement]:
    return [
        Statement(
            LocalizedText("Not tested: {}.", "未判断：{}。").format(name),
            LocalizedText.same(line)
            if line
            else LocalizedText("It lacks rows of one arm or of both.", "缺少一方或双方的行。"),
        )
        for name, line in names.items()
    ]


def _left_out(known: Sequence[Group]) -> list[Statement]:
    """What longhold has and these rows do not."""
    tasks = {str(run.fields.get("name")) for group in known for run in group.runs}
    cells = {group.cell(arm) for group in known for arm in group.arms}
    protocols = {group.protocol for group in known}
    names = (
        (LocalizedText("Tasks without rows here.", "这里没有数据的任务。"), _others([*TASKS, *ELSEWHERE], tasks)),
        (LocalizedText("Architectures without rows here.", "这里没有数据的架构。"), _others(get_args(CellName), cells)),
        (LocalizedText("Protocols without rows here.", "这里没有数据的协议。"), _others(PROTOCOLS, protocols)),
    )
    found = [Statement(text, LocalizedText.same(rest)) for text, rest in names if rest]
    return [*found, Statement(_ONLY, _SETTINGS)]


_ONLY = LocalizedText("Anything else.", "其余一切。")
_SETTINGS = LocalizedText(
    "Other sizes, budgets, learning rates and lags than those named beside each figure. Not solved means not solved "
    "within these steps; it does not follow that a cell cannot learn the task.",
    "各图旁注明以外的规模、预算、学习率和间隔。未解出的意思是在这些步数之内未解出；不能由此得出某种单元学不会该任务。",
)


def _others(every: Iterable[str], there: set[str]) -> str:
    return ", ".join(name for name in every if name not in there)
