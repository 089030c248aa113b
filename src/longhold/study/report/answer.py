"""The answer in sentences: what was predicted, what was compared, how far each arm goes."""

import statistics
from collections.abc import Sequence

from longhold.study.claims import Claim, Prediction, Verdict, sentence
from longhold.study.report.document import (
    Block,
    Entry,
    Paragraph,
    Section,
    Statement,
    Statements,
    Subheading,
    Table,
)
from longhold.study.report.evaluation import Evaluation
from longhold.study.report.groups import Group
from longhold.study.report.horizons import arm_horizons, name_of
from longhold.study.report.localized import LocalizedText, counted, two_digits
from longhold.study.report.seen import seen
from longhold.study.report.writing import bits_of, rivals_of, writers, writings
from longhold.study.statistics import LEAST_SEEDS

_PREDICTIONS = {
    Prediction.CONFIRMED: (LocalizedText("✓ confirmed", "✓ 证实"), "yes"),
    Prediction.CONTRADICTED: (LocalizedText("✗ contradicted", "✗ 推翻"), "no"),
    Prediction.NOT_RESOLVED: (LocalizedText("? not resolved", "? 未定"), "open"),
}

_VERDICTS = {
    Verdict.FIRST: (LocalizedText("> difference", "> 有差别"), "yes"),
    Verdict.SECOND: (LocalizedText("> difference", "> 有差别"), "yes"),
    Verdict.NO_DIFFERENCE: (LocalizedText("= no difference", "= 无差别"), "yes"),
    Verdict.NOT_RESOLVED: (LocalizedText("? not resolved", "? 未定"), "open"),
    Verdict.INDICATIVE: (LocalizedText("? indicative", "? 仅供参考"), "open"),
}


def answer(known: Sequence[Group], evaluation: Evaluation | None) -> Section:
    """The first section, which is never missing: where nothing can be stated, it says so."""
    blocks: list[Block] = []
    claims = () if evaluation is None else evaluation.claims
    predicted = [claim for claim in claims if claim.prediction is not None]
    compared = [claim for claim in claims if claim.prediction is None]
    if predicted:
        blocks += [Subheading(LocalizedText("Predicted before the runs", "运行之前的预测"))]
        blocks += [Paragraph(_count(predicted)), Statements(tuple(map(_prediction, predicted)))]
    if compared:
        blocks += [Subheading(LocalizedText("Compared, as the plan declares", "按计划声明的比较"))]
        blocks += [Statements(tuple(map(_comparison, compared)))]
    if not claims:
        blocks += [Paragraph(seen(known)), Paragraph(_why_indicative(known))]
    results = [block for group in known for block in _results(group)]
    if results:
        blocks += [Subheading(LocalizedText("Results of each arm", "各对象的结果")), *results]
    return Section(LocalizedText("The answer", "答案"), (*blocks, Paragraph(_RULES, quiet=True)))


def _why_indicative(known: Sequence[Group]) -> LocalizedText:
    """Why what was seen is no claim."""
    fewest = min((_seeds_of(group) for group in known), default=0)
    return _NO_COMPARISON if fewest >= LEAST_SEEDS else _FEW_SEEDS.format(counted(fewest, "seed", "seeds", "个种子"))


_NO_COMPARISON = LocalizedText(
    "This is indicative: the plan declares no comparison, so no difference was tested.",
    "以上仅供参考：计划没有声明任何比较，因此没有检验任何差别。",
)

_FEW_SEEDS = LocalizedText(
    f"This is indicative: some arms have only {{}}, a claim needs {LEAST_SEEDS}, and another seed may change the order "
    "of any two arms.",
    f"以上仅供参考：有的对象只有 {{}}，而断言需要 {LEAST_SEEDS} 个；换一个种子，任何两个对象的先后都可能改变。",
)


def _seeds_of(group: Group) -> int:
    return min(len({run.seed for run in group.at(arm)}) for arm in group.arms)


_RULES = LocalizedText(
    "A claim of more needs p < 0.05 after Holm's correction over all that the plan compares, and at least the "
    "smallest "
    f"effect that the plan calls one. No difference needs a test of equivalence. Fewer than {LEAST_SEEDS} seeds "
    f"on a side "
    "claim nothing. Everything else is not resolved. The seed is the unit of every interval and test.",
    "断言“更多”，需要对计划中的全部比较作 Holm 校正后 p < 0.05，且效应不小于计划规定的最小效应。断言“无差别”，"
    "需要等价检验。"
    f"任何一方不足 {LEAST_SEEDS} 个种子则不作断言。其余一律为未定。所有区间和检验均以种子为单位。",
)


