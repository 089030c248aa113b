"""Compression by a model beside xz, zstd and bzip2: sizes with and without the model, speed both ways.

    python -m benchmarks compression                     trains a model for each text, then measures
    python -m benchmarks compression --budget 20 --texts timemachine
    python -m benchmarks compression --models FOLDER     with FOLDER/TEXT.safetensors where it is there, such as
                                                         `quality --arm longhold --keep` leaves
    python -m benchmarks compression --docs              puts the stored figures into docs/compression.md

A model is what `longhold train` makes with its defaults in the time given. It has read the first nine tenths of its
text, of Penn Treebank the training part; what of a piece it had read stands in its row. Every archive is decompressed
and compared. xz, zstd and bzip2 are the programs at a stated level; a piece that the model had not read is also given
to xz after all that the model had. Results are in `benchmarks/results/compression.json`, a text at a time.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from benchmarks import machine, store
from benchmarks.quality import train
from benchmarks.texts import TEXTS, NoData, Text

Found = dict[str, Any]

PAGE = machine.ROOT / "docs" / "compression.md"

TOOLS: dict[str, tuple[str, ...]] = {"xz": ("xz", "-9"), "zstd": ("zstd", "-19"), "bzip2": ("bzip2", "-9")}
"""Programs that read standard input and write standard output."""


@final
@dataclass(frozen=True)
class Piece:
    """What is compressed."""

    text: str
    """It."""
    read: str
    """What of it the model was trained on."""
    fresh: bool
    """Whether that is nothing."""


def _held(text: Text) -> Piece:
    return Piece(text.held, "nothing (the last tenth)", True)


PIECES: dict[str, Callable[[Text], tuple[Piece, ...]]] = {
    "timemachine": lambda text: (Piece(text.file, "the first nine tenths (the whole text)", False), _held(text)),
    "tinyshakespeare": lambda text: (Piece(text.file, "the first nine tenths (the whole text)", False), _held(text)),
    "zh": lambda text: (Piece(text.train[-len(text.held) :], "all of it (the ninth tenth)", False), _held(text)),
    "ptb": lambda text: (Piece(text.test or "", "nothing (the test part)", True),),
}
"""Of the Chinese text the tenth before the held-out one in place of all of it, which would take many minutes."""


def main(arguments: Sequence[str]) -> int:
    """Run the chosen texts and store each, a text at a time."""
    options = _parser().parse_args(arguments)
    target = options.output or store.RESULTS / "compression.json"
    if options.docs:
        PAGE.write_text(documented(PAGE.read_text(encoding="utf-8"), read(target)), encoding="utf-8")
        return 0
    try:
        texts = {name: TEXTS[name]() for name in options.texts or TEXTS}
    except NoData as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, text in texts.items():
        found = measure(name, text, options.budget, options.models)
        document = read(target)
        document[name] = found
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(read(target)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compression",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--texts", nargs="+", choices=tuple(TEXTS), help="default: all")
    parser.add_argument("--budget", type=float, default=45.0, help="seconds of training for each model")
    parser.add_argument("--models", type=Path, help="a folder of models named after their texts")
    parser.add_argument("--output", type=Path, help="the JSON file; default: compression.json in benchmarks/results")
    parser.add_argument("--docs", action="store_true", help="measure nothing, put what is stored into the page")
    return parser


def read(path: Path) -> Found:
    """What is stored, by text."""
    found: Found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def measure(name: str, text: Text, budget: float, models: Path | None) -> Found:
    """The figures of one text: its model and a row for each piece."""
    import longhold
    from longhold.compression.archive import Codec

    facts, load, date = machine.facts(), machine.load(), machine.now()
    ready = None if models is None else models / f"{name}.safetensors"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        if ready is not None and ready.exists():
            shutil.copyfile(ready, file)
        else:
            train(text, budget, 0, file)
        model, size = longhold.load(file), file.stat().st_size
    if model.facts.characters != len(text.train):
        raise RuntimeError(
            f"{name}: its model was trained on {model.facts.characters} characters, not {len(text.train)}"
        )
    codec, rows = Codec(model), []
    for piece in PIECES[name](text):
        rows.append(_row(codec, piece, text))
        print(f"{text.title}: {_line(rows[-1])}", flush=True)
    return {
        "title": text.title,
        "model": {
            "file_bytes": size,
            "cell": model.model.config.cell,
            "hidden_size": model.model.config.hidden_size,
            "vocab_size": model.tokenizer.vocab_size,
            "seconds": model.facts.seconds,
            "held_out_bits_per_character": model.facts.held_out_bits_per_character,
        },
        "rows": rows,
        "tools": {tool: version(command[0]) for tool, command in TOOLS.items()},
        "date": date,
        "load": [load, machine.load()],
        "machine": facts,
    }


def _row(codec: Any, piece: Piece, text: Text) -> Found:
    data = piece.text.encode()
    began = time.perf_counter()
    archive = codec.compress(data)
    packed = time.perf_counter()
    if codec.decompress(archive) != data:
        raise RuntimeError("what came out of an archive is not what went in")
    unpacked = time.perf_counter()
    sizes = {tool: compressed_size(command, data) for tool, command in TOOLS.items()}
    before = text.train.encode()
    return {
        "read": piece.read,
        "characters": len(piece.text),
        "bytes": len(data),
        "longhold": len(archive),
        **sizes,
        "xz_after_what_the_model_read": _after(before, data) if piece.fresh else None,
        "compress_characters_per_second": len(piece.text) / (packed - began),
        "decompress_characters_per_second": len(piece.text) / (unpacked - packed),
    }


def compressed_size(command: Sequence[str], data: bytes) -> int | None:
    """Bytes that a program makes of `data`; None where it is not installed."""
    if shutil.which(command[0]) is None:
        return None
    return len(subprocess.run([*command, "-c"], input=data, capture_output=True, check=True).stdout)


def _after(before: bytes, data: bytes) -> int | None:
    both, alone = compressed_size(TOOLS["xz"], before + data), compressed_size(TOOLS["xz"], before)
    return None if both is None or alone is None else both - alone


def version(program: str) -> str | None:
    """The number that a program calls its version; None where it is not installed."""
    if shutil.which(program) is None:
        return None
    version = subprocess.run([program, "--version"], input=b"", capture_output=True, check=False)
    found = re.search(rb"\d+\.\d+(?:\.\d+)?", version.stdout + version.stderr)
    return found.group().decode() if found else ""


def _line(row: Found) -> str:
    others = ", ".join(f"{tool} {_bytes(row[tool])}" for tool in TOOLS)
    speeds = f"{row['compress_characters_per_second']:,.0f} characters/s, "
    speeds += f"back {row['decompress_characters_per_second']:,.0f}"
    return f"{row['bytes']:,} bytes, had read {row['read']}: longhold {row['longhold']:,}, {others}; {speeds}"


def _bytes(value: int | None) -> str:
    return "not installed" if value is None else f"{value:,}"


def table(found: Found) -> str:
    """Markdown: a row for each piece, then what the models are and where it was measured."""
    head = ("text", "what the model had read of it", "bytes", *(" ".join(command) for command in TOOLS.values()))
    head += ("`xz -9` after what the model had read", "longhold", "longhold and the model file")
    head += ("bits per character", "characters/s, there and back")
    lines = [_cells(head), "|" + "---|" * len(head)]
    sections = [found[name] for name in TEXTS if name in found]
    for section in sections:
        for row in section["rows"]:
            after = row["xz_after_what_the_model_read"]
            cells = [section["title"], row["read"], f"{row['bytes']:,}", *(_bytes(row[tool]) for tool in TOOLS)]
            cells += ["" if after is None else f"{after:,}", f"**{row['longhold']:,}**"]
            cells += [f"{row['longhold'] + section['model']['file_bytes']:,}"]
            cells += [f"{8 * row['longhold'] / row['characters']:.3f}"]
            speeds = (row[f"{way}_characters_per_second"] for way in ("compress", "decompress"))
            cells += [", ".join(f"{speed:,.0f}" for speed in speeds)]
            lines.append(_cells(cells))
    return "\n".join([*lines, "", *(_model_line(section) for section in sections)])


def _cells(values: Sequence[str]) -> str:
    return "| " + " | ".join(values) + " |"


def _model_line(section: Found) -> str:
    model, at = section["model"], section["machine"]
    tools = ", ".join(f"{tool} {number or 'not installed'}" for tool, number in section["tools"].items())
    shape = f"{model['cell'].upper()} of {model['hidden_size']} units, V {model['vocab_size']:,}"
    quality = f"{model['held_out_bits_per_character']:.3f} bits per character"
    place = f"{at['processor']}, {at['threads']} threads, load {max(section['load']):.1f}"
    return (
        f"- {section['title']}: {shape}, trained for {model['seconds']:.0f} s, held-out {quality}. "
        f"{place}; {tools}; {section['date'][:10]}."
    )


def documented(page: str, found: Found) -> str:
    """The page with its table replaced."""
    begin, end = "<!-- python -m benchmarks compression --docs -->\n", "\n<!-- end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{table(found)}{end}{after}"
