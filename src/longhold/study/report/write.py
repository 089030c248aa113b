"""The report's files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from longhold.errors import InputError
from longhold.files import Kind, Source, argument, beginning, make_folder, require_folder, write_file
from longhold.study.plan.plan import Plan, load_plan, shipped
from longhold.study.report.build import study_document
from longhold.study.report.markdown import render_markdown
from longhold.study.report.page import render_page
from longhold.study.rows.row import Row
from longhold.study.rows.store import Store, to_csv, to_jsonl


@final
@dataclass(frozen=True)
class Files:
    """Where the report lies."""

    page: Path
    """report.html, unless it was given another name"""
    markdown: Path
    """report.md"""
    rows: Path
    """rows.csv, those of tuning too."""
    lines: Path
    """rows.jsonl, the same as `longhold study import` reads them."""


_HEAD = (b"<!doctype html>", b"default-src 'none'; style-src 'sha256-", b"<title>longhold: ")
_PAGE = beginning("a report of longhold", *_HEAD)
_BESIDE = {
    "report.md": beginning("a report of longhold", b"# ", b"\n\nlonghold memory study: ", within=4096),
    "rows.csv": beginning("rows of a study", b"digest,plan,experiment,"),
    "rows.jsonl": beginning("rows of a study", b'{"digest": "', b'"plan": "'),
}


def report_kinds(page: str = "report.html") -> dict[str, Kind]:
    """The files of a report, and what each is known by."""
    return {page: _PAGE, **_BESIDE}


def write_study_report(
    rows: Sequence[Row],
    plan: Plan | None,
    folder: str | Path,
    command: str = "",
    page: str = "report.html",
    *,
    inputs: Iterable[Source] = (),
    overwrite: bool = False,
) -> Files:
    """Write the page, report.md, rows.csv and rows.jsonl into a folder, which is made where it is missing.

    Args:
        rows: of one plan, those of tuning too.
        plan: what was declared; None where its file is not at hand.
        folder: where they go.
        command: what makes the rows and the report again; default: the commands for this plan.
        page: the page's name.
        inputs: what the rows were read from.
        overwrite: whether files by these names that longhold did not write are replaced.

    Raises:
        InputError: a file cannot be written or is somebody else's, or the rows make no report.
    """
    kinds = report_kinds(page)
    require_folder(folder, kinds, inputs=inputs, overwrite=overwrite)
    known = [row for row in rows if plan is None or row.spec.plan == plan.name]
    name = plan.name if plan is not None else next((row.spec.plan for row in known), "")
    again = command or f"longhold study run {argument(name)}\nlonghold study report {argument(name)}"
    document = study_document(known, plan, again)
    place = make_folder(folder)
    texts = (render_page(document), render_markdown(document), "".join(to_csv(known)), "".join(to_jsonl(known)))
    for (part, kind), text in zip(kinds.items(), texts, strict=True):
        write_file(place / part, text.encode(), kind, overwrite=overwrite)
    return Files(*(Path(folder) / part for part in kinds))


def report_of(name: str, store: Path, folder: str | Path, *, overwrite: bool = False) -> Files:
    """Write the report of a plan by its name or its .toml file, or of the only plan in a store given in its place.

    Raises:
        InputError: there are no rows, or the store holds several plans.
    """
    source = Path(name)
    if source.suffix != ".toml" and name not in shipped() and source.is_file():
        store, name = source, _only_plan(source)
    plan = load_plan(name) if name in shipped() or source.suffix == ".toml" else None
    wanted = name if plan is None else plan.name
    with Store(store) as kept:
        rows = kept.rows(wanted, stage=None)
        others = kept.plans()
    if not rows:
        there = f"plans there: {', '.join(others)}" if others else "the store is empty or missing"
        raise InputError(f"no rows of plan {wanted!r} in {store}: expected a study that was run ({there})")
    arguments = f"{argument(Path(name).name)} --store {argument(store.name)}"  # no folder of this machine
    command = f"longhold study run {arguments}\nlonghold study report {arguments}"
    return write_study_report(rows, plan, folder, command, inputs=[store, source], overwrite=overwrite)


def _only_plan(store: Path) -> str:
    with Store(store) as kept:
        names = kept.plans()
    if len(names) != 1:
        raise InputError(
            f"{store} holds the plans {', '.join(names) or '(none)'}: expected one, give its name and --store"
        )
    return names[0]
