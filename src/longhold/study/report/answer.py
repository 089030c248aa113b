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
from longhold.study.report.groups import Group
from longhold.study.report.horizons import arm_horizons, name_of
from longhold.study.report.judged import Judgement
from longhold.study.report.said import Said, counted, two_digits
from longhold.study.report.seen import seen
from longhold.study.report.writing import bits_of, rivals_of, writers, writings
from longhold.study.statistics import LEAST_SEEDS

_PREDICTIONS = {
    Prediction.CONFIRMED: (Said("✓ confirmed", "✓ 证实"), "yes"),
    Prediction.CONTRADICTED: (Said("✗ contradicted", "✗ 推翻"), "no"),
    Prediction.NOT_RESOLVED: (Said("? not resolved", "? 未定"), "open"),
}

_VERDICTS = {
    Verdict.FIRST: (Said("> difference", "> 有差别"), "yes"),
    Verdict.SECOND: (Said("> difference", "> 有差别"), "yes"),
    Verdict.NO_DIFFERENCE: (Said("= no difference", "= 无差别"), "yes"),
    Verdict.NOT_RESOLVED: (Said("? not resolved", "? 未定"), "open"),
    Verdict.INDICATIVE: (Said("? indicative", "? 仅供参考"), "open"),
}


def answer(known: Sequence[Group], judgement: Judgement | None) -> Section:
    """The first section, which is never missing: where nothing can be said it says that."""
    blocks: list[Block] = []
    claims = () if judgement is None else judgement.claims
    predicted = [claim for claim in claims if claim.prediction is not None]
    compared = [claim for claim in claims if claim.prediction is None]
    if predicted:
        blocks += [Subheading(Said("Predicted before the runs", "运行之前的预测"))]
        blocks += [Paragraph(_count(predicted)), Statements(tuple(map(_prediction, predicted)))]
    if compared:
        blocks += [Subheading(Said("Compared, as the plan declares", "按计划声明的比较"))]
        blocks += [Statements(tuple(map(_comparison, compared)))]
    if not claims:
        blocks += [Paragraph(seen(known)), Paragraph(_why_indicative(known))]
    told = [block for group in known for block in _told(group)]
    if told:
        blocks += [Subheading(Said("What each arm came to", "各对象的结果")), *told]
    return Section(Said("The answer", "答案"), (*blocks, Paragraph(_RULES, quiet=True)))


def _why_indicative(known: Sequence[Group]) -> Said:
    """Why what was seen is no claim."""
    fewest = min((_seeds_of(group) for group in known), default=0)
    return _NO_COMPARISON if fewest >= LEAST_SEEDS else _FEW_SEEDS.format(counted(fewest, "seed", "seeds", "个种子"))


_NO_COMPARISON = Said(
    "This is indicative: the plan declares no comparison, so no difference was tested.",
    "以上仅供参考：计划没有声明任何比较，因此没有检验任何差别。",
)

_FEW_SEEDS = Said(
    f"This is indicative: some arms have only {{}}, a claim needs {LEAST_SEEDS}, and another seed may change the order "
    "of any two arms.",
    f"以上仅供参考：有的对象只有 {{}}，而断言需要 {LEAST_SEEDS} 个；换一个种子，任何两个对象的先后都可能改变。",
)


def _seeds_of(group: Group) -> int:
    return min(len({run.seed for run in group.at(arm)}) for arm in group.arms)


_RULES = Said(
    "A claim of more needs p < 0.05 after Holm's correction over all that the plan compares, and at least the "
    "smallest "
    f"effect that the plan calls one. No difference needs a test of equivalence. Fewer than {LEAST_SEEDS} seeds "
    f"on a side "
    "claim nothing. Everything else is not resolved. The seed is the unit of every interval and test.",
    "断言“更多”，需要对计划中的全部比较作 Holm 校正后 p < 0.05，且效应不小于计划规定的最小效应。断言“无差别”，"
    "需要等价检验。"
    f"任何一方不足 {LEAST_SEEDS} 个种子则不作断言。其余一律为未定。所有区间和检验均以种子为单位。",
)


