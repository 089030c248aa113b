"""How to make the same rows again, and how to tell that they are the same."""

import hashlib
import json
from collections.abc import Iterable, Sequence

from longhold.study.report.document import Code, Facts, Paragraph, Section
from longhold.study.report.localized import LocalizedText, whole
from longhold.study.rows.row import Row


def reproduce(rows: Iterable[Row], digest: str, command: str) -> Section:
    """The section, for rows with this `rows_digest`."""
    known = list(rows)
    facts = (
        (LocalizedText("rows", "行数"), _counts(known)),
        (LocalizedText("digest of the rows", "行的摘要"), LocalizedText.same(digest)),
        (
            LocalizedText("machines", "机器"),
            LocalizedText.same("; ".join(sorted({row.machine for row in known})) or "–"),
        ),
        (LocalizedText("software", "软件"), LocalizedText.same("; ".join(_versions(known)) or "–")),
        (LocalizedText("processor time", "处理器时间"), _time(known)),
    )
    return Section(
        LocalizedText("How to reproduce it", "如何复现"), (Code(command), Facts(facts), Paragraph(_SAME, quiet=True))
    )


def rows_digest(rows: Iterable[Row]) -> str:
    """SHA-256 over rows as JSON, one a line in sorted order, without what depends on machine and moment (`MEASURED`).

    Two studies of one plan on the same kind of machine and build have the same.
    """
    lines = sorted(json.dumps(row.result(), sort_keys=True, ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()


_SAME = LocalizedText(
    "The digest leaves out times, machine and versions; on the same machine and build the same plan gives it again. "
    "Every number on this page is drawn from the rows, which lie beside it as rows.csv.",
    "摘要不含时间、机器和版本；在同样的机器和构建上，同一计划得到同样的摘要。本页的每个数字都来自旁边 rows.csv "
    "中的行。",
)


def _counts(rows: Sequence[Row]) -> LocalizedText:
    tuned, timed = (sum(row.spec.stage == stage for row in rows) for stage in ("tuning", "timing"))
    counts = LocalizedText("{} reported, {} of tuning", "报告 {} 行，调优 {} 行").format(
        whole(len(rows) - tuned - timed), whole(tuned)
    )
    return LocalizedText("{}, {} of timing", "{}，计时 {} 行").format(counts, whole(timed)) if timed else counts


def _versions(rows: Iterable[Row]) -> list[str]:
    return sorted({", ".join(f"{name} {number}" for name, number in row.versions.items()) for row in rows})


def _time(rows: Iterable[Row]) -> LocalizedText:
    seconds = sum(row.core_seconds for row in rows)
    return LocalizedText("{} core-seconds", "{} 核·秒").format(whole(seconds))
