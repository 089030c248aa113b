"""BLiMP's agreement sets: pairs of sentences that differ in grammaticality alone, read from files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from longhold.documents import read_json_lines
from longhold.errors import InputError

PARADIGMS = (
    "anaphor_number_agreement",
    "distractor_agreement_relational_noun",
    "distractor_agreement_relative_clause",
    "irregular_plural_subject_verb_agreement_1",
    "irregular_plural_subject_verb_agreement_2",
    "regular_plural_subject_verb_agreement_1",
    "regular_plural_subject_verb_agreement_2",
)
"""The sets about agreement in number, 1,000 pairs each. Two have a noun of the other number before the verb."""


@final
@dataclass(frozen=True)
class MinimalPair:
    """Two sentences of which a model should find the first likelier (Warstadt et al. 2020).

    The comparison is between the summed log-probabilities of the whole sentences.
    """

    good: str
    """The grammatical sentence."""
    bad: str
    """The other one."""
    paradigm: str
    """The set that it belongs to, BLiMP's `UID`."""
    number: int
    """Its place in the set, from 0, BLiMP's `pairID`."""


def paradigm_path(paradigm: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Where a set lies: `<paradigm>.jsonl` in the folder, or in `blimp` of the folder that `LONGHOLD_DATA` names.

    Raises:
        InputError: the set is not one of `PARADIGMS`, no folder is named, or the file is not there.
    """
    if paradigm not in PARADIGMS:
        raise InputError(f"{paradigm!r:.60} is no agreement set of BLiMP: expected one of {', '.join(PARADIGMS)}")
    data = os.environ.get("LONGHOLD_DATA")
    if folder is None and not data:
        raise InputError(f"{paradigm} is read from blimp/{paradigm}.jsonl in LONGHOLD_DATA, which names no folder")
    path = (Path(data or "") / "blimp" if folder is None else Path(folder)) / f"{paradigm}.jsonl"
    if not path.is_file():
        raise InputError(f"{path} is missing: expected BLiMP's {paradigm}.jsonl there")
    return path


def read_pairs(path: str | os.PathLike[str]) -> tuple[MinimalPair, ...]:
    """The pairs of one file in BLiMP's form, a JSON object a line.

    Raises:
        InputError: the file cannot be read or is empty, or a line is not such an object.
    """
    pairs = tuple(_pair(values, f"{path}, line {number}") for number, values in read_json_lines(Path(path)))
    if not pairs:
        raise InputError(f"{path} has no pairs: expected a JSON object a line")
    return pairs


def _pair(values: Any, where: str) -> MinimalPair:
    if not isinstance(values, dict):
        raise InputError(f"{where}: {values!r:.60}: expected a JSON object")
    for key in ("sentence_good", "sentence_bad", "UID", "pairID"):
        if not isinstance(values.get(key), str) or not values[key]:
            raise InputError(f"{where}: {key}={values.get(key)!r:.60}: expected text")
    if not values["pairID"].isdecimal() or len(values["pairID"]) > 18:
        raise InputError(f"{where}: pairID={values['pairID']!r:.60}: expected an integer")
    return MinimalPair(values["sentence_good"], values["sentence_bad"], values["UID"], int(values["pairID"]))
