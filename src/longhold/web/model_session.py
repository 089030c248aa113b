"""What the page may request of the models, and the answers as JSON can hold them."""

import copy
import math
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor

from longhold._version import __version__
from longhold.data.lines import as_read
from longhold.errors import InputError
from longhold.inspection import (
    TextTrace,
    bias_time_constants,
    gradient_by_lag,
    text_properties,
    time_constants,
    unit_scores,
    unit_step,
)
from longhold.inspection.gates import recurrent_layer
from longhold.inspection.text_trace import Odds
from longhold.models import State
from longhold.models.contract import device_of
from longhold.text import TextModel
from longhold.web.task_queue import Job, Stop

LONGEST_TEXT = 5000
"""Characters that are looked into at a time."""

LARGEST_TRACE = 32_000_000
"""Numbers (states and gates of every step) that one trace may hold, 128 MB."""

CACHED = 4
"""Traces that are cached; the page needs the newest of each model."""

OWN_WRITING = 4000
"""Tokens on which units are scored: the model's own writing, where the text has fewer than half as many."""

SAMPLES = {
    "en": 'The Time Traveller smiled. "Are you sure we can move freely in Space?" (so he said)',
    "zh-Hans": "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？",
}
"""What the page opens with, by its language."""

OWN_SAMPLE = 80
"""Tokens that a model writes to be opened with where it can spell none of those."""

FARTHEST = 200
"""Steps back to which the gradient is followed."""

Answer = dict[str, Any]


@final
@dataclass(frozen=True)
class CachedTrace:
    """A trace and its model."""

    model: TextModel
    trace: TextTrace