def _count(predicted: Sequence[Claim]) -> LocalizedText:
    outcomes = [claim.prediction for claim in predicted]
    numbers = (str(outcomes.count(outcome)) for outcome in Prediction)
    return LocalizedText(
        "Of {} predictions with rows: {} confirmed, {} contradicted, {} not resolved.",
        "有数据的 {} 项预测中：{} 项证实，{} 项推翻，{} 项未定。",
    ).format(len(predicted), *numbers)


def _prediction(claim: Claim) -> Statement:
    assert claim.prediction is not None
    return _statement(claim, *_PREDICTIONS[claim.prediction])


def _comparison(claim: Claim) -> Statement:
    return _statement(claim, *_VERDICTS[claim.verdict])


def _statement(claim: Claim, verdict: LocalizedText, kind: str) -> Statement:
    """The first sentence of a claim set before the figures and settings that it rests on."""
    (en, stop_en, rest_en), (zh, stop_zh, rest_zh) = (
        sentence(claim, "en").partition(". "),
        sentence(claim, "zh").partition("。"),
    )
    return Statement(LocalizedText(en + stop_en.strip(), zh + stop_zh), LocalizedText(rest_en, rest_zh), verdict, kind)


def _results(group: Group) -> list[Block]:
    """How far the arms of a group go, or how many seeds solve, with what that depends on; no arm before another."""
    if group.is_of_text:
        return _text_results(group)
    name, found = name_of(group), arm_horizons(group)
    rows: tuple[tuple[Entry, ...], ...] = tuple((one.arm, one.text) for one in found)
    what = LocalizedText("{}, {}", "{}（{}）").format(name, _unit(group)) if name is not None else _SOLVED
    if name is None:
        rows = tuple((arm, text) for arm in group.arms for text in _solved(group, arm))
    if not rows:
        return []
    caption = LocalizedText("{}: {}", "{}：{}").format(group.name, what)
    return [Table(caption, (LocalizedText("arm", "对象"), what), rows), Paragraph(group.settings, quiet=True)]


_SOLVED = LocalizedText("seeds that solve", "解出的种子")


def _text_results(group: Group) -> list[Block]:
    """Bits of held-out text, mean over seeds, beside the n-gram's."""
    found = {arm: bits_of(runs) for arm in group.arms if (runs := writers(group, arm))}
    what = LocalizedText("bits per character, held out", "留出文本每字符比特数")
    if not found:
        found = {arm: scores for arm in group.arms if (scores := group.known(lambda row: row.score, arm))}
        what = LocalizedText("bits per token, held out", "留出文本每词元比特数")
    rows: list[tuple[Entry, ...]] = [(arm, _mean(bits)) for arm, bits in found.items()]
    if not rows:
        return []
    wrote = [writing for arm in group.arms for writing in writings(writers(group, arm))][:1]
    rows += [(name, LocalizedText.same(f"{bits:.3f}")) for run in wrote for name, bits in rivals_of(run)[:2]]
    caption = LocalizedText("{}: {}", "{}：{}").format(group.name, what)
    return [Table(caption, (LocalizedText("arm", "对象"), what), tuple(rows)), Paragraph(group.settings, quiet=True)]


def _mean(bits: Sequence[float]) -> LocalizedText:
    if len(bits) == 1:
        return LocalizedText("{} (1 seed)", "{}（1 个种子）").format(f"{bits[0]:.3f}")
    return LocalizedText("{}, mean of {} seeds from {} to {}", "{}（{} 个种子的均值，{} 至 {}）").format(
        f"{statistics.fmean(bits):.3f}", len(bits), f"{min(bits):.3f}", f"{max(bits):.3f}"
    )


def _unit(group: Group) -> LocalizedText:
    return LocalizedText("steps", "步") if group.vary == "lag" else LocalizedText.same(group.vary)


def _solved(group: Group, arm: str) -> list[LocalizedText]:
    """One text; at several levels all of them."""
    levels: Sequence[int | None] = group.levels or (None,)
    found = []
    for level in levels:
        rate = group.solve_rate(arm, level)
        if rate is not None:
            ends = rate.estimate().interval
            at = "" if level is None else f"{group.scale} {level}: "
            found.append(
                LocalizedText("{}{} of {} (95 % interval {} to {})", "{}{} / {}（95 % 区间 {} 至 {}）").format(
                    at, rate.solved, rate.seeds, two_digits(ends.low), two_digits(ends.high)
                )
            )
    return found
