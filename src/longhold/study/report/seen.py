"""What the rows show, in a sentence for each experiment: what a reader sees first where nothing is claimed."""

import statistics
from collections.abc import Sequence

from longhold.study.report.groups import Group
from longhold.study.report.horizons import arm_horizons
from longhold.study.report.said import Said, counted, listed, sentences
from longhold.study.report.writing import bits_of, writers, writings


def seen(known: Sequence[Group]) -> Said:
    """The sentences; where no run has ended, that."""
    found = [sentence for group in known if (sentence := _of(group)) is not None]
    return sentences(found) if found else _NOTHING_RAN


_NOTHING_RAN = Said("No run has ended yet.", "还没有结束的运行。")


def _of(group: Group) -> Said | None:
    if group.is_of_text:
        return _of_text(group)
    return _of_horizons(group) or _of_solved(group)


def _of_text(group: Group) -> Said | None:
    """Who predicts the text best, and whether that beats counting."""
    bits = {arm: statistics.fmean(bits_of(runs)) for arm in group.arms if (runs := writers(group, arm))}
    if not bits:
        return None
    first, *others = sorted(bits, key=bits.__getitem__)
    rivals = writings(writers(group, first))[0]
    ngram, frequencies = rivals.ngram_bits, rivals.frequency_bits
    if bits[first] >= frequencies:
        return _LEARNED_NOTHING.format(group.name, first, f"{bits[first]:.2f}", f"{frequencies:.2f}")
    best = Said(
        "{}: {} predicts text that it has not seen best, with {} bits per character{}{}",
        "{}：{} 对没见过的文本预测得最好，每字符 {} 比特{}{}",
    )
    then = Said(" (then {})", "（其次 {}）").format(listed(f"{arm} {bits[arm]:.2f}" for arm in others))
    end = (_BEATS if bits[first] < ngram else _LOSES).format(f"{ngram:.2f}")
    return best.format(group.name, first, f"{bits[first]:.2f}", then if others else "", end)


_BEATS = Said("; counting sequences of six characters gives {}.", "；统计六个字符的序列为 {}。")
_LOSES = Said(
    "; in this time no network beats counting sequences of six characters ({}).",
    "；在这段时间里，没有网络胜过统计六个字符的序列（{}）。",
)
_LEARNED_NOTHING = Said(
    "{}: the time was too short, no network has learned more than how frequent each character is (the best, {}: {} "
    "bits per character; the frequencies alone: {}).",
    "{}：时间太短，没有网络学到比字符频率更多的东西（最好的 {}：每字符 {} 比特；仅凭频率：{}）。",
)


def _of_horizons(group: Group) -> Said | None:
    """How far each arm goes, the farthest first."""
    found = sorted(arm_horizons(group), key=lambda one: -one.value)
    if not found:
        return None
    unit = Said("steps", "步") if group.vary == "lag" else Said.same(group.vary)
    arms = listed(f"{one.arm} {one.shown[0]}" for one in found)
    return Said("{}: how far each arm goes, in {}: {}.", "{}：各对象能达到多远（单位：{}）：{}。").format(
        group.name, unit, arms
    )


def _of_solved(group: Group) -> Said | None:
    """How many runs of each arm solve the task, the most first."""
    found = {arm: (sum(run.solved for run in runs), len(runs)) for arm in group.arms if (runs := group.at(arm))}
    if not found:
        return None
    arms = listed(
        f"{arm} {solved}/{count}" for arm, (solved, count) in sorted(found.items(), key=lambda one: -one[1][0])
    )
    total = counted(sum(count for _, count in found.values()), "run", "runs", "次运行")
    return Said("{}: runs that solve, of {}: {}.", "{}：共 {}，其中解出的：{}。").format(group.name, total, arms)
