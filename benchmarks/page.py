"""An exported page in Chromium: its size, its time per character, and that it computes what Python computes.

    python -m benchmarks page                            trains on a Chinese text first, a vocabulary of thousands
    python -m benchmarks page --text tinyshakespeare --model tinyshakespeare.safetensors

From one seed the browser and `longhold.integer.IntegerStepper` write 2,000 tokens at temperature 1, and beside each of
them stand the SHA-256 of the frequencies before it; the first place where they differ is an error. The time is the
median of five times 300 tokens, drawn one after the other. The result goes to `benchmarks/results/page-TEXT.json`.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, store
from benchmarks.quality import train
from benchmarks.texts import TEXTS, NoData, Text

Found = dict[str, Any]

TOKENS, SEED = 2_000, 20_261_123

_COMPARED = """async ([tokens, seed]) => {
  const { packed, page, Stepper, IntegerGenerator, draw } = longhold;
  const { continuations } = page.writer;
  const [stepper, generator] = [new Stepper(packed), new IntegerGenerator(seed)];
  let frequencies = stepper.step(packed.start);
  let place = continuations.after(0, packed.start);
  const [ids, digests] = [[], []];
  for (let count = 0; count < tokens; count += 1) {
    const digest = await crypto.subtle.digest("SHA-256", Int32Array.from(frequencies).buffer);
    digests.push(Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(""));
    ids.push(draw(stepper.frequencies(100, continuations.allowed(place)), generator));
    frequencies = stepper.step(ids.at(-1));
    place = continuations.after(place, ids.at(-1));
  }
  return { ids, digests };
}"""

_TIMED = """([times, tokens]) => {
  const { packed, Stepper, IntegerGenerator, draw } = longhold;
  const [stepper, generator] = [new Stepper(packed), new IntegerGenerator(1)];
  stepper.step(packed.start);
  return Array.from({ length: times }, () => {
    const began = performance.now();
    for (let count = 0; count < tokens; count += 1) stepper.step(draw(stepper.frequencies(100), generator));
    return (performance.now() - began) / tokens;
  });
}"""


def main(arguments: Sequence[str]) -> int:
    """Export, look, compare, store."""
    options = _parser().parse_args(arguments)
    target = options.output or store.RESULTS / f"page-{options.text}.json"
    try:
        text = TEXTS[options.text]()
    except NoData as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        model_file = Path(folder) / "model.safetensors"
        if options.model is None:
            train(text, options.budget, 0, model_file)
        found = measure(text, options.model or model_file, Path(folder) / "page.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", choices=tuple(TEXTS), default="zh")
    parser.add_argument("--model", type=Path, help="a model of that text; default: one is trained")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of training")
    parser.add_argument("--output", type=Path, help="the JSON file; default: in benchmarks/results")
    return parser


def measure(text: Text, model_file: Path, page: Path) -> Found:
    """The figures of one model. RuntimeError where the browser computes something else than Python."""
    import longhold
    from longhold.export.html import export_html
    from longhold.integer import quantize, unpacked
    from longhold.integer.packing import packed

    facts, load, date = machine.facts(), machine.load(), machine.now()
    model = longhold.load(model_file)
    written = export_html(model.model, model.tokenizer, page, text.held[:20_000], model.facts.model_dump())
    there, milliseconds, browser = in_browser(page)
    whole = unpacked(packed(quantize(model.model, written.bits), model.tokenizer))
    here = in_python(whole)
    for name in ("digests", "ids"):
        differ = [place for place, (a, b) in enumerate(zip(there[name], here[name], strict=True)) if a != b]
        if differ:
            raise RuntimeError(f"{len(differ)} {name} of {TOKENS} differ between Python and the browser")
    config = model.model.config
    return {
        "title": text.title,
        "cell": config.cell,
        "hidden_size": config.hidden_size,
        "vocab_size": model.tokenizer.vocab_size,
        "parameters": sum(parameter.numel() for parameter in model.model.parameters()),
        "trained_seconds": model.facts.seconds,
        "held_out_bits_per_character": model.facts.held_out_bits_per_character,
        "file_bytes": written.bytes,
        "bits": written.bits,
        "bits_per_character_lost": {str(bits): loss for bits, loss in written.losses.items()},
        "equal_tokens": TOKENS,
        "milliseconds_per_token": statistics.median(milliseconds),
        "characters_per_token": len(model.tokenizer.decode(here["ids"])) / TOKENS,
        "sample": model.tokenizer.decode(here["ids"])[:200],
        "browser": browser,
        "date": date,
        "load": [load, machine.load()],
        "machine": facts,
    }


def in_browser(page: Path) -> tuple[Found, list[float], str]:
    """What Chromium, offline, writes and expects; milliseconds for a token, some times; its version."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("LONGHOLD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        context = browser.new_context(offline=True)
        context.set_default_timeout(600_000)
        tab = context.new_page()
        tab.goto(page.as_uri())
        found = tab.evaluate(_COMPARED, [TOKENS, SEED])
        milliseconds = tab.evaluate(_TIMED, [5, 300])
        version = browser.version
        browser.close()
    return found, milliseconds, f"Chromium {version}"


def in_python(whole: Any) -> Found:
    """The same by the integer writer."""
    from longhold.integer import IntegerWriter

    writer = IntegerWriter(whole.model, whole.tokens, SEED)
    writer.read([whole.start])
    ids, digests = [], []
    for _ in range(TOKENS):
        frequencies = writer.stepper.frequencies()[0]
        digests.append(hashlib.sha256(frequencies.astype("<i4").tobytes()).hexdigest()[:16])
        ids.append(writer.write())
    return {"ids": ids, "digests": digests}
