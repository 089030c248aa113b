"""Rows on disk: one SQLite file, a transaction for each run; JSON lines and CSV for everyone else."""

import contextlib
import csv
import io
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, final

from longhold.documents import parse_json, read_json_lines, require_characters
from longhold.errors import InputError
from longhold.files import UNKNOWN, Kind, Source, require_output
from longhold.study.rows.row import COLUMNS, Row
from longhold.study.rows.spec import Stage

FORMAT = 1
"""The version of the schema; it stands in the file's `user_version`."""

_APPLICATION = 0x4C484C44  # "LHLD", in the file's `application_id`

_FLAT = tuple(name for name in COLUMNS if name not in {"by_lag", "curve", "spec"})

_COLUMNS = ", ".join(f"json_extract(row, '$.{name}') AS {name}" for name in _FLAT)

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS rows (
  digest TEXT PRIMARY KEY,
  plan TEXT NOT NULL,
  row TEXT NOT NULL CHECK (json_valid(row))
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS results AS SELECT {_COLUMNS} FROM rows;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {FORMAT};
"""


def _is_store(file: BinaryIO) -> bool:
    head = file.read(72)
    return head.startswith(b"SQLite format 3\0") and head[68:] == _APPLICATION.to_bytes(4, "big")


_STORE = Kind("a study of longhold", _is_store)


@final
class Store:
    """The rows of any number of plans. A context manager; the file is made when the first row is written.

    Each row is in the file when `write` returns, whatever happens to the process afterwards. Two processes may write
    into one file.

    Example:
        >>> with Store("study.sqlite") as store:  # doctest: +SKIP
        ...     store.write(row)
        ...     print(len(store.rows("standard")))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        """The file."""
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def require_writable(self, inputs: Iterable[Source] = ()) -> None:
        """Refuse a place where rows could not be kept, before any run.

        Args:
            inputs: what is read besides.

        Raises:
            InputError: something else than a study is there, or no file can be written.
        """
        require_output(self.path, _STORE, inputs=inputs)
        require_output(f"{self.path}-journal", UNKNOWN, overwrite=True)  # SQLite's, while it writes

    def write(self, row: Row) -> None:
        """Keep a row. One that is there already stays as it is, since it says the same.

        Raises:
            InputError: the file cannot be written, or is no store.
        """
        self.write_all([row])

    def write_all(self, rows: Iterable[Row]) -> int:
        """Keep rows, all or none of them; how many were new."""
        values = [(row.digest, row.spec.plan, json.dumps(row.to_json())) for row in rows]
        with self._refusals(), self._open() as connection:
            before = connection.total_changes
            connection.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", values)
            return connection.total_changes - before

    def rows(self, plan: str | None = None, stage: Stage | None = "result") -> tuple[Row, ...]:
        """Rows in a fixed order: by plan, experiment, arm, level, seed.

        Args:
            plan: of one plan only; None: of all.
            stage: `result` leaves out the runs that only chose a learning rate; None: all.

        Raises:
            InputError: the file is damaged, newer than this longhold, or no store. A file that is missing has no rows.
        """
        with self._refusals():
            if not self.path.exists():
                return ()
            found = self._open().execute("SELECT row FROM rows WHERE plan = ? OR ? IS NULL", (plan, plan)).fetchall()
        place = f"{self.path}: a row cannot be read"
        rows = [_row(parse_json(_text(text), place), place) for (text,) in found]
        return tuple(sorted((row for row in rows if stage in (None, row.spec.stage)), key=_place))

    def plans(self) -> tuple[str, ...]:
        """The plans that have rows."""
        with self._refusals():
            if not self.path.exists():
                return ()
            return tuple(name for (name,) in self._open().execute("SELECT DISTINCT plan FROM rows ORDER BY plan"))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            if os.path.exists(self.path) and not os.path.isfile(self.path):
                raise InputError(f"{self.path}: not a file, expected a study")
            self._connection = sqlite3.connect(self.path, timeout=60)
            self._prepare(self._connection)
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._is_ready(connection):
            return
        connection.execute("BEGIN IMMEDIATE")  # another writer may have been faster, and is now waited for
        if self._is_ready(connection):
            connection.rollback()
            return
        with contextlib.closing(connection.execute("SELECT count(*) FROM sqlite_master")) as names:
            if names.fetchone()[0]:
                raise InputError(f"{self.path}: an SQLite file, but not a study of longhold")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.commit()

    def _is_ready(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is a store of this format; False for one that is no store."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application == _APPLICATION and version > FORMAT:
            raise InputError(f"{self.path}: written by a newer longhold (format {version}), expected {FORMAT}")
        if application not in (0, _APPLICATION):
            raise InputError(f"{self.path}: an SQLite file, but not a study of longhold")
        return bool(application == _APPLICATION and version == FORMAT)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """What SQLite or the system finds wrong, in one line."""
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: cannot be used as a study ({error})") from None
        except OSError as error:
            raise InputError(f"{self.path}: cannot be used as a study ({error.strerror})") from None
        except UnicodeEncodeError:
            raise InputError(f"{self.path}: a plan's name must be text that UTF-8 can hold") from None


def _text(column: object) -> str | bytes:
    """SQLite has any type in any column."""
    return column if isinstance(column, str | bytes) else ""


def _place(row: Row) -> tuple[Any, ...]:
    spec = row.spec
    level = -1 if spec.level is None else spec.level
    return (spec.plan, spec.experiment, spec.arm, level, spec.stage, spec.lr, spec.seed)


def written(form: str, rows: Iterable[Row]) -> Iterator[str]:
    """Rows as text, line by line, in a form by its name: `csv` or `jsonl`.

    Raises:
        InputError: another name.
    """
    forms = {"csv": to_csv, "jsonl": to_jsonl}
    if form not in forms:
        raise InputError(f"format {form!r}: expected csv or jsonl")
    return forms[form](rows)


def to_jsonl(rows: Iterable[Row]) -> Iterator[str]:
    """A line of JSON for each row."""
    for row in rows:
        yield json.dumps(row.to_json()) + "\n"


def from_jsonl(path: str | Path) -> tuple[Row, ...]:
    """The rows of a file of JSON lines.

    Raises:
        InputError: the file cannot be read, or a line is no row; the line is named.
    """
    return tuple(_row(values, f"{path}, line {number}") for number, values in read_json_lines(path))


def _row(values: Any, place: str) -> Row:
    """The row that a value of JSON is; InputError, which begins with its place, where it is none."""
    if not isinstance(values, dict):
        raise InputError(f"{place}: not a row ({values!r:.40}: expected an object)")
    try:
        require_characters(values)
        return Row.from_json(values)
    except ValueError as error:
        raise InputError(f"{place}: not a row ({error})") from None


def to_csv(rows: Iterable[Row]) -> Iterator[str]:
    """A header and a line for each row; values that are not numbers, words or dates stand as JSON."""
    line = io.StringIO()
    writer = csv.DictWriter(line, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.to_json().items()})
        yield _drained(line)
    yield _drained(line)


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict | list | bool) else value


def _drained(line: io.StringIO) -> str:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text
