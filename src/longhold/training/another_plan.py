"""The message where the folder of a run on a text holds a run with another plan."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

_TEXT, _TOKENIZER = "facts.text_sha256", "facts.tokenizer_sha256"
_ROOTS = {
    _TEXT: "the text",
    _TOKENIZER: "the tokenizer",
    "facts.model.cell": "cell",
    "training.budget_seconds": "budget",
}
"""Entries that follow from no other, except the tokenizer from the text, and what people call them."""

_FOLLOWS = {"training.steps", "training.run_seconds", "training.warmup_steps", "training.evaluate_every"}
_SHOWN = 3


def refusal(chosen: Collection[str], folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Returns one line that names what a person changed, not what followed from it, and how to resume.

    Args:
        chosen: names of the settings that were chosen this time.
        folder: of the run.
        there: its plan, by dotted names.
        here: the plan that was to be run.
    """
    other = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    changed = [name for name in _ROOTS if name in other and not (name == _TOKENIZER and _TEXT in other)]
    changed += [name for name in other if name.rpartition(".")[2] in chosen and name not in _ROOTS]
    changed = changed or [name for name in other if name not in _FOLLOWS] or other
    shown = ", ".join(_difference(name, there, here) for name in changed[:_SHOWN])
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return (
        f"{folder} holds a run with another plan ({shown}{more}): give the same settings to resume it, -o NAME to "
        f"train a second model, or delete {folder} to start over"
    )


def _difference(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    called = _ROOTS.get(name) or name.rpartition(".")[2]
    if name.endswith("_sha256"):
        return f"{called} is a different one"
    before, now = (repr(plan[name])[:40] if plan.get(name) is not None else "none" for plan in (there, here))
    return f"{called}: {before} there, {now} here"
