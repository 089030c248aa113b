"""The templates of claims, in English and Chinese. A sentence names everything that its claim depends on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from longhold.study.claims.claim import Claim, Verdict
from longhold.study.claims.questions import Question
from longhold.study.claims.readings import Language, between
from longhold.study.claims.rows import Run
from longhold.study.claims.sides import Side
from longhold.study.statistics import LEAST_SEEDS


@final
@dataclass(frozen=True)
class _Words:
    """The phrases for a measure; `{better}` and `{worse}` are arms, `{a}` and `{b}` the arms of the question."""

    better: str
    same: str
    open: str
    effect: str


_WORDS: dict[str, dict[Language, _Words]] = {
    "solved": {
        "en": _Words(
            "more seeds of {better} than of {worse} solve it",
            "the proportions of seeds of {a} and {b} that solve it differ by less than {margin}",
            "whether more seeds of {a} or of {b} solve it",
            "difference of proportions",
        ),
        "zh": _Words(
            "{better} 解出任务的种子多于 {worse}",
            "{a} 与 {b} 解出任务的种子比例相差不到 {margin}",
            "{a} 与 {b} 哪一个有更多种子解出任务",
            "比例之差",
        ),
    },
    "recall": {
        "en": _Words(
            "{better} recalls more than {worse}",
            "the mean recall of {a} and {b} differs by less than {margin}",
            "whether {a} or {b} recalls more",
            "difference of mean recall",
        ),
        "zh": _Words(
            "{better} 的回忆率高于 {worse}",
            "{a} 与 {b} 的平均回忆率相差不到 {margin}",
            "{a} 与 {b} 哪一个回忆率更高",
            "平均回忆率之差",
        ),
    },
    "steps": {
        "en": _Words(
            "{better} solves it sooner than {worse}",
            "the restricted mean steps of {a} and {b} differ by less than {margin} of the budget",
            "whether {a} or {b} solves it sooner",
            "difference of restricted mean steps, as a proportion of the budget,",
        ),
        "zh": _Words(
            "{better} 比 {worse} 更早解出任务",
            "{a} 与 {b} 的限制平均步数相差不到预算的 {margin}",
            "{a} 与 {b} 哪一个更早解出任务",
            "限制平均步数之差（占预算的比例）",
        ),
    },
    "trained horizon": {
        "en": _Words(
            "the {horizon} of {better} is longer than that of {worse}",
            "the {horizon} of {a} and {b} differs by a factor of less than {margin}",
            "whether the {horizon} of {a} or of {b} is longer",
            "ratio",
        ),
        "zh": _Words(
            "{better} 的{horizon}长于 {worse}",
            "{a} 与 {b} 的{horizon}相差不到 {margin} 倍",
            "{a} 与 {b} 哪一个{horizon}更长",
            "比值",
        ),
    },
}
_WORDS["seed horizon"] = {
    "en": replace(_WORDS["trained horizon"]["en"], effect="ratio of geometric means within the lags tested"),
    "zh": replace(_WORDS["trained horizon"]["zh"], effect="所测间隔之内的几何平均之比"),
}

HORIZONS: dict[str, dict[Language, str]] = {
    "trained": {"en": "trained horizon", "zh": "训练跨度"},
    "extrapolated": {"en": "extrapolated horizon", "zh": "外推跨度"},
    "capacity": {"en": "capacity", "zh": "容量"},
    "readable": {"en": "readable horizon", "zh": "可读跨度"},
}
"""What the horizon of each protocol is called; none is ever called `memory`."""

_OUTCOMES: dict[str, str] = {"confirmed": "证实", "contradicted": "推翻", "not resolved": "未定"}


def sentence(claim: Claim, language: Language) -> str:
    """The claim in one language."""
    return {"en": _english, "zh": _chinese}[language](claim)


def _english(claim: Claim) -> str:
    one, other = _ordered(claim)
    parts = [
        f"{_where(claim, 'en')}: {_statement(claim, 'en')}.",
        f"{one[0].arm}: {one[1]['en']}; {other[0].arm}: {other[1]['en']}{_numbers(claim, 'en')}.",
        f"{'; '.join(_settings(claim, 'en'))}; {_tuning(claim, 'en')}.",
    ]
    if claim.prediction is not None:
        parts.append(f"Predicted beforehand that {claim.question.a} is better: {claim.prediction.value}.")
    return " ".join(parts)


def _chinese(claim: Claim) -> str:
    one, other = _ordered(claim)
    parts = [
        f"{_where(claim, 'zh')}：{_statement(claim, 'zh')}。",
        f"{one[0].arm}：{one[1]['zh']}；{other[0].arm}：{other[1]['zh']}{_numbers(claim, 'zh')}。",
        f"{'；'.join(_settings(claim, 'zh'))}；{_tuning(claim, 'zh')}。",
    ]
    if claim.prediction is not None:
        parts.append(f"事先预测 {claim.question.a} 更好：{_OUTCOMES[claim.prediction.value]}。")
    return "".join(parts)


def _ordered(claim: Claim) -> list[tuple[Side, Mapping[Language, str]]]:
    """The better side first, where there is one."""
    both = list(zip(claim.sides, claim.readings, strict=True))
    return both[::-1] if claim.verdict is Verdict.SECOND else both


def _where(claim: Claim, language: Language) -> str:
    runs = [run for side in claim.sides for run in side.runs]
    budget = _budget(runs)[language] if "steps" in claim.question.where else ""
    return place(runs, claim.question.protocol, language, budget)


def place(runs: Sequence[Run], protocol: str, language: Language, budget: str = "") -> str:
    """The tasks, the range of lags, the protocol and, where it is given, the budget of some rows."""
    tasks = "; ".join(sorted({run.task for run in runs}))
    levels = sorted({run.level for run in runs if run.level is not None})
    tested = sorted({lag for run in runs for lag, _ in run.by_lag})
    lags, name = (tested, "lag") if tested else (levels, runs[0].vary)
    spread = f"{lags[0]}" if len(lags) == 1 else f"{lags[0]}-{lags[-1]}" if lags else ""
    where = {"en": f"{name} {spread}", "zh": f"{'间隔' if name == 'lag' else name} {spread}"}[language]
    parts = [tasks, where] if lags else [tasks]
    if language == "zh":
        return f"{'，'.join(parts)}（协议 {'，'.join(filter(None, (protocol, budget)))}）"
    return f"{', '.join(parts)} (protocol {', '.join(filter(None, (protocol, budget)))})"


def _statement(claim: Claim, language: Language) -> str:
    question = claim.question
    words = _WORDS[question.measure][language]
    horizon = HORIZONS.get(question.protocol, {}).get(language, "")
    arms = (question.b, question.a) if claim.verdict is Verdict.SECOND else (question.a, question.b)
    names = {"better": arms[0], "worse": arms[1], "a": question.a, "b": question.b, "horizon": horizon}
    names["margin"] = f"{question.margin:g}"
    return _BY_VERDICT[language][claim.verdict](claim, words, names)


_Render = Callable[[Claim, _Words, Mapping[str, str]], str]


def _better(claim: Claim, words: _Words, names: Mapping[str, str]) -> str:
    return words.better.format(**names)


def _same(claim: Claim, words: _Words, names: Mapping[str, str]) -> str:
    return words.same.format(**names)


def _open_english(claim: Claim, words: _Words, names: Mapping[str, str]) -> str:
    missed = _amount(claim.question, claim.missed)
    detail = "no difference could be seen here" if missed is None else f"differences below {missed} would be missed"
    return f"not resolved {words.open.format(**names)}; {detail}"


def _open_chinese(claim: Claim, words: _Words, names: Mapping[str, str]) -> str:
    missed = _amount(claim.question, claim.missed)
    detail = "这里看不出任何差别" if missed is None else f"小于 {missed} 的差别会被漏掉"
    return f"未能确定 {words.open.format(**names)}；{detail}"


def _few_english(claim: Claim, words: _Words, names: Mapping[str, str]) -> str:
    return f"indicative, nothing is claimed about {words.open.format(**names)}; {_why(claim, 'en')}"


def _few_chinese(claim: Claim, words: _Words, names: Mapping[str, str]) -> str:
    return f"仅供参考，不断言 {words.open.format(**names)}；{_why(claim, 'zh')}"


_BY_VERDICT: dict[Language, dict[Verdict, _Render]] = {
    "en": {
        Verdict.FIRST: _better,
        Verdict.SECOND: _better,
        Verdict.NO_DIFFERENCE: _same,
        Verdict.NOT_RESOLVED: _open_english,
        Verdict.INDICATIVE: _few_english,
    },
    "zh": {
        Verdict.FIRST: _better,
        Verdict.SECOND: _better,
        Verdict.NO_DIFFERENCE: _same,
        Verdict.NOT_RESOLVED: _open_chinese,
        Verdict.INDICATIVE: _few_chinese,
    },
}


def _why(claim: Claim, language: Language) -> str:
    one, other = claim.units
    if min(one, other) >= LEAST_SEEDS:
        return {"en": "runs were tested on fewer than 1,000 sequences", "zh": "测试序列不足 1,000 条"}[language]
    return {
        "en": f"{one} and {other} seeds where {LEAST_SEEDS} each are needed",
        "zh": f"种子数为 {one} 和 {other}，每方至少需要 {LEAST_SEEDS} 个",
    }[language]


def _numbers(claim: Claim, language: Language) -> str:
    finding = claim.finding
    if finding is None or math.isinf(claim.missed):
        return ""
    words = _WORDS[claim.question.measure][language]
    effect = -finding.effect if claim.verdict is Verdict.SECOND else finding.effect
    low, high = (_effect(claim.question, end) for end in (effect.interval.low, effect.interval.high))
    ends = between(low, high, effect.interval.confidence)[language]
    questions = len(claim.family.questions)
    value = _effect(claim.question, effect.value)
    equal = claim.verdict is Verdict.NO_DIFFERENCE
    p_value = _p(claim.equivalence if equal else claim.p_value)
    if language == "zh":
        bound = "（跨度超出所测间隔，真值只会离 1 更远）" if finding.bound else ""
        test = "等价检验 " if equal else ""
        return f"；{words.effect} {value}{bound}（{ends}），{test}{p_value}（Holm 校正，{questions} 个问题）"
    bound = ", or further from 1 as a horizon lies beyond the lags tested" if finding.bound else ""
    test = "equivalence " if equal else ""
    over = f"{questions} question{'s' * (questions > 1)}"
    return f"; {words.effect} {value}{bound} ({ends}), {test}{p_value} after Holm over {over}"


def _effect(question: Question, value: float) -> str:
    return f"{2**value:.2f}" if question.is_ratio else f"{value:+.2f}"


def _amount(question: Question, value: float) -> str | None:
    """A difference that would be missed, rounded up; None where none would have been seen."""
    if math.isinf(value) or (not question.is_ratio and value > 1):
        return None
    if not question.is_ratio:
        return f"{math.ceil(100 * value - 1e-9) / 100:.2f}"
    return f"×{math.ceil(100 * 2**value - 1e-9) / 100:.2f}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _settings(claim: Claim, language: Language) -> list[str]:
    one, other = (setting(side)[language] for side in claim.sides)
    if one == other:
        return [{"en": f"Each arm: {one}", "zh": f"双方：{one}"}[language]]
    mark = {"en": ": ", "zh": "："}[language]
    return [f"{side.arm}{mark}{text}" for side, text in zip(claim.sides, (one, other), strict=True)]


def setting(side: Side) -> Mapping[Language, str]:
    """Size, learning rate, budget, seeds and plan of one side."""
    runs = side.runs
    seeds, failed = len({run.seed for run in runs}), sum(run.failed for run in runs)
    parameters = _range([run.row.parameters for run in runs], ",")
    sizes, rates = (
        _range([run.row.hidden_size for run in runs], ""),
        _range([run.row.spec.lr for run in runs], "g"),
    )
    steps = _budget(runs)
    plans = ", ".join(sorted({run.row.spec.plan for run in runs}))
    skipped = len({run.seed for run in runs if run.skipped})
    skipped_en = (
        f", {skipped} of them skipped after two failures in a row below, counted as not solving" if skipped else ""
    )
    skipped_zh = f"（其中 {skipped} 个此前连续两级失败、不再运行，计为未解出）" if skipped else ""
    lost_en = f", {failed} runs failed and count as not solving" if failed else ""
    lost_zh = f"，{failed} 次运行失败、计为未解出" if failed else ""
    return {
        "en": f"{parameters} parameters, hidden size {sizes}, learning rate {rates}, {steps['en']}, "
        f"{seeds} seeds{skipped_en}{lost_en} (plan {plans})",
        "zh": f"{parameters} 个参数，隐藏单元 {sizes}，学习率 {rates}，{steps['zh']}，{seeds} 个种子"
        f"{skipped_zh}{lost_zh}（计划 {plans}）",
    }


def _budget(runs: Sequence[Run]) -> Mapping[Language, str]:
    """The most steps, or the processor time that they follow from."""
    name, value = runs[0].budget
    steps = [run.row.spec.steps for run in runs]
    if name == "steps":
        return {"en": f"at most {max(steps):,} steps", "zh": f"至多 {max(steps):,} 步"}
    steps_range = _range(steps, ",")
    return {
        "en": f"at most {steps_range} steps of {value:g} core-seconds",
        "zh": f"至多 {steps_range} 步（{value:g} 核·秒）",
    }


def _range(values: Sequence[float], form: str) -> str:
    low, high = min(values), max(values)
    return f"{low:{form}}" if low == high else f"{low:{form}}-{high:{form}}"


def _tuning(claim: Claim, language: Language) -> str:
    tuning = claim.family.tuning
    if tuning is None:
        return {"en": "learning rates were fixed, not tuned", "zh": "学习率事先固定，未经调优"}[language]
    count, seeds = len(tuning.learning_rates), tuning.seeds
    low, high = min(tuning.learning_rates), max(tuning.learning_rates)
    if tuning.trials is not None:
        names = ", ".join(tuning.dimensions)
        return {
            "en": f"{names} of each arm chosen by {tuning.trials} trials of one search (learning rates {low:g} to "
            f"{high:g}) on {seeds} other seeds; intervals are given this tuning",
            "zh": f"每一方的 {names} 都由同一搜索的 {tuning.trials} 次试验（学习率 {low:g} 到 {high:g}）"
            f"用另外 {seeds} 个种子选出；区间以此调优为前提",
        }[language]
    return {
        "en": f"learning rate of each arm chosen from {count} between {low:g} and {high:g} on {seeds} other seeds; "
        "intervals are given this tuning",
        "zh": f"每一方的学习率都用另外 {seeds} 个种子从 {low:g} 到 {high:g} 的 {count} 个值中选出；区间以此调优为前提",
    }[language]
