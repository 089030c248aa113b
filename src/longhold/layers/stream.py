"""`layer.stream()`: a layer stepped one input at a time, its state carried inside."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, NoReturn, Self, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from longhold.kernels import Choice
from longhold.kernels.addresses import address, address_of_new, check_memory
from longhold.kernels.stream import STORAGES, Storage
from longhold.layers.inputs import check_features
from longhold.layers.parameters import HiddenT
from longhold.layers.runners import Snapshot, choose_runner

Weights = Storage
"""As the layer has them, rounded to bfloat16, or row by row to 8 bits."""

_BLOCK_BYTES = 65536
_NUMPY = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


@final
class Stream(Generic[HiddenT]):
    """A layer in use: inputs come one step at a time, or in chunks, and the state is carried from one to the next.

    The weights are a snapshot, copied and packed when the stream is made: training the layer, or writing into its
    weights, changes nothing here. Inference only: no gradients, nothing is dropped, zoneout takes its expectation, as
    the layer does in evaluation. One stream serves one thread at a time.

    Where the extension runs on this machine and for these weights (float32 or float64 on the CPU) a step is C++, with
    every option of the layers; elsewhere the layer itself is stepped. `explain` returns which. The choice is made, and
    `use_backend` obeyed, when the stream is made.

    `copy.copy` and `copy.deepcopy` make another stream in the same state; a stream cannot be pickled.

    A row's numbers are the same to the last bit in steps and in chunks, in any batch and with any number of threads.
    Small layers run on one thread; large ones, and chunks, on torch's number of them where that was faster recently.

    Example:
        >>> stream = longhold.LSTM(64, 128).stream()
        >>> y_t = stream.step(x_t)                      # x_t (1, 64), y_t (1, 128)
    """

    def __init__(self, snapshot: Snapshot[HiddenT], batch: int | None = 1, weights: Weights = "full") -> None:
        """See `RecurrentLayer.stream`."""
        self._snapshot, self._batch, self._weights = snapshot, batch, weights
        self._rows = 1 if batch is None else batch
        self._dtype = snapshot.dtype
        middle = () if batch is None else (batch,)
        self._input_shape = torch.Size((*middle, snapshot.input_size))
        self._output_shape: tuple[int, ...] = (*middle, snapshot.state_sizes[0])
        self._runner = choose_runner(snapshot, self._rows, weights)
        self._quick: Any = self._runner.quick
        self._numpy_dtype: Any = _NUMPY.get(self._dtype)
        self._outputs = self._new_outputs()

    @property
    def backend(self) -> str:
        """`cpu` for the C++ stepper, else the backend on which the layer itself is stepped."""
        return self.explain().backend

    def explain(self) -> Choice:
        """Which backend steps this stream, and why."""
        return self._runner.choice

    @overload
    def step(self, input: Tensor | int) -> Tensor: ...
    @overload
    def step(self, input: NDArray[Any]) -> NDArray[Any]: ...
    def step(self, input: Tensor | NDArray[Any] | int) -> Tensor | NDArray[Any]:  # noqa: A002
        """One step: x_t to y_t; the state advances.

        Arguments:
            input: (B, I) features of the layer's type, or (B,) integers, each the id that stands for the one-hot
                vector of width I; unbatched (I,), or () or an int. A tensor or a NumPy array.

        Returns:
            The last layer's h, (B, P), unbatched (P,): an array for an array, else a tensor. Its memory is its own; of
            small tensors those of successive steps lie in one block (of 64 KiB), which lives as long as any of them.
        """
        stepper = self._quick
        if stepper is not None:
            if type(input) is Tensor:
                if input.dtype is self._dtype and input.shape == self._input_shape and (place := address(input)):
                    output = next(self._outputs)
                    stepper.step(place, address_of_new(output))
                    return output
            elif type(input) is np.ndarray:
                array: NDArray[Any] = np.empty(self._output_shape, self._numpy_dtype)
                if stepper.step_arrays(input, array, self._output_shape[-1], self._batch is not None):
                    return array
        return self._step_any(input)

    def step_into(self, input: Tensor | NDArray[Any] | int, out: Tensor | NDArray[Any]) -> None:  # noqa: A002
        """As `step`, written into `out`, (B, P) or (P,), of the layer's type: no memory is allocated."""
        if tuple(out.shape) != self._output_shape:
            raise ValueError(f"out should have shape {self._output_shape}, got {list(out.shape)}")
        if isinstance(out, Tensor) and out.dtype != self._dtype:
            raise ValueError(f"out should have dtype {self._dtype}, got {out.dtype}")
        stepper = self._quick
        if stepper is not None:
            if type(input) is np.ndarray and type(out) is np.ndarray:
                if stepper.step_arrays(input, out, self._output_shape[-1], self._batch is not None):
                    return
            elif (
                type(input) is Tensor
                and type(out) is Tensor
                and input.dtype is out.dtype is self._dtype
                and input.shape == self._input_shape
                and not out.requires_grad
                and not out.is_inference()
                and (place := address(input))
                and (to := address(out))
            ):
                stepper.step(place, to)
                torch._C._increment_version([out])  # a graph that has saved it must not use the new numbers
                return
        result = self._step_any(input)
        if isinstance(out, Tensor):
            if out.is_meta:
                raise RuntimeError("out is on meta, where nothing can be written")
            check_memory([out])
            out.copy_(result if isinstance(result, Tensor) else torch.from_numpy(result))
        else:
            out[...] = result.numpy() if isinstance(result, Tensor) else result

    def run(self, input: Tensor) -> Tensor:  # noqa: A002 torch's name
        """A chunk of steps at once: the outputs of all of them; the state advances.

        Arguments:
            input: (T, B, I), or (T, B) ids, in the layer's layout: (B, T, I) with `batch_first`, (T, I) unbatched.

        Returns:
            (T, B, P) in the same layout. Memory grows with T only by this tensor and the input: a million steps are
            run in constant memory chunk by chunk.
        """
        swap = self._snapshot.batch_first and self._batch is not None and input.dim() > 1
        x = self._checked(input.transpose(0, 1) if swap else input, "T, ")
        if x.shape[0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0")
        output = self._runner.run(x)
        return output.squeeze(1) if self._batch is None else output.transpose(0, 1) if swap else output

    @property
    def state(self) -> HiddenT:
        """A copy of the state, in the form of the layer's hx: h (L, B, P), for the LSTM (h, c); unbatched (L, P).

        After it is set the stream continues from there; what is set is copied.
        """
        fields = self._runner.state()
        return self._snapshot.join(tuple(f.squeeze(1) for f in fields) if self._batch is None else fields)

    @state.setter
    def state(self, hx: HiddenT) -> None:
        fields, weights = self._snapshot.split(hx), self._snapshot.weights
        for name, field, size in zip(weights.recurrence.state_names, fields, self._snapshot.state_sizes, strict=True):
            expected = (len(weights.layers), *(() if self._batch is None else (self._batch,)), size)
            if tuple(field.shape) != expected:
                raise RuntimeError(f"Expected hidden state {name} of size {expected}, got {list(field.shape)}")
        self._runner.set_state(tuple(f.unsqueeze(1) for f in fields) if self._batch is None else fields)

    def reset(self, rows: Sequence[int] | Tensor | int | None = None) -> None:
        """Put the initial state back: zeros, or the learned one.

        Arguments:
            rows: which rows of the batch, as numbers or a (B,) bool tensor; None: all.
        """
        chosen = range(self._rows) if rows is None else _numbers(rows, self._rows)
        self._runner.reset(chosen)

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._runner = self._runner.copy()
        made._quick, made._outputs = made._runner.quick, made._new_outputs()
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = memo[id(self)] = copy.copy(self)
        layer = self._snapshot.layer  # which is only named from now on, so no copy is made of it
        made._snapshot = replace(self._snapshot, layer=memo.get(id(layer), layer))
        return made

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a stream cannot be pickled: pickle the layer and stream.state, and set the state of layer.stream() to it"
        )

    def __repr__(self) -> str:
        layer, weights = self._snapshot.layer, self._weights
        return f"Stream({layer!r}, batch={self._batch}, weights={weights!r}, backend={self.backend!r})"

    def _new_outputs(self) -> Iterator[Tensor]:
        """New outputs, many from one allocation, which alone takes longer than a small step."""
        rows = self._output_shape[0]
        count = max(1, _BLOCK_BYTES // (int(np.prod(self._output_shape)) * self._dtype.itemsize))
        shape = (count * rows, *self._output_shape[1:])
        while True:
            with torch.inference_mode(False):  # what begins in inference mode may be used after it
                block = torch.empty(shape, dtype=self._dtype, device="cpu")
            yield from torch.unsafe_split(block, rows)  # a version counter each, so that they are independent

    def _step_any(self, given: Tensor | NDArray[Any] | int) -> Tensor | NDArray[Any]:
        x = given if isinstance(given, Tensor) else torch.tensor(given, device="cpu")
        output = self._runner.run(self._checked(x.unsqueeze(0), ""))[0]
        output = output.squeeze(0) if self._batch is None else output
        return output.numpy() if isinstance(given, np.ndarray) else output

    def _checked(self, x: Tensor, time: str) -> Tensor:
        """(T, B, I), or int64 (T, B), dense, from the same without B where the stream is unbatched."""
        if x.dtype == torch.bool or x.is_complex():
            raise TypeError(f"a stream takes features or integers as ids, got {x.dtype}")
        features = (x.shape[-1],) if x.is_floating_point() and x.dim() > 1 else ()
        middle = self._output_shape[:-1]
        if tuple(x.shape[1:]) != middle + features or bool(features) != x.is_floating_point():
            shape = "".join(f"{size}, " for size in middle)
            wanted = f"({time}{shape}{self._snapshot.input_size}), or ({time}{shape}".rstrip(", ") + ") for ids"
            given = list(x.shape if time else x.shape[1:])
            raise ValueError(f"the input should have shape {wanted}, got {given} of {x.dtype}")
        if features:
            check_features(x, self._snapshot.input_size, self._dtype)
        x = x.unsqueeze(1) if self._batch is None else x
        return x.detach().contiguous() if features else x.to(torch.int64).contiguous()


def check_streamable(layer: nn.Module, bidirectional: bool, batch: object, weights: object) -> None:
    """Raises where a layer cannot be streamed as it is, or not in that way."""
    if bidirectional:
        raise ValueError("a bidirectional layer cannot be streamed: its backward direction begins at the last step")
    if batch is not None and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise ValueError(f"batch should be an integer above 0, or None for unbatched steps, got {batch!r}")
    if weights not in STORAGES:
        raise ValueError(f"weights should be 'full', 'bf16' or 'int8', got {weights!r}")
    check_memory(list(layer.parameters()))
    for name, parameter in layer.named_parameters():
        if parameter.layout != torch.strided:
            raise RuntimeError(f"{name} has layout {parameter.layout}; a stream takes strided weights only")
        if not torch.isfinite(parameter).all():
            raise ValueError(f"{name} holds values that are not finite; a stream takes finite weights only")


def _numbers(rows: Sequence[int] | Tensor | int, batch: int) -> list[int]:
    given = torch.as_tensor(rows, device="cpu")
    if given.dtype == torch.bool and tuple(given.shape) == (batch,):
        given = given.nonzero()
    numbers = given.reshape(-1).tolist()
    wrong = next((n for n in numbers if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < batch), None)
    if wrong is not None:
        raise ValueError(f"rows should be from 0 to {batch - 1}, or a bool for each row, got {wrong!r}")
    return numbers
