"""The document as one HTML page that loads nothing and runs nothing."""

import base64
import hashlib
from importlib import resources

import jinja2
from markupsafe import Markup, escape

from longhold.study.report.document import (
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
from longhold.study.report.said import Said

_BOTH = Markup('<span lang="en">{0}</span><span lang="zh-Hans">{1}</span>')

_KINDS = {
    Table: "table",
    Figure: "figure",
    Folded: "folded",
    Paragraph: "paragraph",
    Statements: "statements",
    Facts: "facts",
    Code: "code",
    Quotations: "quotations",
    Subheading: "subheading",
}


def render_page(document: Document) -> str:
    """The page: English and Chinese, switched by two radio buttons and the style sheet."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("longhold.study.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["said"] = said
    environment.filters["cell"] = _cell
    environment.tests["of"] = lambda block, kind: _KINDS[type(block)] == kind
    environment.tests["drawn_as_table"] = lambda drawn: isinstance(drawn, Table)
    style = "".join(
        resources.files("longhold.study.report").joinpath(f"templates/{name}.css").read_text(encoding="utf-8")
        for name in ("report", "study")
    )
    return environment.get_template("study.html.jinja").render(
        d=document,
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def said(text: Said | str) -> Markup:
    """Both languages, or what is the same in both once."""
    if isinstance(text, str):
        return escape(text)
    return escape(text.en) if text.is_same else _BOTH.format(text.en, text.zh)


def _cell(entry: Entry) -> Cell:
    return entry if isinstance(entry, Cell) else Cell(entry if isinstance(entry, Said) else Said.same(entry))
