"""An integer model as it writes: the twin of `Scribe` in web/assets/scribe.js."""

from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from longhold.data.tokenizers import continuations
from longhold.data.tokenizers.utf8 import GROUND
from longhold.integer.frequencies import HUNDRED
from longhold.integer.generator import IntegerGenerator, draw
from longhold.integer.model import IntegerModel
from longhold.integer.stepper import IntegerStepper


@final
class IntegerWriter:
    """One row of tokens, of which the drawn ones go on with valid UTF-8 at each place.

    Attributes:
        stepper: the model in use.
    """

    def __init__(self, model: IntegerModel, tokens: Sequence[bytes], seed: int) -> None:
        """Take the bytes of each token id; raises InputError for a seed out of range."""
        self.stepper = IntegerStepper(model)
        self._generator = IntegerGenerator(seed)
        self._rule = continuations(tokens)
        self._place = GROUND

    def read(self, ids: Iterable[int]) -> None:
        """Read tokens, whatever they are."""
        for token in ids:
            self.stepper.step(np.array([token]))
            if self._rule is not None:
                self._place = self._rule.after([token], self._place)

    def odds(self, temperature: int = HUNDRED) -> NDArray[np.int64]:
        """(V,), what is drawn from: frequencies of the tokens that may come, 1 for all others."""
        allowed = None if self._rule is None else self._rule.allowed(self._place)
        row: NDArray[np.int64] = self.stepper.frequencies(temperature, allowed)[0]
        return row

    def write(self, temperature: int = HUNDRED) -> int:
        """Draw a token, read it, and say which."""
        token = int(draw(self.odds(temperature)[None], self._generator)[0])
        self.read([token])
        return token
