import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.batching import Batches, ContiguousBatches, RandomBatches, fitting_batch
from longhold.errors import InputError


def d2l_sequential(corpus: list[int], batch_size: int, steps: int, offset: int) -> list[tuple[list, list]]:
    """The tutorial's rule in plain lists, time-major: rows beside each other, cut from the left."""
    usable = (len(corpus) - offset - 1) // batch_size * batch_size
    row = usable // batch_size
    rows = [corpus[offset + b * row : offset + (b + 1) * row] for b in range(batch_size)]
    nexts = [corpus[offset + 1 + b * row : offset + 1 + (b + 1) * row] for b in range(batch_size)]
    return [
        ([list(t) for t in zip(*(r[i : i + steps] for r in rows), strict=True)],
         [list(t) for t in zip(*(r[i : i + steps] for r in nexts), strict=True)])
        for i in range(0, row // steps * steps, steps)
    ]  # fmt: skip


plans = st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(0, 120), st.integers(0, 5))


def make(kind: str, plan: tuple[int, int, int, int]) -> Batches:
    batch_size, steps, more, seed = plan
    tokens = np.arange((batch_size + 1) * steps + 1 + more)
    if kind == "random":
        return RandomBatches(tokens, batch_size, steps, seed)
    return ContiguousBatches(tokens, batch_size, steps, seed, random_offset=kind == "offset")


KINDS = pytest.mark.parametrize("kind", ["contiguous", "offset", "random"])


@given(plan=plans)
def test_without_offset_an_epoch_is_the_tutorial_s(plan: tuple[int, int, int, int]) -> None:
    batches = make("contiguous", plan)
    expected = d2l_sequential(batches.tokens.tolist(), batches.batch_size, batches.steps, 0)
    assert batches.per_epoch == len(expected)
    for step, (inputs, targets) in enumerate(expected * 2):
        batch = batches.at(step)
        assert (batch.inputs.tolist(), batch.targets.tolist()) == (inputs, targets)
        assert batch.fresh == (step % len(expected) == 0)


@given(plan=plans)
def test_with_offset_an_epoch_is_the_tutorial_s_for_some_offset(plan: tuple[int, int, int, int]) -> None:
    batches = make("offset", plan)
    corpus = batches.tokens.tolist()
    counts = [len(d2l_sequential(corpus, batches.batch_size, batches.steps, o)) for o in range(batches.steps + 1)]
    assert batches.per_epoch == min(counts)
    assert max(counts) - min(counts) <= 1
    for epoch in range(3):
        first = epoch * batches.per_epoch
        offset = int(batches.at(first).inputs[0, 0])
        expected = d2l_sequential(corpus, batches.batch_size, batches.steps, offset)
        for index in range(batches.per_epoch):
            batch = batches.at(first + index)
            assert (batch.inputs.tolist(), batch.targets.tolist()) == expected[index]
            assert batch.fresh == (index == 0)


def test_offsets_are_drawn_uniformly_from_zero_to_steps() -> None:
    batches = ContiguousBatches(np.arange(200), 2, 5, seed=3, random_offset=True)
    offsets = [int(batches.at(epoch * batches.per_epoch).inputs[0, 0]) for epoch in range(6000)]
    counts = np.bincount(offsets)
    assert len(counts) == 6
    assert abs(counts / 1000 - 1).max() < 0.15
    assert offsets[:20] != [
        int(ContiguousBatches(np.arange(200), 2, 5, seed=4, random_offset=True).at(e * batches.per_epoch).inputs[0, 0])
        for e in range(20)
    ]


@given(plan=plans)
def test_columns_of_carried_batches_are_the_stream(plan: tuple[int, int, int, int]) -> None:
    batches = make("offset", plan)
    epoch = [batches.at(batches.per_epoch + k) for k in range(batches.per_epoch)]
    for a, b in pairwise(epoch):
        assert torch.equal(b.inputs[0], a.targets[-1])
    stream = torch.cat([batch.inputs for batch in epoch])
    assert (stream.diff(dim=0) == 1).all()
    assert len(stream.unique()) == stream.numel()


