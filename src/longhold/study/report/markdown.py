"""The document as Markdown: English first, then Chinese; tables stand for the plots."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from longhold.study.claims import Language
from longhold.study.report.document import (
    Block,
    Cell,
    Code,
    Document,
    Entry,
    Facts,
    Figure,
    Folded,
    Paragraph,
    Quotations,
    Statements,
    Subheading,
    Table,
)
from longhold.study.report.localized import LocalizedText

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~$])")


def render_markdown(document: Document) -> str:
    """Both languages after one another."""
    parts = [*_written(document, "en"), "---", *_written(document, "zh")]
    return "\n\n".join(parts) + "\n"


def _written(document: Document, language: Language) -> Iterator[str]:
    yield f"# {_text(document.title, language)}"
    yield _text(document.eyebrow, language)
    yield _text(document.lead, language)
    yield _facts(Facts(document.facts), language)
    for section in document.sections:
        yield f"## {_text(section.title, language)}"
        for block in section.blocks:
            yield _block(block, language)


def _block(block: Block, language: Language) -> str:
    return _WRITERS[type(block)](block, language)


def _table(table: Table, language: Language) -> str:
    head = [_entry(entry, language) for entry in table.head]
    rules = ["---:" if isinstance(entry, Cell) and entry.number else "---" for entry in table.head]
    rows = [[_entry(entry, language) for entry in row] for row in table.rows]
    lines = [f"| {' | '.join(line)} |" for line in (head, rules, *rows)]
    return "\n".join([f"**{_text(table.caption, language)}**", "", *lines])


def _figure(figure: Figure, language: Language) -> str:
    return _table(figure.brief or figure.numbers, language)


def _folded(folded: Folded, language: Language) -> str:
    return _table(folded.brief, language)


def _paragraph(paragraph: Paragraph, language: Language) -> str:
    return _text(paragraph.text, language)


def _statements(statements: Statements, language: Language) -> str:
    lines = []
    for item in statements.items:
        verdict = "" if item.verdict is None else f"**{_text(item.verdict, language)}**: "
        lines.append(f"- {verdict}{_text(item.text, language)} {_text(item.rest, language)}".rstrip())
    return "\n".join(lines)


def _facts(facts: Facts, language: Language) -> str:
    return "\n".join(f"- {_text(name, language)}: {_text(value, language)}" for name, value in facts.pairs)


def _code(code: Code, language: Language) -> str:
    return "\n".join(f"    {line}" for line in code.text.splitlines())


def _quotations(quotations: Quotations, language: Language) -> str:
    """Indented, so that Markdown reads nothing in them."""
    return "\n\n".join(
        f"**{_text(item.title, language)}**\n\n{_code(Code(item.before + item.text), language)}"
        for item in quotations.items
    )


def _subheading(heading: Subheading, language: Language) -> str:
    return f"### {_text(heading.text, language)}"


_WRITERS: dict[type, Callable[[Any, Language], str]] = {
    Table: _table,
    Figure: _figure,
    Folded: _folded,
    Paragraph: _paragraph,
    Statements: _statements,
    Facts: _facts,
    Code: _code,
    Quotations: _quotations,
    Subheading: _subheading,
}


def _entry(entry: Entry, language: Language) -> str:
    if isinstance(entry, Cell):
        return _text(entry.text, language)
    return _text(entry, language)


def _text(text: LocalizedText | str, language: Language) -> str:
    """On one line, with every character that Markdown or HTML would read as its own set apart."""
    plain = text if isinstance(text, str) else text.text(language)
    escaped = _SPECIAL.sub(r"\\\1", " ".join(plain.split()).replace("&", "&amp;"))
    return escaped.replace("\\<", "&lt;").replace("\\>", "&gt;")
