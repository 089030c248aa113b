"""The facts of a model's training that an exported file contains."""

from collections.abc import Mapping
from typing import Any

SHAREABLE = ("longhold_version", "characters", "steps", "tokens_seen", "held_out_bits_per_character")
"""The facts that tell nothing about who trained, where, and on which text."""


def shareable(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `facts` that go into an exported file: the ones named in `SHAREABLE`, where they exist."""
    return {name: facts[name] for name in SHAREABLE if facts.get(name) is not None}
