"""Multi-query associative recall: keep key-value pairs, then give the value of each key."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from longhold.errors import InputError
from longhold.tasks.task import IGNORE_INDEX, Task, TaskBatch, supervised


@final
@dataclass(frozen=True)
class MQAR(Task):
    """`n` pairs key, value; then every key once more, at a random place, where its value is the target.

    After zoology (Arora et al. 2023, `multiquery_ar`, one pass): of `V` ids, keys are from `1 ... V//2 - 1`, values
    from `V//2 ... V-1`, each drawn without replacement. The pairs take `2n` steps. The queries stand at even distances
    `2 g` from their end, the `g` drawn without replacement from `0 ... (T - 2n)//2 - 1` with probability in proportion
    to `(g + 1)^(a - 1)`: short gaps are likelier, `a = 1` is uniform. Every other step is filled with an id uniform
    over all `V`. The value is the target at the step of the query. Guessing a value is right `1 / (V - V//2)` of the
    time.

    Zoology trains on mixtures of (T, n) from (64, 4) to (256, 64) with `V = 8192`.

    Example:
        With `n = 2`, `T = 10` (keys k, values v, filling `~`):

            input   k2  v1  k1  v4  ~  ~  k1  ~  k2  ~
            answer  .   .   .   .   .  .  v4  .  v1  .
    """

    name: ClassVar[str] = "mqar"

    pairs: Annotated[int, Field(ge=1)] = 4
    """`n`, the pairs to be kept."""
    steps: Annotated[int, Field(ge=4)] = 64
    """`T`, the steps of every sequence: even, and enough for `2n` of pairs and `2n` of queries."""
    vocabulary: Annotated[int, Field(ge=4)] = 8192
    """`V`, keys and values together."""
    power: Annotated[float, Field(gt=0, le=1)] = 0.01
    """`a`, the exponent of the gaps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps % 2 or self.steps < 4 * self.pairs:
            raise InputError(
                f"mqar: steps={self.steps}: expected an even number of at least {4 * self.pairs}, 4 a pair"
            )
        if self.vocabulary // 2 - 1 < self.pairs:
            raise InputError(
                f"mqar: vocabulary={self.vocabulary}: expected {2 * self.pairs + 2} for {self.pairs} pairs"
            )

    @property
    def length(self) -> int:
        return self.steps

    @property
    def input_size(self) -> int:
        return self.vocabulary

    @property
    def output_size(self) -> int:
        return self.vocabulary

    @property
    def chance(self) -> float:
        return 1 / (self.vocabulary - self.vocabulary // 2)

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        half, context = self.vocabulary // 2, 2 * self.pairs
        keys = 1 + self._draw(torch.ones(half - 1), batch_size, generator)  # (n, B)
        values = half + self._draw(torch.ones(self.vocabulary - half), batch_size, generator)
        gaps = torch.arange(1, (self.steps - context) // 2 + 1, dtype=torch.float64) ** (self.power - 1)
        queries = context + 2 * self._draw(gaps, batch_size, generator)
        inputs = torch.randint(self.vocabulary, (self.steps, batch_size), generator=generator)
        inputs[:context:2], inputs[1:context:2] = keys, values
        inputs.scatter_(0, queries, keys)
        return supervised(inputs, torch.full_like(inputs, IGNORE_INDEX).scatter_(0, queries, values))

    def _draw(self, weights: torch.Tensor, batch_size: int, generator: torch.Generator) -> torch.Tensor:
        """`(n, B)` places in `weights`, without replacement in each column."""
        return torch.multinomial(weights.expand(batch_size, -1), self.pairs, generator=generator).T
