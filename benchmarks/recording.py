"""The first five minutes, recorded: a real session in a terminal, as asciicast, as a moving SVG and as text.

    python -m benchmarks recording            about four minutes; writes docs/recording/ and docs/five-minutes.md

The commands run one after the other in a terminal of their own, in an empty folder with *The Time Machine* in it. What
they print goes through a terminal emulator (pyte); its screens are the recording. Commands that take long are played
faster, each to `LONGEST` seconds; their own seconds stand in the text. The folder's path becomes `~`, nothing else is
changed.
"""

import argparse
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final
from xml.sax.saxutils import escape

from benchmarks.machine import ROOT
from benchmarks.texts import TEXTS, NoData

COLUMNS, ROWS = 92, 26
LONGEST = 14.0
FOLDER = ROOT / "docs" / "recording"
PAGE = ROOT / "docs" / "five-minutes.md"

SESSION: tuple[tuple[str, float | None], ...] = (
    ("longhold train timemachine.txt --budget {budget}", None),
    ('longhold write timemachine.safetensors --prime "The Time Traveller" --length 300 --seed 1', None),
    ("longhold compare timemachine.txt --budget {budget}", None),
    ("longhold ui timemachine.safetensors --no-browser", 3.0),
    ("longhold export timemachine.safetensors --text timemachine.txt --yes", None),
)
"""What is typed, and how many seconds after its first word Ctrl-C is pressed."""

Run = tuple[str, str, bool]
"""Characters of one look: them, their colour (a name of `COLOURS` or a hexadecimal one), whether they are bold."""
Screen = tuple[tuple[Run, ...], ...]
"""The lines from top to bottom."""

COLOURS = {
    "default": "#d8dee9",
    "black": "#4c566a",
    "red": "#e88c94",
    "green": "#a3be8c",
    "brown": "#ebcb8b",
    "blue": "#8fb4dd",
    "magenta": "#c79fc2",
    "cyan": "#88c0d0",
    "white": "#eceff4",
}


@final
@dataclass(frozen=True)
class Recording:
    """A session as it was seen."""

    frames: tuple[tuple[float, Screen], ...]
    """Seconds from the beginning as they are played, and the screen from then on."""
    text: str
    """The whole output, a line under the other, each command with its own seconds."""


