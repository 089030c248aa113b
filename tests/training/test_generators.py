"""Random generators are left as they were found."""

from __future__ import annotations

import torch

from longhold.training.generators import generators_kept, generators_of

CPU = torch.device("cpu")


def test_a_block_leaves_no_trace_in_the_generator() -> None:
    before = generators_of(CPU)
    with generators_kept(CPU):
        torch.rand(5)
        assert not torch.equal(torch.get_rng_state(), before["cpu"])
    assert before.keys() == {"cpu"}
    assert torch.equal(torch.get_rng_state(), before["cpu"])
