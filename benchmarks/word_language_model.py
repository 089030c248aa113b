"""torch.nn on the recipe of PyTorch's word_language_model example, over characters, for a stated time.

The recipe is that of github.com/pytorch/examples, `word_language_model/main.py` and `model.py` at commit cd01f93: an
embedding of 200, dropout 0.2, `nn.LSTM` of 2 layers of 200 units with dropout 0.2 between them, dropout 0.2, a linear
decoder, its weights and the embedding's uniform in +-0.1; plain SGD from a learning rate of 20, divided by 4 after an
epoch without a better validation loss; gradients clipped at norm 0.25; 35 steps, batch 20, validation in 10 columns;
the best weights by validation are kept. Characters stand in for words. As there, the dictionary is made from all parts
of the text, so that nothing is unknown; longhold's is made from what is trained on alone. In place of at most 40 epochs
there is a time, and the epoch that it cuts short is validated as well.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State: TypeAlias = tuple[Tensor, Tensor]

_READ_AT_ONCE = 256


@final
@dataclass(frozen=True)
class Recipe:
    """How the example trains, and what it trains."""

    optimizer: Callable[[list[nn.Parameter], float], torch.optim.Optimizer]
    """From parameters and a learning rate."""
    lr: float
    """Where it begins."""
    units: int = 200
    """Of the embedding and of each layer."""
    layers: int = 2
    """Of the LSTM."""
    dropout: float = 0.2
    """After the embedding, between the layers, before the decoder."""
    annealing: float = 4.0
    """What the learning rate is divided by after an epoch that did not help."""
    clip: float = 0.25
    """Largest norm of the gradient."""
    steps: int = 35
    """Characters that the gradient goes back at most."""
    batch: int = 20
    """Columns in training."""
    columns: int = 10
    """Columns in validation."""


RECIPES: dict[str, Recipe] = {
    "nn": Recipe(lambda parameters, lr: torch.optim.SGD(parameters, lr=lr), lr=20.0),
    "nn-tuned": Recipe(lambda parameters, lr: torch.optim.Adam(parameters, lr=lr), lr=3e-3),
}
"""As it stands, and with Adam at the learning rate that is commonly taken for LSTMs of this size."""


@final
class CharacterModel(nn.Module):
    """Embedding, LSTM and decoder; ids `(T, B)` to logits `(T, B, V)`."""

    def __init__(self, vocab_size: int, recipe: Recipe) -> None:
        super().__init__()
        self.encoder = nn.Embedding(vocab_size, recipe.units)
        self.lstm = nn.LSTM(recipe.units, recipe.units, recipe.layers, dropout=recipe.dropout)
        self.decoder = nn.Linear(recipe.units, vocab_size)
        self.dropout = nn.Dropout(recipe.dropout)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        outputs, state = self.lstm(self.dropout(self.encoder(ids)), state)
        return self.decoder(self.dropout(outputs)), state


@final
@dataclass
class Course:
    """How a training went."""

    validations: list[float] = field(default_factory=list)
    """Nats per character, after each epoch and at the end of the time."""
    rates: list[float] = field(default_factory=list)
    """The learning rate before each of them."""
    steps: int = 0
    """Optimizer steps."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights of the least validation loss; empty while none was finite."""

    def evaluate(self, model: CharacterModel, held: Tensor, rate: float, columns: int) -> bool:
        """Validate; whether it was the best so far."""
        nats = evaluate(model, held, columns)
        better = math.isfinite(nats) and nats < min(self.validations, default=math.inf)
        if better:
            self.best = copy.deepcopy(model.state_dict())
        self.validations.append(nats)
        self.rates.append(rate)
        return better


def columns_of(ids: Tensor, count: int) -> Tensor:
    """`ids` `(N,)` cut into `count` equal columns side by side `(N // count, count)`; the rest is left out."""
    length = len(ids) // count
    return ids[: length * count].view(count, length).t().contiguous()


def fit(model: CharacterModel, train: Tensor, held: Tensor, recipe: Recipe, until: float) -> Course:
    """Train until `time.perf_counter()` says `until`; the model ends with the best weights."""
    course, rate = Course(), recipe.lr
    optimizer = recipe.optimizer(list(model.parameters()), rate)
    data = columns_of(train, recipe.batch)
    while _epoch(model, data, optimizer, recipe, until, course):
        if not course.evaluate(model, held, rate, recipe.columns):
            rate /= recipe.annealing
            for group in optimizer.param_groups:
                group["lr"] = rate
    course.evaluate(model, held, rate, recipe.columns)
    model.load_state_dict(course.best or model.state_dict())
    return course


def _epoch(
    model: CharacterModel,
    data: Tensor,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    until: float,
    course: Course,
) -> bool:
    """One epoch with the state carried along; False if the time ended it."""
    model.train()
    state: State | None = None
    for start in range(0, len(data) - 1, recipe.steps):
        if time.perf_counter() >= until:
            return False
        stop = min(start + recipe.steps, len(data) - 1)
        state = None if state is None else (state[0].detach(), state[1].detach())
        logits, state = model(data[start:stop], state)
        loss = F.cross_entropy(logits.flatten(0, 1), data[start + 1 : stop + 1].flatten())
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        course.steps += 1
    return True


def evaluate(model: CharacterModel, ids: Tensor, columns: int) -> float:
    """Mean nats of each id given all before it in its column, without dropout."""
    model.eval()
    data, total = columns_of(ids, columns), 0.0
    state: State | None = None
    with torch.inference_mode():
        for start in range(0, len(data) - 1, _READ_AT_ONCE):
            stop = min(start + _READ_AT_ONCE, len(data) - 1)
            logits, state = model(data[start:stop], state)
            targets = data[start + 1 : stop + 1].flatten()
            total += float(F.cross_entropy(logits.flatten(0, 1), targets, reduction="sum"))
    return total / (columns * (len(data) - 1))
