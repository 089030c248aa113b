"""The common part of all recurrent layers: the call, initial states, lengths, resets, packing, directions."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from longhold.cells import Recurrence
from longhold.kernels import Choice, DirectionNoise, DirectionParameters, StackCall, StackResult, choose, run
from longhold.kernels.addresses import check_memory
from longhold.kernels.lookup import is_ids
from longhold.kernels.stream import StreamWeights
from longhold.layers.inputs import Prepared, prepare, restore
from longhold.layers.masks import LayerMasks, Masks, keep_mask, zone_mask
from longhold.layers.parameters import Extras, HiddenT, RecurrentModule, Shape
from longhold.layers.runners import Snapshot
from longhold.layers.stream import Stream, Weights, check_streamable
from longhold.layers.to_torch import fx_leaf

Lengths = Tensor | Sequence[int] | int
TraceT = TypeVar("TraceT")


class RecurrentLayer(RecurrentModule[HiddenT], Generic[HiddenT, TraceT]):
    """The abstract layer behind `RNN`, `GRU` and `LSTM`; a subclass sets the recurrence and the form of its state."""

    def __init__(
        self,
        recurrence: Recurrence,
        shape: Shape,
        extras: Extras,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(recurrence, shape, extras, device, dtype)
        self.flatten_parameters()

    def _suffixes(self) -> list[str]:
        ends = ("", "_reverse")[: self.directions]
        return [f"_l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """torch's parameters, a list for each layer and direction."""
        names = [name for name, _ in self._torch_shapes(self.input_size)]
        return [[getattr(self, name + suffix) for name in names] for suffix in self._suffixes()]

    @property
    def _flat_weights_names(self) -> list[str]:
        names = [name for name, _ in self._torch_shapes(self.input_size)]
        return [name + suffix for suffix in self._suffixes() for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def flatten_parameters(self) -> None:
        """Lay the weights in cuDNN's one chunk, as torch.nn does; on the CPU there is nothing to do."""
        nn.RNNBase.flatten_parameters(cast(Any, self))

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.flatten_parameters()
        return self

    def draw_masks(self, steps: int, batch: int) -> Masks:
        """The masks of one training call, from torch's generator; pass them as `masks=` to use them again.

        In evaluation, or with all rates 0, every mask is None.
        """
        layers = tuple(self._draw_layer_masks(steps, batch, suffix) for suffix in self._suffixes())
        return Masks(layers, self._draw_between(batch))

    def _locks(self) -> bool:
        return bool(self.training and self.locked_dropout and self.dropout and self.num_layers > 1)

    def _draw_between(self, batch: int) -> tuple[Tensor, ...]:
        if not self._locks():
            return ()
        shape, like = (batch, self.directions * self.output_size), self._flat_weights[0]
        drawn = (keep_mask(shape, self.dropout, like) for _ in range(self.num_layers - 1))
        return tuple(mask for mask in drawn if mask is not None)

    def _draw_layer_masks(self, steps: int, batch: int, suffix: str) -> LayerMasks:
        if not self.training:
            return LayerMasks()
        weight = cast(Tensor, getattr(self, "weight_hh" + suffix))
        zones = [
            zone_mask((steps, batch, size), rate, weight)
            for size, rate in zip(self._state_sizes(), self.zoneout_rates, strict=False)
        ]
        return LayerMasks(
            recurrent_dropout=keep_mask((batch, self.output_size), self.recurrent_dropout, weight),
            zoneout_h=zones[0] if zones else None,
            zoneout_c=zones[1] if len(zones) > 1 else None,
            weight_dropout=keep_mask(tuple(weight.shape), self.weight_dropout, weight),
        )

    def _is_noisy(self) -> bool:
        drops = self.recurrent_dropout or self.weight_dropout
        return bool(any(self.zoneout_rates) or (self.training and drops) or self._locks())

    def _noise(self, masks: Masks) -> list[DirectionNoise]:
        found = []
        for mask in masks.layers:
            zoneout: tuple[Tensor | float | None, ...] = (mask.zoneout_h, mask.zoneout_c)
            zoneout = zoneout[: len(self.recurrence.state_names)]
            if not self.training and all(zone is None for zone in zoneout):
                zoneout = tuple(rate or None for rate in self.zoneout_rates)
            found.append(
                DirectionNoise(mask.recurrent_dropout, zoneout if any(zone is not None for zone in zoneout) else ())
            )
        return found

    def _check_masks(self, masks: Masks, prepared: Prepared) -> None:
        if len(masks.layers) != len(self._suffixes()):
            count = len(self._suffixes())
            raise ValueError(f"masks should have one entry for each of {count} directions, got {len(masks.layers)}")
        steps, batch = prepared.steps, prepared.batch
        between = [(batch, self.directions * self.output_size)] * (self.num_layers - 1)
        given = [tuple(mask.shape) for mask in masks.between]
        if given and given != between:
            raise ValueError(f"masks.between should be empty or have shapes {between}, got {given}")
        rows = len(self.recurrence.gate_names) * self.hidden_size
        expected = {
            "recurrent_dropout": (batch, self.output_size),
            "zoneout_h": (steps, batch, self.output_size),
            "zoneout_c": (steps, batch, self.hidden_size),
            "weight_dropout": (rows, self.output_size),
        }
        for layer in masks.layers:
            for name, shape in expected.items():
                mask = getattr(layer, name)
                if mask is not None and tuple(mask.shape) != shape:
                    raise ValueError(f"masks.{name} should have shape {shape}, got {list(mask.shape)}")

    @staticmethod
    def _drop_weights(parameters: DirectionParameters, masks: LayerMasks) -> DirectionParameters:
        if masks.weight_dropout is None:
            return parameters
        check_memory([parameters.weight_hh, masks.weight_dropout])
        return replace(parameters, weight_hh=parameters.weight_hh * masks.weight_dropout)

    @abstractmethod
    def _make_trace(
        self, output: Tensor, state: HiddenT, states: tuple[Tensor, ...], gates: tuple[Tensor, ...]
    ) -> TraceT:
        """The cell's trace."""

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 torch's name
        hx: HiddenT | None = None,
        lengths: Lengths | None = None,
        reset: Tensor | None = None,
        masks: Masks | None = None,
        checkpoint_every: int | None = None,
    ) -> tuple[Any, HiddenT]:
        """Run the layer over a whole sequence; without keywords exactly torch.nn's call.

        Arguments:
            input: (T, B, I), (B, T, I) with `batch_first`, (T, I) unbatched, or a PackedSequence. Or, without the
                dimension I, token ids from 0 to I - 1, int64 or int32: (T, B), (B, T), (T,) or packed (N,). They mean
                their one-hot vectors, which are not made where the backend can look up columns of `weight_ih_l0`.
            hx: state before the first step, `h` (L*D, B, P) or for the LSTM `(h, c)`; unbatched without B. Default:
                zeros, or the learned initial state.
            lengths: (B,) integers from 0 to T, in any order. Outputs beyond a length are zero, the backward direction
                starts at length - 1 and the final state belongs to the last valid step; padding may hold anything. A
                row of length 0 ends in the state it began with: hx, else the learned initial state or zeros.
            reset: (T, B) bool, following `batch_first` ((T,) unbatched). True at [t, b]: before step t every layer's
                state becomes its initial one (not `hx`) and no gradient crosses; the backward direction is cut at the
                same place. Ignored beyond the length.
            masks: masks drawn before by `draw_masks(T, B)`. Default: drawn here.
            checkpoint_every: keep for the backward pass, besides h, the cell state of every so many steps only (rounded
                up to some 512 / B steps in float32), and compute the gates again: less memory, more time, and on the
                `cpu` backend the same bits on every processor, for it does every product itself. With any option in
                which the cell differs from torch.nn's (layer norm, peepholes, coupled gates, projection, zoneout, the
                original GRU), and on the `reference` backend, the sequence is run in chunks of so many steps: output,
                state and gradients are then the same up to rounding, for a product over a chunk's steps is torch's,
                and how that rounds may depend on their number and on the processor. Not on `torch`.

        Returns:
            The output, (T, B, D*P) in the input's layout (packed if the input was), and the final state in hx's form.
            Both may be written in place; the gradients are those of the same done out of place.

        Raises:
            IndexError: an id is not from 0 to I - 1 (on the CPU; elsewhere torch's operators find out, or do not). Ids
                beyond a row's length may be anything.
        """
        traced: object = input
        if isinstance(traced, Proxy):
            rest = {"hx": hx, "lengths": lengths, "reset": reset, "masks": masks, "checkpoint_every": checkpoint_every}
            return cast(tuple[Any, HiddenT], fx_leaf(self, traced, rest))
        prepared, result = self._run(input, hx, lengths, reset, masks, checkpoint_every=checkpoint_every)
        return restore(prepared, result.output, 0), self._hidden(self._unbatch(prepared, result.state))

    def trace(
        self,
        input: Tensor,  # noqa: A002 torch's name
        hx: HiddenT | None = None,
        *,
        lengths: Lengths | None = None,
        reset: Tensor | None = None,
        masks: Masks | None = None,
    ) -> TraceT:
        """Run as `forward` does and return the states and gates of every step (see `longhold.layers.trace`)."""
        if isinstance(input, PackedSequence):
            raise ValueError("trace takes a padded input with lengths=, not a PackedSequence")
        prepared, result = self._run(input, hx, lengths, reset, masks, trace=True)
        return self._make_trace(
            restore(prepared, result.output, 0),
            self._hidden(self._unbatch(prepared, result.state)),
            tuple(restore(prepared, stack, 1) for stack in result.states),
            tuple(restore(prepared, stack, 1) for stack in result.gates),
        )

    def explain(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 torch's name
        hx: HiddenT | None = None,
        *,
        lengths: Lengths | None = None,
        reset: Tensor | None = None,
    ) -> Choice:
        """Which backend would run this call, and why; nothing is run and no random number drawn."""
        device = self._flat_weights[0].device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return choose(self._call(prepare(self, input, lengths, reset), hx, None))

    def stream(self, batch: int | None = 1, *, weights: Weights = "full") -> Stream[HiddenT]:
        """The layer as it is now, to be stepped one input at a time with the state carried inside.

        Arguments:
            batch: rows of every step; None: unbatched.
            weights: `full`, as they are; `bf16`: every matrix rounded to bfloat16, half of the bytes to read at every
                step; `int8`: each row rounded to whole multiples, up to 127, of a scale of its own, a quarter of the
                bytes: `longhold.kernels.stream.quantize_rows`. Sums and states stay float32.

        Raises:
            ValueError: the layer is bidirectional or holds values that are not finite, or `weights` is bf16 or int8
                where the C++ stepper cannot run or the layer is not float32.
        """
        check_streamable(self, self.bidirectional, batch, weights)
        return Stream(self._snapshot(), batch, weights)

    def stream_weights(self) -> StreamWeights:
        """Returns the weights and the initial state as `longhold.kernels.stream.NativeStream` takes them."""
        fields = self._initial_fields(1, self._flat_weights[0])
        initial = tuple(field[:, 0].detach() for field in fields)
        return StreamWeights(self.recurrence, self._parameters_by_direction(), initial, self.zoneout_rates)

    def _snapshot(self) -> Snapshot[HiddenT]:
        return Snapshot(self, self.stream_weights(), self.batch_first, self._hidden, self._hidden_fields)

    def _run(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 torch's name
        hx: HiddenT | None,
        lengths: Lengths | None,
        reset: Tensor | None,
        masks: Masks | None,
        *,
        trace: bool = False,
        checkpoint_every: int | None = None,
    ) -> tuple[Prepared, StackResult]:
        prepared = prepare(self, input, lengths, reset)
        return prepared, run(self._call(prepared, hx, masks, trace=trace, checkpoint_every=checkpoint_every))

    def _call(
        self,
        prepared: Prepared,
        hx: HiddenT | None,
        masks: Masks | None,
        *,
        trace: bool = False,
        checkpoint_every: int | None = None,
    ) -> StackCall:
        if checkpoint_every is not None and (not isinstance(checkpoint_every, int) or checkpoint_every < 1):
            raise ValueError(f"checkpoint_every should be an integer number of steps from 1, got {checkpoint_every!r}")
        parameters: Sequence[DirectionParameters] = self._parameters_by_direction()
        noise: Sequence[DirectionNoise] = ()
        if masks is not None:
            self._check_masks(masks, prepared)
        elif self._is_noisy():
            masks = self.draw_masks(prepared.steps, prepared.batch)
        if masks is not None:
            parameters = [self._drop_weights(p, m) for p, m in zip(parameters, masks.layers, strict=True)]
            noise = self._noise(masks)
        return StackCall(
            recurrence=self.recurrence,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            parameters=parameters,
            input=prepared.input,
            hx=None if hx is None else self._checked_state(prepared, hx),
            learned=self._learned_fields(prepared.batch, self._like(prepared.data))
            if self.learn_initial_state
            else None,
            lengths=prepared.lengths,
            reset=prepared.reset,
            dropout=0.0 if self._locks() else self.dropout,
            training=self.training,
            noise=noise,
            between=() if masks is None else masks.between,
            trace=trace,
            checkpoint_every=checkpoint_every,
        )

    def initial_state(self, batch: int) -> HiddenT:
        """The state before the first step, and after a reset, for `batch` rows: zeros, or the learned one.

        In `hx`'s form, (L*D, B, P) or for the LSTM ((L*D, B, P), (L*D, B, H)), with the weights' dtype and device.
        """
        return self._hidden(self._initial_fields(batch, self._flat_weights[0]))

    def _initial_fields(self, batch: int, like: Tensor) -> tuple[Tensor, ...]:
        if self.learn_initial_state:
            return self._learned_fields(batch, like)
        rows = self.num_layers * self.directions
        return tuple(like.new_zeros(rows, batch, size) for size in self._state_sizes())

    def _like(self, data: Tensor) -> Tensor:
        return cast(Tensor, self.weight_ih_l0) if is_ids(data) else data

    def _learned_fields(self, batch: int, like: Tensor) -> tuple[Tensor, ...]:
        learned = []
        for name in self.recurrence.state_names:
            rows = [cast(Tensor, getattr(self, f"{name}_0{suffix}")) for suffix in self._suffixes()]
            check_memory(rows)
            stack = torch.stack(rows)
            if stack.is_complex():
                raise RuntimeError(f"the initial state should be real, got {stack.dtype}")
            learned.append(stack.to(like.dtype).unsqueeze(1).expand(-1, batch, -1).contiguous())
        return tuple(learned)

    def _checked_state(self, prepared: Prepared, hx: HiddenT) -> tuple[Tensor, ...]:
        fields = self._hidden_fields(hx)
        dims = 3 if prepared.batched else 2
        for name, field, size in zip(self.recurrence.state_names, fields, self._state_sizes(), strict=True):
            if field.dim() != dims:
                batched = "batched" if prepared.batched else "unbatched"
                raise RuntimeError(f"For {batched} input hx should be {dims}-D, got {name} with {field.dim()}-D")
            rows = self.num_layers * self.directions
            expected = (rows, prepared.batch, size) if prepared.batched else (rows, size)
            if tuple(field.shape) != expected:
                raise RuntimeError(f"Expected hidden state {name} of size {expected}, got {list(field.shape)}")
        return fields if prepared.batched else tuple(field.unsqueeze(1) for field in fields)

    def _unbatch(self, prepared: Prepared, fields: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return fields if prepared.batched else tuple(field.squeeze(1) for field in fields)
