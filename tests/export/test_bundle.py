"""Modules in one script, run by Node beside the modules themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from longhold import InputError
from longhold.export.bundle import bundle

MODULES = {
    "far-numbers": """
const offset = 40;
export const TWO = 2;
export class Counter {
  count() { return offset + TWO; }
}
export function* two() { yield 1; yield 2; }
""",
    "words": """import { Counter, TWO } from "./far-numbers.js";

const offset = "its own";
export async function said() { return `${offset} ${new Counter().count()} ${TWO}`; }
""",
    "main": """import { two } from "./far-numbers.js";
import { said } from "./words.js";
said().then((text) => console.log(text, ...two()));
""",
}


def node(script: Path) -> str:
    runner = shutil.which("node")
    if runner is None:
        pytest.skip("node is not installed")
    return subprocess.run([runner, str(script)], capture_output=True, encoding="utf-8", check=True).stdout


def test_the_script_does_what_the_modules_do(tmp_path: Path) -> None:
    for name, source in MODULES.items():
        (tmp_path / f"{name}.js").write_text(source, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "all.cjs").write_text(bundle(MODULES), encoding="utf-8")
    assert node(tmp_path / "all.cjs") == node(tmp_path / "main.js") == "its own 42 2 1 2\n"


@pytest.mark.parametrize(
    "source",
    [
        'import everything from "./words.js";\n',
        'import * as words from "./words.js";\n',
        "export default 3;\n",
        "const a = 1;\nexport { a };\n",
        'import { a } from "https://elsewhere/words.js";\n',
    ],
)
def test_other_forms_are_refused(source: str) -> None:
    with pytest.raises(InputError, match="only named imports"):
        bundle({"words": "export const a = 1;\n", "main": source})


def test_order_matters() -> None:
    with pytest.raises(InputError, match="'main' imports 'words'"):
        bundle({"main": 'import { a } from "./words.js";\n', "words": "export const a = 1;\n"})


def test_the_page_says_the_same_things_in_both_languages() -> None:
    source = resources.files("longhold").joinpath("web/assets/writer-words.js").read_text(encoding="utf-8")
    english, chinese = (re.findall(r"^    (\w+):\s*\n?\s*\"(.*)\"", part, re.MULTILINE) for part in _languages(source))
    assert [key for key, _ in english] == [key for key, _ in chinese]
    assert len(english) > 30
    for (key, ours), (_, theirs) in zip(english, chinese, strict=True):
        assert sorted(re.findall(r"\{\w+\}", ours)) == sorted(re.findall(r"\{\w+\}", theirs)), key


def _languages(source: str) -> tuple[str, str]:
    both = source[source.index("export const SAY") : source.index("\n};\n")]
    english, chinese = both.split("\n  zh: {")
    return english, chinese
