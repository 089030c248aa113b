"""A page and a Markdown file taken apart by parsers that know nothing of what wrote them."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements, attributes, text and tables of a page; complains when elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.tags: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {"en": [], "zh": []}
        self.tables: list[list[list[str]]] = []
        self.titles: list[str] = []
        self.kinds: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        self.elements.append((tag, values))
        if tag not in VOID:
            self.open.append((tag, values))
        if tag == "table":
            self.tables.append([])
            self.kinds.append(values.get("class", ""))
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        names = [name for name, _ in self.open]
        if "style" in names:
            return
        if names and names[-1] == "title" and "svg" in names:
            self.titles.append(data)
            return
        language = next(
            (values["lang"] for name, values in reversed(self.open) if name == "span" and "lang" in values), ""
        )
        for known in ("en", "zh"):
            if not language or language.startswith(known):
                self.text[known].append(data)
        if {"td", "th"} & set(names) and "svg" not in names and not language.startswith("zh"):
            self.tables[-1][-1][-1] += data

    def words(self, language: str = "en") -> str:
        return " ".join(" ".join(self.text[language]).split())

    def numbers(self) -> list[list[list[str]]]:
        """The tables that are not plots."""
        return [table for table, kind in zip(self.tables, self.kinds, strict=True) if not kind]


def markdown_page(text: str) -> Page:
    """What a reader of Markdown sees, with raw HTML let through as the unwary let it."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