def _count(predicted: Sequence[Claim]) -> Said:
    fates = [claim.prediction for claim in predicted]
    numbers = (str(fates.count(fate)) for fate in Prediction)
    return Said(
        "Of {} predictions with rows: {} confirmed, {} contradicted, {} not resolved.",
        "有数据的 {} 项预测中：{} 项证实，{} 项推翻，{} 项未定。",
    ).format(len(predicted), *numbers)


def _prediction(claim: Claim) -> Statement:
    assert claim.prediction is not None
    return _statement(claim, *_PREDICTIONS[claim.prediction])


def _comparison(claim: Claim) -> Statement:
    return _statement(claim, *_VERDICTS[claim.verdict])


def _statement(claim: Claim, verdict: Said, kind: str) -> Statement:
    """The first sentence of a claim set before the figures and settings that it rests on."""
    (en, stop_en, rest_en), (zh, stop_zh, rest_zh) = (
        sentence(claim, "en").partition(". "),
        sentence(claim, "zh").partition("。"),
    )
    return Statement(Said(en + stop_en.strip(), zh + stop_zh), Said(rest_en, rest_zh), verdict, kind)


def _told(group: Group) -> list[Block]:
    """How far the arms of a group go, or how many seeds solve, with what that depends on; no arm before another."""
    if group.is_of_text:
        return _told_of_text(group)
    name, found = name_of(group), arm_horizons(group)
    rows: tuple[tuple[Entry, ...], ...] = tuple((one.arm, one.text) for one in found)
    what = Said("{}, {}", "{}（{}）").format(name, _unit(group)) if name is not None else _SOLVED
    if name is None:
        rows = tuple((arm, text) for arm in group.arms for text in _solved(group, arm))
    if not rows:
        return []
    caption = Said("{}: {}", "{}：{}").format(group.name, what)
    return [Table(caption, (Said("arm", "对象"), what), rows), Paragraph(group.settings, quiet=True)]


_SOLVED = Said("seeds that solve", "解出的种子")


def _told_of_text(group: Group) -> list[Block]:
    """Bits of held-out text, mean over seeds, beside the n-gram's."""
    found = {arm: bits_of(runs) for arm in group.arms if (runs := writers(group, arm))}
    what = Said("bits per character, held out", "留出文本每字符比特数")
    if not found:
        found = {arm: scores for arm in group.arms if (scores := group.known(lambda row: row.score, arm))}
        what = Said("bits per token, held out", "留出文本每词元比特数")
    rows: list[tuple[Entry, ...]] = [(arm, _mean(bits)) for arm, bits in found.items()]
    if not rows:
        return []
    wrote = [writing for arm in group.arms for writing in writings(writers(group, arm))][:1]
    rows += [(name, Said.same(f"{bits:.3f}")) for run in wrote for name, bits in rivals_of(run)[:2]]
    caption = Said("{}: {}", "{}：{}").format(group.name, what)
    return [Table(caption, (Said("arm", "对象"), what), tuple(rows)), Paragraph(group.settings, quiet=True)]


def _mean(bits: Sequence[float]) -> Said:
    if len(bits) == 1:
        return Said("{} (1 seed)", "{}（1 个种子）").format(f"{bits[0]:.3f}")
    return Said("{}, mean of {} seeds from {} to {}", "{}（{} 个种子的均值，{} 至 {}）").format(
        f"{statistics.fmean(bits):.3f}", len(bits), f"{min(bits):.3f}", f"{max(bits):.3f}"
    )


def _unit(group: Group) -> Said:
    return Said("steps", "步") if group.vary == "lag" else Said.same(group.vary)


def _solved(group: Group, arm: str) -> list[Said]:
    """One text; at several levels all of them."""
    levels: Sequence[int | None] = group.levels or (None,)
    found = []
    for level in levels:
        share = group.share(arm, level)
        if share is not None:
            ends = share.estimate().interval
            at = "" if level is None else f"{group.scale} {level}: "
            found.append(
                Said("{}{} of {} (95 % interval {} to {})", "{}{} / {}（95 % 区间 {} 至 {}）").format(
                    at, share.solved, share.seeds, two_digits(ends.low), two_digits(ends.high)
                )
            )
    return found
