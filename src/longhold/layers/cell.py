"""The common part of `RNNCell`, `GRUCell` and `LSTMCell`."""

from typing import cast

import torch
from torch import Tensor
from torch.fx import Proxy

from longhold.kernels import StackCall, run_step
from longhold.layers.inputs import check_features
from longhold.layers.parameters import HiddenT, RecurrentModule
from longhold.layers.to_torch import fx_leaf


class RecurrentCell(RecurrentModule[HiddenT]):
    """One step as a module; torch.nn's constructor, call and parameter names."""

    def _suffixes(self) -> list[str]:
        return [""]

    def forward(self, input: Tensor, hx: HiddenT | None = None) -> HiddenT:  # noqa: A002 torch's name
        """One step: `input` is (B, I) or (I,); `hx` and the result are h, or for the LSTM (h, c), (B, H) or (H,).

        Without `hx` the state before the step is zero.
        """
        traced: object = input
        if isinstance(traced, Proxy):
            return cast(HiddenT, fx_leaf(self, traced, {"hx": hx}))
        if input.dim() not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected input to be 1-D or 2-D, got {input.dim()}-D instead")
        parameters = self._parameters_by_direction()[0]
        if input.dtype != parameters.weight_ih.dtype and not torch._C._is_any_autocast_enabled():
            raise RuntimeError(f"input should have the weights' dtype {parameters.weight_ih.dtype}, got {input.dtype}")
        check_features(input, self.input_size, parameters.weight_ih.dtype)
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        zeros = tuple(x.new_zeros(x.shape[0], size) for size in self._state_sizes())
        state = zeros if hx is None else self._checked_state(hx, zeros, batched)
        new = run_step(
            StackCall(
                recurrence=self.recurrence,
                num_layers=1,
                bidirectional=False,
                parameters=[parameters],
                input=x.unsqueeze(0),
                hx=tuple(field.unsqueeze(0) for field in state),
            )
        )
        return self._hidden(new if batched else tuple(field.squeeze(0) for field in new))

    def _checked_state(self, hx: HiddenT, zeros: tuple[Tensor, ...], batched: bool) -> tuple[Tensor, ...]:
        fields = self._hidden_fields(hx)
        for name, field, zero in zip(self.recurrence.state_names, fields, zeros, strict=True):
            if field.dim() not in (1, 2):
                raise ValueError(
                    f"{type(self).__name__}: Expected hidden {name} to be 1-D or 2-D, got {field.dim()}-D instead"
                )
            expected = tuple(zero.shape) if batched else tuple(zero.shape[1:])
            if tuple(field.shape) != expected:
                raise RuntimeError(f"Expected hidden {name} of size {expected}, got {list(field.shape)}")
        return fields if batched else tuple(field.unsqueeze(0) for field in fields)