@final
class ModelSession:
    """Some models, and the newest texts they have read."""

    def __init__(self, models: Sequence[tuple[str, TextModel]]) -> None:
        """`models` with the name that each is shown by.

        Raises:
            InputError: there is one that holds no recurrent layer.
        """
        self._models: list[tuple[str, TextModel]] = []
        self._described: list[Answer] = []
        for name, model in models:
            self.add(name, model)
        self._traces: OrderedDict[str, CachedTrace] = OrderedDict()

    @property
    def names(self) -> tuple[str, ...]:
        """What the models are shown by."""
        return tuple(name for name, _ in self._models)

    def add(self, name: str, model: TextModel) -> int:
        """Take in one more model; its number is returned. Raises InputError where it holds no recurrent layer."""
        recurrent_layer(model.model)
        self._models.append((name, model))
        self._described.append(_about(name, model))
        return len(self._models) - 1

    def about(self) -> Answer:
        """What is there to look into."""
        return {
            "version": __version__,
            "longest_text": LONGEST_TEXT,
            "models": list(self._described),
        }

    def trace(self, stop: Stop, model: int, text: str) -> Answer:
        """Read a text: its pieces, their surprise in bits, and a name to ask more by.

        Raises:
            InputError: no such model, or a text that is empty, too long or not of its vocabulary.
        """
        chosen, text = self._model(model), as_read(text)
        _check_length(chosen, text)
        trace = chosen.trace(text, on_step=lambda done, total: stop.check())
        name = secrets.token_urlsafe(9)
        self._traces[name] = CachedTrace(chosen, trace)
        while len(self._traces) > CACHED:
            self._traces.popitem(last=False)
        sums = [0.0, *accumulate(trace.bits.tolist())]
        return {
            "trace": name,
            "pieces": [piece.text for piece in trace.pieces],
            "starts": [piece.start for piece in trace.pieces],
            "bits": [numeral(sums[piece.stop] - sums[piece.start]) for piece in trace.pieces],
            "tokens": len(trace.tokens),
            "bits_per_character": numeral(trace.bits_per_character),
            "bits_per_byte": numeral(float(trace.bits.sum()) / len(text.encode())),
            "unknown": list(chosen.unknown(text))[:20],
        }

    def step(self, trace: str, place: int) -> Answer:
        """One token: its surprise, the odds before and after it, states and gates of every layer."""
        found = self._trace(trace).trace
        _check_place(found, place)
        stacks = _stacks(found)
        return {
            "token": found.tokens[place],
            "bits": numeral(float(found.bits[place])),
            "rank": int(found.rank[place]),
            "expected": _odds(found.odds(place)),
            "next": _odds(found.odds(place + 1)),
            "layers": [
                {name: numerals(values[layer, place]) for name, values in stacks.items()}
                for layer in range(found.h.shape[0])
            ],
        }

    def unit(self, trace: str, layer: int, unit: int, quantity: str) -> Answer:
        """One state or gate of one unit at every token."""
        found = self._trace(trace).trace
        stacks = _stacks(found)
        if quantity not in stacks:
            raise InputError(f"quantity={quantity!r:.20}: expected one of {', '.join(stacks)}")
        values = stacks[quantity]
        if not (0 <= layer < values.shape[0] and 0 <= unit < values.shape[2]):
            raise InputError(f"layer {layer}, unit {unit}: expected below {values.shape[0]} and {values.shape[2]}")
        return {"values": numerals(values[layer, :, unit])}

    def units(self, stop: Stop, model: int, text: str) -> Answer:
        """The units that follow each property of a text, found on its first half and measured on its second."""
        chosen = self._model(model)
        own = len(text) < OWN_WRITING // 2
        if own:
            text = "".join(_checked(stop, chosen.write(length=OWN_WRITING, temperature=0.8, seed=0)))[:OWN_WRITING]
        text = as_read(text)
        _check_length(chosen, text)
        trace = chosen.trace(text, likeliest=1, on_step=lambda done, total: stop.check())
        ends = [piece.stop - 1 for piece in trace.pieces]
        last = [end - 1 for end in accumulate(len(piece.text) for piece in trace.pieces)]
        states = (trace.h if trace.c is None else trace.c)[:, ends]
        found: Answer = {}
        for name, labels in text_properties(text).items():
            stop.check()
            scores = unit_scores(states, torch.from_numpy(labels[last]))
            found[name] = None if scores is None else asdict(scores)
        return {"own": own, "steps": len(ends), "quantity": "h" if trace.c is None else "c", "properties": found}

    def constants(self, trace: str) -> Answer:
        """Time constants of every unit in steps: by its bias alone, and along the text."""
        cached = self._trace(trace)
        by_bias = bias_time_constants(cached.model.model)
        found = time_constants(cached.model.model, self._inputs(cached, len(cached.trace.ids)))
        return {
            "gate": found.gate,
            "layers": [
                {"by_bias": numerals(bias), "along_text": numerals(along)}
                for bias, along in zip(by_bias, found.along_path, strict=True)
            ],
        }

    def lag(self, trace: str, place: int) -> Answer:
        """How much each token before `place` moves the surprise at `place`: the gradient's norm by lag.

        The loss is that of the token in `place`; lag 0 is the step that predicts it, which read the token before it.
        """
        cached = self._trace(trace)
        _check_place(cached.trace, place)
        if place < 1:
            raise InputError("the first character has nothing before it to look back at: choose a later one")
        inputs = self._inputs(cached, place)
        targets = torch.full_like(inputs, -100)
        targets[-1] = cached.trace.ids[place]
        found = gradient_by_lag(
            cached.model.model, inputs, targets, max_lag=min(place, FARTHEST), positions=1, dtype=torch.float64
        )
        decay = found.by_state.decay
        return {
            "lags": list(found.by_input.lags),
            "by_input": [numeral(value) for value in found.by_input.mean],
            "by_state": [None, *(numeral(value) for value in found.by_state.mean)],
            "tau": None if decay is None or not decay.exponential else numeral(decay.tau),
        }

    def equations(self, trace: str, place: int, layer: int, unit: int) -> Answer:
        """One unit at one token: the cell's equations with their numbers."""
        cached = self._trace(trace)
        _check_place(cached.trace, place)
        found = unit_step(cached.model.model, cached.trace.ids[place], self._before(cached, place), layer, unit)
        return asdict(found)

    def write(self, job: Job, model: int, text: str, length: int, temperature: float) -> None:
        """Go on from `text`, into `job.text`."""
        chosen = self._model(model)
        # Reading hooks into the model's layer, and may go on meanwhile
        writer = TextModel(copy.deepcopy(chosen.model), chosen.tokenizer)
        for piece in writer.write(as_read(text)[-LONGEST_TEXT:], length=length, temperature=temperature):
            job.stop.check()
            job.text += piece

    def checked_model(self, model: int) -> None:
        """Raise InputError where there is no such model."""
        self._model(model)

    def _model(self, index: int) -> TextModel:
        if not 0 <= index < len(self._models):
            expected = f"expected 0 to {len(self._models) - 1}" if self._models else "there is none yet"
            raise InputError(f"model {index}: {expected}")
        return self._models[index][1]

    def _trace(self, name: str) -> CachedTrace:
        cached = self._traces.get(name)
        if cached is None:
            raise InputError("this reading is no longer kept: read the text again")
        return cached

    @staticmethod
    def _inputs(cached: CachedTrace, count: int) -> Tensor:
        """The start token and the first tokens of a trace, `(count + 1, 1)`: what is read before place `count`."""
        ids = [cached.trace.begin, *cached.trace.ids][: count + 1]
        return torch.tensor(ids, device=device_of(cached.model.model))[:, None]

    @staticmethod
    def _before(cached: CachedTrace, place: int) -> State:
        """The model's state before the token in `place`."""
        device = device_of(cached.model.model)
        if place == 0:
            with torch.no_grad():
                return cached.model.model(torch.tensor([[cached.trace.begin]], device=device))[1]
        states = (cached.trace.h, cached.trace.c)
        h, c = (None if part is None else part[:, place - 1, None].to(device) for part in states)
        assert h is not None
        return h if c is None else (h, c)


