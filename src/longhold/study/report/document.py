"""The report before it is a page: blocks of text, tables and plots, which every form is written from."""

from dataclasses import dataclass
from typing import TypeAlias, final

from markupsafe import Markup

from longhold.study.report.localized import LocalizedText


@final
@dataclass(frozen=True)
class Cell:
    """An entry of a table."""

    text: LocalizedText
    """What it says."""
    sign: Markup | None = None
    """A sign before it, or a plot in its place where the text is what the plot says."""
    number: bool = False
    """Set to the right."""


Entry: TypeAlias = Cell | LocalizedText | str
"""An entry of a table; text that is no `LocalizedText` is the same in both languages."""


@final
@dataclass(frozen=True)
class Table:
    """Rows under headings. The first entry of a row is its heading."""

    caption: LocalizedText
    """What it holds."""
    head: tuple[Entry, ...]
    """A heading for each column."""
    rows: tuple[tuple[Entry, ...], ...]
    """As many entries as headings each."""
    foot: tuple[Markup, ...] = ()
    """Scales under the columns of a plot; only the page has them."""
    kind: str = ""
    """A class for the style sheet."""


@final
@dataclass(frozen=True)
class Panel:
    """One of several plots of the same kind."""

    title: LocalizedText
    """Whose it is."""
    sign: Markup
    """The sign of its series."""
    note: LocalizedText
    """A line below the title."""
    plot: Markup
    """SVG."""
    across: LocalizedText
    """What its horizontal axis is."""


@final
@dataclass(frozen=True)
class Figure:
    """Plots, their legend and the numbers behind them."""

    legend: tuple[tuple[Markup, LocalizedText], ...]
    """Signs and what they mean."""
    drawn: tuple[Panel, ...] | Table
    """Panels that flow with the width of the page, or a table with plots in it."""
    numbers: Table
    """What the plots show, in numbers."""
    brief: Table | None = None
    """What stands for the numbers where they cannot be folded away; None: the numbers themselves."""


@final
@dataclass(frozen=True)
class Folded:
    """A long table of which a part is shown and the rest on demand; where nothing can be folded, only the part."""

    brief: Table
    """What is shown."""
    whole: Table
    """All of it."""


@final
@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: LocalizedText
    """What they say."""
    quiet: bool = False
    """In a softer tone."""


@final
@dataclass(frozen=True)
class Statement:
    """A sentence with what it rests on."""

    text: LocalizedText
    """The sentence."""
    rest: LocalizedText
    """Figures and settings."""
    verdict: LocalizedText | None = None
    """A word set before it."""
    kind: str = ""
    """A class for the style sheet."""


@final
@dataclass(frozen=True)
class Statements:
    """A list of statements."""

    items: tuple[Statement, ...]
    """One after another."""


@final
@dataclass(frozen=True)
class Facts:
    """Names with what they stand for."""

    pairs: tuple[tuple[LocalizedText, LocalizedText], ...]
    """In order."""


@final
@dataclass(frozen=True)
class Code:
    """Lines to be typed."""

    text: str
    """As they are."""


@final
@dataclass(frozen=True)
class Quotation:
    """Text that something wrote, as it is."""

    title: LocalizedText
    """What wrote it."""
    sign: Markup
    """The sign of its series."""
    before: str
    """What it goes on from."""
    text: str
    """What it wrote."""


@final
@dataclass(frozen=True)
class Quotations:
    """Texts beside one another."""

    items: tuple[Quotation, ...]
    """One after another."""


@final
@dataclass(frozen=True)
class Subheading:
    """A heading within a section."""

    text: LocalizedText
    """The heading."""


Block: TypeAlias = Table | Figure | Folded | Paragraph | Statements | Facts | Code | Quotations | Subheading


@final
@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: LocalizedText
    """Its heading."""
    blocks: tuple[Block, ...]
    """What it holds."""


@final
@dataclass(frozen=True)
class Document:
    """The whole report."""

    title: LocalizedText
    """What it answers."""
    eyebrow: LocalizedText
    """What kind of page it is."""
    lead: LocalizedText
    """What was run, in a sentence."""
    facts: tuple[tuple[LocalizedText, LocalizedText], ...]
    """The study in a few numbers."""
    sections: tuple[Section, ...]
    """In order."""
