"""Text in both languages at once, and numbers as every form of the report prints them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, final

from longhold.study.claims import Language


@final
@dataclass(frozen=True)
class LocalizedText:
    """The same thing in English and in Chinese."""

    en: str
    """English."""
    zh: str
    """Chinese, simplified."""

    def text(self, language: Language) -> str:
        """One of the two."""
        return self.en if language == "en" else self.zh

    @classmethod
    def same(cls, text: str) -> Self:
        """A name or a number, which is the same in both."""
        return cls(text, text)

    @property
    def is_same(self) -> bool:
        """Whether the two do not differ."""
        return self.en == self.zh

    def format(self, *values: "LocalizedText | str | int") -> "LocalizedText":
        """Both, with `{}` filled in."""
        en = [value.en if isinstance(value, LocalizedText) else value for value in values]
        zh = [value.zh if isinstance(value, LocalizedText) else value for value in values]
        return LocalizedText(self.en.format(*en), self.zh.format(*zh))


def listed(parts: Iterable["LocalizedText | str"]) -> LocalizedText:
    """The parts with commas between them."""
    known = [part if isinstance(part, LocalizedText) else LocalizedText.same(part) for part in parts]
    return LocalizedText(", ".join(part.en for part in known), "、".join(part.zh for part in known))


def sentences(parts: Iterable[LocalizedText]) -> LocalizedText:
    """Sentences after one another."""
    known = list(parts)
    return LocalizedText(" ".join(part.en for part in known), "".join(part.zh for part in known))


def recall(value: float | None) -> LocalizedText:
    """A recall with two digits, or that there is none."""
    return LocalizedText("failed", "失败") if value is None else LocalizedText.same(two_digits(value))


def two_digits(value: float) -> str:
    """`0.97`; `-4.18e+33` for what diverged."""
    if abs(value) >= 10_000:
        return f"{value:.3g}"
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0 turns -0.0 into 0.0


def whole(value: float) -> str:
    """A count with thousands set apart."""
    return f"{value:,.0f}"


def steps(value: float) -> str:
    """A number of steps; infinite: a dash."""
    return "–" if math.isinf(value) else whole(value)


def short(value: float) -> str:
    """Three significant digits, thousands set apart."""
    return whole(value) if abs(value) >= 1000 else f"{value:.3g}"


def spread(values: Sequence[float | int]) -> str:
    """One number, or the least and the greatest."""
    low, high = min(values), max(values)
    return short(low) if low == high else f"{short(low)}–{short(high)}"


def exact(values: Sequence[int]) -> str:
    """Counts in full: one, or the least and the greatest."""
    low, high = min(values), max(values)
    return whole(low) if low == high else f"{whole(low)}–{whole(high)}"


def counted(count: int, one: str, many: str, zh: str) -> LocalizedText:
    """`1 seed`, `3 seeds`; `3 个种子`"""
    return LocalizedText(f"{whole(count)} {one if count == 1 else many}", f"{whole(count)} {zh}")
