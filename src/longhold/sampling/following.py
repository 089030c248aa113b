"""Where the texts of a batch stand, and which tokens may come next there."""

from typing import final

import torch
from torch import Tensor

from longhold.data.tokenizers import Continuations


@final
class Following:
    """The places of some rows of ids under a rule, kept on the device of the ids.

    Attributes:
        table: (S, V) int8, the state after each id in each state; -1 where it may not come.
        places: (B,) int64, the state of each row.
    """

    def __init__(self, rule: Continuations, prompts: Tensor) -> None:
        """Begin after the columns of `prompts` (T, B)."""
        self.table = torch.from_numpy(rule.next).to(prompts.device)
        places = [rule.after(column) for column in prompts[-3:].T.tolist()]
        self.places = torch.tensor(places, device=prompts.device)

    def allowed(self) -> Tensor:
        """(B, V) bool, the ids that may come."""
        return self.table[self.places] >= 0

    def take(self, ids: Tensor) -> None:
        """Append ids (B,) that may come."""
        self.places = self.table[self.places, ids].long()