def main(arguments: Sequence[str]) -> int:
    """Record, draw and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks recording", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", default="60s", help="of the training and of the comparison")
    parser.add_argument("--output", type=Path, default=FOLDER, help="the folder; elsewhere the page is left alone")
    options = parser.parse_args(arguments)
    if find_spec("pyte") is None:
        print("error: the recording needs pyte: pip install pyte", file=sys.stderr)
        return 2
    try:
        book = TEXTS["timemachine"]().file
    except NoData as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        (home / "timemachine.txt").write_text(book, encoding="utf-8")
        found = record([(command.format(budget=options.budget), stop) for command, stop in SESSION], home)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "five-minutes.cast").write_text(cast(found.frames), encoding="utf-8")
    (options.output / "five-minutes.svg").write_text(svg(found.frames), encoding="utf-8")
    if options.output == FOLDER:
        PAGE.write_text(documented(PAGE.read_text(encoding="utf-8"), found.text), encoding="utf-8")
    return 0


def record(session: Sequence[tuple[str, float | None]], home: Path) -> Recording:
    """Run the commands in `home` and watch the screen. Needs pyte."""
    import pyte

    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=10_000, ratio=0.5)
    stream = pyte.Stream(screen)
    frames: list[tuple[float, Screen]] = []
    clock, marks = 0.0, list[tuple[str, float]]()
    for command, stop in session:
        for typed in ["$ ", *command, "\r\n"]:
            stream.feed(typed)
            clock += 0.03
            frames.append((clock, looked_at(screen)))
        pieces = [(at, text.replace(str(home), "~")) for at, text in spoken(shlex.split(command), home, stop)]
        took = max((at for at, _ in pieces), default=0.0)
        marks.append((f"$ {command}", took))
        speed = min(1.0, LONGEST / took) if took else 1.0
        for at, text in pieces:
            stream.feed(text)
            frames.append((clock + at * speed, looked_at(screen)))
        clock += took * speed + 2.0
    return Recording(tuple(thinned(frames)), transcript(lines_of(screen), marks))


def spoken(command: Sequence[str], home: Path, stop: float | None) -> Iterator[tuple[float, str]]:
    """What a command prints in a terminal, in pieces, each with the seconds since it began."""
    environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": str(home), "PATH": os.environ.get("PATH", "")}
    environment |= {name: os.environ[name] for name in ("OMP_NUM_THREADS", "PYTHONPATH") if name in os.environ}
    terminal, its_side = pty.openpty()
    termios.tcsetwinsize(its_side, (ROWS, COLUMNS))
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=home,
        env=environment,
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    )
    os.close(its_side)
    began, pending, spoke = time.perf_counter(), b"", None
    try:
        while True:
            ready, _, _ = select.select([terminal], [], [], 0.1)
            now = time.perf_counter() - began
            if stop is not None and spoke is not None and now > spoke + stop:
                process.send_signal(signal.SIGINT)
                stop = None
            if not ready:
                continue
            try:
                pending += os.read(terminal, 65536)
            except OSError:  # the other side is closed
                return
            text = pending.decode("utf-8", errors="ignore")
            pending = pending[len(text.encode()) :]
            spoke = now if spoke is None else spoke
            yield now, text
    finally:
        os.close(terminal)
        process.wait()


def looked_at(screen: Any) -> Screen:
    """The screen as runs of one look; blanks at the end of a line are left out."""
    return tuple(_runs([screen.buffer[row][column] for column in range(COLUMNS)]) for row in range(ROWS))


def _runs(cells: Sequence[Any]) -> tuple[Run, ...]:
    runs: list[Run] = []
    for cell in cells:
        if runs and runs[-1][1:] == (cell.fg, cell.bold):
            runs[-1] = (runs[-1][0] + cell.data, *runs[-1][1:])
        else:
            runs.append((cell.data, cell.fg, cell.bold))
    while runs and not runs[-1][0].strip():
        runs.pop()
    return (*runs[:-1], (runs[-1][0].rstrip(), *runs[-1][1:])) if runs else ()


def lines_of(screen: Any) -> list[str]:
    """All lines, those that have left the screen first."""
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(ROWS))]
    return ["".join(row[column].data for column in range(COLUMNS)).rstrip() for row in rows]


def transcript(lines: Sequence[str], marks: Sequence[tuple[str, float]]) -> str:
    """The lines, with the seconds behind each command."""
    text = "\n".join(lines).rstrip() + "\n"
    for command, seconds in marks:
        typed = "\n".join(command[at : at + COLUMNS].rstrip() for at in range(0, len(command), COLUMNS))
        text = text.replace(f"{typed}\n", f"\n{command}    # {seconds:.0f} s\n", 1)
    return text.lstrip("\n")


def thinned(frames: Sequence[tuple[float, Screen]], least: float = 0.25) -> Iterator[tuple[float, Screen]]:
    """Of the screens within each `least` seconds the last; none that is as the one before."""
    shown: Screen | None = None
    for index, (at, screen) in enumerate(frames):
        last = index + 1 == len(frames) or frames[index + 1][0] // least > at // least
        if last and screen != shown:
            shown = screen
            yield at, screen


def cast(frames: Sequence[tuple[float, Screen]]) -> str:
    """asciicast, version 2: a line for the header, a line for each change."""
    events: list[list[Any]] = []
    before: Screen = ((),) * ROWS
    for at, screen in frames:
        changed = [row for row in range(ROWS) if screen[row] != before[row]]
        lines = (f"\x1b[{row + 1};1H\x1b[2K{''.join(map(_coded, screen[row]))}" for row in changed)
        events.append([round(at, 3), "o", "".join(lines)])
        before = screen
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "longhold: the first five minutes"}
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in [header, *events])


def _coded(run: Run) -> str:
    text, colour, bold = run
    code = [1] * bold
    if colour in COLOURS and colour != "default":
        code.append(30 + list(COLOURS).index(colour) - 1)
    elif colour != "default":
        code += [38, 2, *bytes.fromhex(colour)]
    return f"\x1b[{';'.join(map(str, code))}m{text}\x1b[0m" if code else text


def svg(frames: Sequence[tuple[float, Screen]]) -> str:
    """A picture that moves by itself: the frames below each other, pushed past a window; the last where none moves."""
    width, height, line = 8.4 * COLUMNS + 24, 18.0 * ROWS + 24, 18.0
    names: dict[tuple[Run, ...], str] = {}
    groups = []
    for number, (_, screen) in enumerate(frames):
        uses = (
            f'<use href="#{names.setdefault(runs, f"l{len(names)}")}" y="{(row + 0.8) * line:g}"/>'
            for row, runs in enumerate(screen)
            if runs
        )
        groups.append(f'<g transform="translate(0,{number * height:g})">{"".join(uses)}</g>')
    lines = "".join(f'<text id="{name}">{_spans(runs)}</text>' for runs, name in names.items())
    end = frames[-1][0] + 4
    steps = "".join(
        f"{100 * (at if number else 0.0) / end:.3f}%{{transform:translateY({-number * height:g}px)}}"
        for number, (at, _) in enumerate(frames)
    )
    last = -(len(frames) - 1) * height
    style = (
        f"#s{{animation:s {end:.2f}s step-end infinite}}@keyframes s{{{steps}}}"
        f"@media(prefers-reduced-motion:reduce){{#s{{animation:none;transform:translateY({last:g}px)}}}}"
        f"text{{font:14px ui-monospace,Menlo,Consolas,monospace;fill:{COLOURS['default']};white-space:pre}}"
        ".b{font-weight:700}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="A terminal session; its text stands beside it">'
        f"<style>{style}</style><defs>{lines}</defs>"
        f'<rect width="100%" height="100%" rx="8" fill="#242933"/>'
        f'<svg x="12" y="24" width="{width - 24:g}" height="{height - 24:g}" overflow="hidden">'
        f'<g id="s">{"".join(groups)}</g></svg></svg>\n'
    )


def _spans(runs: Sequence[Run]) -> str:
    spans, column = [], 0
    for text, colour, bold in runs:
        look = "" if colour == "default" else f' fill="{COLOURS.get(colour, f"#{colour}")}"'
        look += ' class="b"' if bold else ""
        if text.strip():
            length = f' textLength="{8.4 * len(text):g}"' if len(text) > 1 else ""
            spans.append(f'<tspan x="{8.4 * column:g}"{length}{look}>{escape(text)}</tspan>')
        column += len(text)
    return "".join(spans)


def documented(page: str, text: str) -> str:
    """The page with its recording replaced."""
    begin, end = "<!-- python -m benchmarks recording -->\n", "<!-- end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    picture = "![A terminal session, played faster than it ran](recording/five-minutes.svg)"
    return f"{before}{begin}{picture}\n\n````text\n{text}````\n{end}{after}"