@given(plan=plans)
def test_random_subsequences_are_whole_disjoint_and_shuffled(plan: tuple[int, int, int, int]) -> None:
    batches = make("random", plan)
    batch_size, steps = batches.batch_size, batches.steps
    counts = [(len(batches.tokens) - offset - 1) // steps // batch_size for offset in range(steps)]
    assert batches.per_epoch == min(counts)
    for epoch in range(2):
        parts = [batches.at(epoch * batches.per_epoch + k) for k in range(batches.per_epoch)]
        assert all(part.fresh for part in parts)
        assert all(torch.equal(part.targets, part.inputs + 1) for part in parts)
        starts = torch.cat([part.inputs[0] for part in parts])
        assert len(starts.unique()) == len(starts)
        offset = set((starts % steps).tolist())
        assert len(offset) == 1


def test_random_order_changes_with_the_epoch_and_covers_the_text() -> None:
    batches = RandomBatches(np.arange(1003), 4, 5)
    orders = []
    for epoch in range(2):
        steps = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
        orders.append(torch.cat([batches.at(step).inputs[0] for step in steps]).tolist())
    assert orders[0] != sorted(orders[0])
    assert orders[0] != orders[1]
    assert all(len(order) * 5 > 1003 - 2 * 5 - 4 * 5 for order in orders)


@KINDS
@given(plan=plans, order=st.randoms(use_true_random=False))
def test_a_batch_depends_on_its_address_alone(kind: str, plan: tuple[int, int, int, int], order: random.Random) -> None:
    steps = list(range(12))
    batches = make(kind, plan)
    forward = [batches.at(step) for step in steps]
    order.shuffle(steps)
    for step in steps:
        again = (batches if step % 2 else make(kind, plan)).at(step)
        assert torch.equal(again.inputs, forward[step].inputs)
        assert torch.equal(again.targets, forward[step].targets)
        assert again.fresh == forward[step].fresh


@KINDS
@given(world=st.integers(1, 4), width=st.integers(1, 3), steps=st.integers(1, 6), more=st.integers(0, 90))
def test_shards_side_by_side_are_the_whole(kind: str, world: int, width: int, steps: int, more: int) -> None:
    batches = make(kind, (world * width, steps, more, 1))
    shards = [batches.shard(rank, world) for rank in range(world)]
    assert {(type(shard), shard.per_epoch, shard.batch_size) for shard in shards} == {
        (type(batches), batches.per_epoch, width)
    }
    for step in (0, 1, batches.per_epoch, 5 * batches.per_epoch + 1):
        whole, parts = batches.at(step), [shard.at(step) for shard in shards]
        assert torch.equal(torch.cat([part.inputs for part in parts], dim=1), whole.inputs)
        assert torch.equal(torch.cat([part.targets for part in parts], dim=1), whole.targets)
        assert {part.fresh for part in parts} == {whole.fresh}


@KINDS
def test_a_shard_can_be_cut_again(kind: str) -> None:
    batches = make(kind, (8, 3, 50, 0))
    assert torch.equal(batches.shard(1, 2).shard(0, 2).at(4).inputs, batches.shard(2, 4).at(4).inputs)


@KINDS
def test_the_smallest_text_that_is_named_is_enough(kind: str) -> None:
    def build(count: int) -> Batches:
        if kind == "random":
            return RandomBatches(np.arange(count), 6, 20)
        return ContiguousBatches(np.arange(count), 6, 20, random_offset=kind == "offset")

    least = {"contiguous": 121, "offset": 141, "random": 140}[kind]
    assert build(least).per_epoch == 1
    for step in range(50):
        build(least).at(step)
    with pytest.raises(InputError, match=rf"^{least - 1} tokens .* 6 x 20: that takes {least}; 3 x 20 would fit$"):
        build(least - 1)
    with pytest.raises(InputError, match="no batch fits so short a text"):
        build(10)
    with pytest.raises(InputError, match=r"^0 tokens"):
        build(0)


@given(count=st.integers(50, 3000), batch_size=st.integers(1, 70), steps=st.integers(1, 200))
def test_a_fitted_batch_fits_every_kind(count: int, batch_size: int, steps: int) -> None:
    tokens = np.zeros(count, dtype=np.uint16)
    fit, fit_steps = fitting_batch(tokens, batch_size, steps)
    assert 1 <= fit <= batch_size
    assert 1 <= fit_steps <= steps
    assert ContiguousBatches(tokens, fit, fit_steps, random_offset=True).per_epoch >= 1
    assert RandomBatches(tokens, fit, fit_steps).per_epoch >= 1


def test_what_fits_is_left_alone_and_49_tokens_are_too_few() -> None:
    assert fitting_batch(np.zeros(10_000, dtype=int), 32, 35) == (32, 35)
    assert fitting_batch(np.zeros(50, dtype=int), 32, 35) == (4, 8)
    with pytest.raises(InputError, match="at least 50 tokens, got 49"):
        fitting_batch(np.zeros(49, dtype=int), 32, 35)


@KINDS
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64])
def test_batches_are_time_major_int64_whatever_the_tokens_are(kind: str, dtype: type) -> None:
    tokens = np.arange(100).astype(dtype)
    whole = RandomBatches(tokens, 3, 7) if kind == "random" else ContiguousBatches(tokens, 3, 7)
    batch = whole.at(1)
    assert batch.inputs.shape == batch.targets.shape == (7, 3)
    assert batch.inputs.dtype == batch.targets.dtype == torch.int64
    assert batch.inputs.is_contiguous()


def test_a_batch_shares_no_memory_with_the_tokens() -> None:
    tokens = np.arange(10)
    batch = ContiguousBatches(tokens, 1, 4).at(0)
    batch.inputs.fill_(99)
    assert tokens.tolist() == list(range(10))


@KINDS
@pytest.mark.parametrize(
    ("batch_size", "steps", "seed", "name"),
    [(0, 3, 0, "batch_size"), (-2, 3, 0, "batch_size"), (2, 0, 0, "steps"), (2, 3, -1, "seed"), (2.0, 3, 0, "batch")],
)
def test_wrong_plans_are_refused(kind: str, batch_size: int, steps: int, seed: int, name: str) -> None:
    with pytest.raises(InputError, match=name):
        (RandomBatches if kind == "random" else ContiguousBatches)(np.arange(100), batch_size, steps, seed)


@pytest.mark.parametrize("tokens", [np.zeros(100), np.zeros((10, 10), dtype=int), ["a"] * 100, np.zeros(9, dtype=bool)])
def test_tokens_that_are_no_row_of_integers_are_refused(tokens: object) -> None:
    for use in (ContiguousBatches, RandomBatches, fitting_batch):
        with pytest.raises(InputError, match="one row of integers"):
            use(tokens, 2, 3)  # type: ignore[operator]


@KINDS
def test_wrong_addresses_are_refused(kind: str) -> None:
    batches = make(kind, (6, 3, 30, 0))
    for step in (-1, 1.5):
        with pytest.raises(InputError, match=f"step .* got {step}"):
            batches.at(step)  # type: ignore[arg-type]
    for rank, world in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(InputError, match=f"rank {rank} of world {world}"):
            batches.shard(rank, world)
    with pytest.raises(InputError, match="multiple of the 4 workers, got 6"):
        batches.shard(0, 4)
