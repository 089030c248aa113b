"""JSON and TOML from files, held to limits before anything is made of them.

Whatever a file holds (nothing, bytes that are no text, brackets without an end, a number with a million digits), it is
read in bounded time and memory, and gives a value or one line.
"""

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, TypeVar

from longhold.errors import InputError
from longhold.files import StrPath

LONGEST: Final = 16 * 2**20
"""Bytes of a JSON document, or of a line where each is one."""

LONGEST_TOML: Final = 2**20
"""Bytes of a TOML file."""

DEEPEST: Final = 32
"""Objects and lists inside one another."""

DIGITS: Final = 20
"""Of an integer: 64 bits and a sign."""

LONG_DIGITS: Final = 1000
"""Of an integer in what longhold wrote itself, so that a number which is too large is complained of by its name."""

_LONG_KEY: Final = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST}}}""",
)
T = TypeVar("T")


def parse_json(text: bytes | str, complaint: str, digits: int = DIGITS) -> Any:
    """JSON as the standard has it, and stricter: no name twice, no NaN or infinity, no more than `DEEPEST` levels, no
    integer of more than `digits` digits. Bytes are UTF-8.

    Raises:
        InputError: `complaint`, for anything else.
    """
    try:
        return _json(text, digits)
    except (ValueError, RecursionError):
        raise InputError(complaint) from None


def require_characters(value: Any) -> None:
    """ValueError where a text in a value of JSON has half of a surrogate pair, which no UTF-8 can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a character that takes two escapes") from None


def read_json_lines(path: StrPath) -> Iterator[tuple[int, Any]]:
    """The lines of a file that has a JSON document in each, numbered from 1, without empty ones.

    Raises:
        InputError: it cannot be read, or `parse_json` or `require_characters` would refuse a line; it is named.
    """
    with _opened(path) as file:
        for number, line in _lines(path, file):
            try:
                value = _json(line)
                require_characters(value)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: {_reason(error)}") from None
            yield number, value


def read_toml(path: StrPath) -> dict[str, object]:
    """The table in a TOML file.

    Raises:
        InputError: it cannot be read, is not TOML, or goes beyond what `parse_json` takes; the file is named.
    """
    text = read_text(path, LONGEST_TOML, "a TOML file")
    try:
        return _toml(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a TOML file ({_reason(error)})") from None


def parse_toml_value(text: str) -> object:
    """The value that a TOML file has after a `=`; the text itself where it is none.

    Raises:
        InputError: it is one that `read_toml` would refuse.
    """
    if "\n" in text or "\r" in text:
        return text
    try:
        return _toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{text!r:.60}: {_reason(error)}") from None


def read_text(path: StrPath, most: int, what: str = "text") -> str:
    """The text of a file in UTF-8, with or without a byte order mark; `what` is expected there.

    Raises:
        InputError: it cannot be read, is not UTF-8, or has more than `most` bytes.
    """
    with _opened(path) as file:
        data = _read(path, lambda: file.read(most + 1))
    if len(data) > most:
        raise InputError(f"{path} has more than {most:,} bytes: too long for what it should be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected {what} in UTF-8") from None


def deeper_than(value: Any, levels: int) -> bool:
    """Whether more than `levels` objects and lists that are not empty stand inside one another; without recursion."""
    open_ones = [iter((value,))]
    while open_ones:
        for part in open_ones[-1]:
            if isinstance(part, dict | list) and part:
                if len(open_ones) > levels:
                    return True
                open_ones.append(iter(part.values() if isinstance(part, dict) else part))
                break
        else:
            open_ones.pop()
    return False


def _json(text: bytes | str, digits: int = DIGITS) -> Any:
    text = text.decode("utf-8") if isinstance(text, bytes) else text

    def whole(number: str) -> int:
        if len(number) > digits:
            raise ValueError(f"the number {number:.40} is too large")
        return int(number)

    value = json.loads(
        text,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=whole,
        object_pairs_hook=_distinct,
    )
    if deeper_than(value, DEEPEST):
        raise ValueError(f"more than {DEEPEST} levels")
    return value


def _opened(path: StrPath) -> BinaryIO:
    return _read(path, lambda: open(path, "rb"))


def _read(path: StrPath, what: Callable[[], T]) -> T:
    """What the system gives; InputError, which names the file, where it gives nothing."""
    try:
        return what()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # a name with NUL is no path
        raise InputError(f"cannot read {str(path)!r}: {error}") from None


def _lines(path: StrPath, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := _read(path, lambda: file.readline(LONGEST + 1)):
        number += 1
        if len(line) > LONGEST:
            raise InputError(f"{path}, line {number}: more than {LONGEST:,} bytes")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "brackets without an end"
    if isinstance(error, UnicodeDecodeError):
        return "expected text in UTF-8"
    if "int_max_str_digits" in str(error):
        return "a number that is too large"
    return f"not JSON ({error.msg})" if isinstance(error, json.JSONDecodeError) else str(error)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.40} is too large")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r:.40} stands twice")
    return found


def _toml(text: str) -> dict[str, object]:
    """A table; ValueError where it is none, or goes beyond what JSON would be taken with."""
    if _LONG_KEY.search(text):  # what takes the parser the square of their number
        raise ValueError(f"a name of more than {DEEPEST} parts")
    table = tomllib.loads(text)
    _require_modest(table)
    return table


def _require_modest(value: Any) -> None:
    if deeper_than(value, DEEPEST):
        raise ValueError(f"more than {DEEPEST} levels")
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict | list):
            waiting += part.values() if isinstance(part, dict) else part
        elif isinstance(part, float) and not math.isfinite(part):
            raise ValueError(f"the number {part} is not finite")
        elif isinstance(part, int) and abs(part) >= 10**DIGITS:
            raise ValueError(f"an integer of more than {DIGITS} digits")