def numeral(value: float) -> float | None:
    """Six digits of a number; None where it is not finite, since JSON has no such number."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def numerals(values: Tensor) -> list[float | None]:
    """`numeral` of each."""
    return [numeral(value) for value in values.tolist()]


def _about(name: str, model: TextModel) -> Answer:
    layer = recurrent_layer(model.model)
    return {
        "name": name,
        "cell": type(layer).__name__,
        "layers": layer.num_layers,
        "units": layer.hidden_size,
        "vocabulary": model.tokenizer.vocab_size,
        "tokens": model.tokenizer.kind,
        "parameters": sum(parameter.numel() for parameter in model.model.parameters()),
        "corpus": model.facts.corpus,
        "held_out": model.facts.held_out_bits_per_character,
        "samples": _samples(model),
    }


def _samples(model: TextModel) -> dict[str, str]:
    """For each language of the page a text to open with: the language's own, else one that the model can spell."""
    known = {language: sample for language, sample in SAMPLES.items() if _spells(model, sample)}
    if not known:
        written = "".join(model.write(length=OWN_SAMPLE, seed=0)) or SAMPLES["en"]
        return dict.fromkeys(SAMPLES, written)
    return {language: known.get(language, next(iter(known.values()))) for language in SAMPLES}


def _spells(model: TextModel, text: str) -> bool:
    """Whether the model can read the text, and has met at least four in five of its characters."""
    try:
        model.tokenizer.encode(text)
    except InputError:
        return False
    return 5 * len("".join(model.unknown(text))) <= len(set(text))


def _stacks(trace: TextTrace) -> dict[str, Tensor]:
    """The gates by letter, then c and h, `(L, T, .)` each."""
    gates = {} if trace.gates is None else trace.gates._asdict()
    return {**gates, **({} if trace.c is None else {"c": trace.c}), "h": trace.h}


def _odds(odds: Sequence[Odds]) -> list[list[str | float | None]]:
    return [[each.token, numeral(each.probability)] for each in odds]


def _checked(stop: Stop, pieces: Any) -> Any:
    for piece in pieces:
        stop.check()
        yield piece


def _check_length(model: TextModel, text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise InputError(f"a text of {len(text)} characters: at most {LONGEST_TEXT} are looked into at a time")
    layer = recurrent_layer(model.model)
    tokens = len(model.tokenizer.encode(text))
    most = LARGEST_TRACE // (6 * layer.num_layers * layer.hidden_size)
    if tokens > most:
        raise InputError(f"a text of {tokens} tokens: of this model at most {most} are looked into at a time")


def _check_place(trace: TextTrace, place: int) -> None:
    if not 0 <= place < len(trace.ids):
        raise InputError(f"place {place}: expected 0 to {len(trace.ids) - 1}")
