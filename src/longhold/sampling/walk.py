"""A text written one choice at a time, where choices can be taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from longhold.data.tokenizers import Continuations
from longhold.data.tokenizers.utf8 import GROUND
from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, device_of, evaluation_mode
from longhold.sampling.generate import generator_from, read, recent_ids
from longhold.sampling.sampler import NotFinite, SamplingConfig, only_allowed, sample


@dataclass(frozen=True)
class Candidate:
    """A token that may come next."""

    token: int
    """its id"""
    probability: float
    """as the model has it among the tokens that may come, before any rule of sampling"""


@dataclass(frozen=True)
class _Step:
    ids: tuple[int, ...]
    logits: Tensor  # (1, V), after these ids
    state: State
    recent: Tensor  # (N, 1)
    place: int  # of the rule


@final
class Walk:
    """Tokens after a prompt, chosen by whoever holds it: a person, or chance.

    The model's state after each choice is kept, so taking one back costs nothing.
    """

    def __init__(
        self,
        model: SequenceModel,
        prompt: Sequence[int],
        config: SamplingConfig,
        *,
        seed: int | None = None,
        continuations: Continuations | None = None,
    ) -> None:
        """Read the prompt.

        Args:
            model: any model of the contract over token ids.
            prompt: ids, at least one.
            config: how `draw` draws.
            seed: of these draws, as in `generate`.
            continuations: as in `generate`.

        Raises:
            InputError: the prompt is empty, or the seed is none.
        """
        if not prompt:
            raise InputError("the prompt is empty: at least one token is needed to begin from")
        self._model, self._config, self._rule = model, config, continuations
        self._generator = generator_from(seed, device_of(model))
        self._steps: list[_Step] = []
        nothing = torch.empty(0, 1, dtype=torch.int64, device=device_of(model))
        self._steps.append(self._after(prompt, None, nothing, GROUND))

    @property
    def ids(self) -> list[int]:
        """What was chosen so far, without the prompt."""
        return [token for step in self._steps[1:] for token in step.ids]

    @property
    def amid_a_character(self) -> bool:
        """Whether the last tokens are the beginning of a character that others have to complete."""
        return self._steps[-1].place != GROUND

    def likeliest(self, count: int) -> list[Candidate]:
        """The `count` most probable next tokens, or all that may come, from the most probable down."""
        logits, allowed = self._steps[-1].logits, self._allowed()
        probabilities = (logits if allowed is None else only_allowed(logits, allowed))[0].softmax(-1)
        if not torch.isfinite(probabilities).all():
            raise NotFinite()
        if allowed is not None:
            count = min(count, int(allowed.sum()))
            probabilities = probabilities.masked_fill(~allowed[0], -1.0)  # behind those that are 0
        ranked, order = probabilities.sort(descending=True, stable=True)
        pairs = zip(order[:count].tolist(), ranked[:count].tolist(), strict=True)
        return [Candidate(token, probability) for token, probability in pairs]

    def draw(self) -> int:
        """Take one token by chance, by the rules of the configuration; returns it."""
        last = self._steps[-1]
        token = int(sample(last.logits, self._config, self._generator, last.recent.T, self._allowed()))
        self.take([token])
        return token

    def take(self, ids: Sequence[int]) -> None:
        """Append these tokens, as one choice; nothing happens for none."""
        if ids:
            last = self._steps[-1]
            self._steps.append(self._after(ids, last.state, last.recent, last.place))

    def undo(self) -> bool:
        """Take the last choice back; False where there is none."""
        if len(self._steps) == 1:
            return False
        self._steps.pop()
        return True

    def _allowed(self) -> Tensor | None:
        """(1, V), the ids that may come; None: any."""
        if self._rule is None:
            return None
        last = self._steps[-1]
        return torch.from_numpy(self._rule.allowed(last.place)).to(last.logits.device).unsqueeze(0)

    def _after(self, ids: Sequence[int], state: State | None, recent: Tensor, place: int) -> _Step:
        inputs = torch.tensor(ids, dtype=torch.int64, device=recent.device).unsqueeze(1)
        with evaluation_mode(self._model), torch.inference_mode():
            logits, after = read(self._model, inputs, state)
            place = place if self._rule is None else self._rule.after(ids, place)
            return _Step(tuple(ids), logits, after, recent_ids(recent, inputs, self._config), place)
