"""Texts that people send to be trained on: bytes become text, and what a person should know of them before."""

import secrets
from collections import OrderedDict
from typing import Any, Final, Literal, final

from longhold.data import Corpus, decode, split
from longhold.data.overlap import repetition
from longhold.errors import InputError
from longhold.options import Cell, TextOptions
from longhold.training import Forecast, forecast
from longhold.training.plan import SMALL_TEXT
from longhold.training.presets import available_cores

Answer = dict[str, Any]

Encoding = Literal[
    "utf-8",
    "utf-16",
    "gb18030",
    "big5",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "cp1250",
    "cp1251",
    "koi8_r",
    "cp1252",
    "mac_roman",
]
"""Encodings that a person may name where the guess is wrong."""

_MOST: Final = 2  # texts
_PREVIEW: Final = 240


@final
class Texts:
    """The texts that came last."""

    def __init__(self, device: str) -> None:
        """`device` is where a training would run."""
        self._device = device
        self._texts: OrderedDict[str, Corpus] = OrderedDict()

    def take(self, raw: bytes, encoding: Encoding | None) -> Answer:
        """Read the bytes of a text and keep it.

        Raises:
            InputError: they are not text, or not in that encoding, or empty.
        """
        decoded = decode(raw, name="it", encoding=encoding)
        held = decoded.held
        if held.is_blank():
            raise InputError("it is empty, expected text")
        name = secrets.token_urlsafe(9)
        self._texts[name] = Corpus("text", held, decoded.encoding, 1, ())
        while len(self._texts) > _MOST:
            self._texts.popitem(last=False)
        # A guess shows where it is not ASCII.
        start = max(0, held.first_beyond_ascii() - _PREVIEW // 3) if decoded.note else 0
        repeated, shared = repetition(*split(held)) if len(held) > 1 else (None, None)
        return {
            "text": name,
            "characters": len(held),
            "small": len(held) < SMALL_TEXT,
            "encoding": decoded.encoding,
            "guessed": decoded.note is not None,
            "others": list(decoded.others),
            "preview": ("..." if start else "") + str(held[start : start + _PREVIEW]),
            "repeated": repeated,
            "shared": shared,
        }

    def forecast(self, text: str, cell: Cell, seconds: float | None) -> Answer:
        """What training on a text would be: the settings that would be chosen, and how long it takes here."""
        options = TextOptions(cell=cell, budget_seconds=seconds)
        found = forecast(self.named(text), options, device=self._device)
        return _as_answer(found) | {"device": self._device, "cores": available_cores()}

    def named(self, text: str) -> Corpus:
        """Returns the text of this name; InputError where it is no longer here."""
        found = self._texts.get(text)
        if found is None:
            raise InputError("this text is no longer here: send it again")
        return found


def _as_answer(found: Forecast) -> Answer:
    model, training = found.model, found.training
    return {
        "characters": found.characters,
        "cell": model.cell.upper(),
        "layers": model.num_layers,
        "units": model.hidden_size,
        "parameters": found.parameters,
        "rows": training.batch_size,
        "length": training.sequence_length,
        "rate": training.lr,
        "forgetful": model.weight_dropout > 0,
        "steps": training.steps,
        "seconds": round(found.seconds, 1),
    }
