"""One framework in one process: `python -m benchmarks.rivals.worker FRAMEWORK`, with questions line by line over stdin.

    {"cell": "LSTM", "batch": 8, "hidden": 128, "steps": 35, "training": false}      prepare: answers {"ready": repeats}
    {}                                                                           one sample: answers {"seconds": ...}

The environment has that framework only, so nothing else may be imported above its function.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Call = Callable[[], object]

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_SAMPLE_SECONDS = 0.005


def torch_layer(case: dict[str, Any]) -> Call:
    """torch.nn, eager."""
    from torch import nn

    return _eager(getattr(nn, case["cell"])(case["hidden"], case["hidden"]), case)


def longhold_layer(case: dict[str, Any]) -> Call:
    """longhold, eager, by automatic choice."""
    import longhold

    return _eager(getattr(longhold, case["cell"])(case["hidden"], case["hidden"]), case)


def _eager(layer: Any, case: dict[str, Any]) -> Call:
    import torch

    x = torch.randn(case["steps"], case["batch"], case["hidden"], requires_grad=case["training"])
    upstream = torch.randn_like(x)
    leaves = [*layer.parameters(), x]
    if case["training"]:
        return lambda: torch.autograd.grad(layer(x)[0], leaves, upstream)
    return torch.inference_mode()(lambda: layer(x)[0])


def onnxruntime_layer(case: dict[str, Any]) -> Call:
    """ONNX Runtime's own operator for the cell, on a graph of that one node; it only infers."""
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    if case["training"]:
        raise NotImplementedError("it only infers")
    T, B, H, G = case["steps"], case["batch"], case["hidden"], GATES[case["cell"]]
    draw = numpy.random.default_rng(0)
    weights = {"W": (1, G * H, H), "R": (1, G * H, H), "B": (1, 2 * G * H)}
    tensors = [
        numpy_helper.from_array(draw.uniform(-(H**-0.5), H**-0.5, shape).astype(numpy.float32), name)
        for name, shape in weights.items()
    ]
    options = {"linear_before_reset": 1} if case["cell"] == "GRU" else {}
    node = helper.make_node(case["cell"], ["x", "W", "R", "B"], ["y"], hidden_size=H, **options)
    x_info = helper.make_tensor_value_info("x", TensorProto.FLOAT, (T, B, H))
    y_info = helper.make_tensor_value_info("y", TensorProto.FLOAT, (T, 1, B, H))
    graph = helper.make_graph([node], "layer", [x_info], [y_info], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options_ = onnxruntime.SessionOptions()
    options_.intra_op_num_threads = case["threads"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options_, providers=["CPUExecutionProvider"])
    x = draw.standard_normal((T, B, H)).astype(numpy.float32)
    return lambda: session.run(None, {"x": x})


def jax_scan(case: dict[str, Any]) -> Call:
    """`lax.scan` over a step written out, jitted, the input's product before the loop."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    H, G = case["hidden"], GATES[case["cell"]]
    key = jax.random.key(0)
    parameters = {
        name: jax.random.uniform(jax.random.fold_in(key, index), shape, minval=-(H**-0.5), maxval=H**-0.5)
        for index, (name, shape) in enumerate({"W": (H, G * H), "R": (H, G * H), "b": (2, G * H)}.items())
    }

    def lstm(state: Any, gates: Any, R: Any, b: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(gates + h @ R + b, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(state: Any, gates: Any, R: Any, b: Any) -> Any:
        (h,) = state
        x_r, x_z, x_n = jnp.split(gates, 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h @ R + b, 3, axis=-1)
        n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
        h = n + jax.nn.sigmoid(x_z + h_z) * (h - n)
        return (h,), h

    def rnn(state: Any, gates: Any, R: Any, b: Any) -> Any:
        h = jnp.tanh(gates + state[0] @ R + b)
        return (h,), h

    step = {"LSTM": lstm, "GRU": gru, "RNN": rnn}[case["cell"]]

    def outputs(parameters: Any, x: Any) -> Any:
        zeros = jnp.zeros((x.shape[1], H))
        state = (zeros, zeros) if case["cell"] == "LSTM" else (zeros,)
        gates_x = x @ parameters["W"] + parameters["b"][0]
        return lax.scan(lambda s, g: step(s, g, parameters["R"], parameters["b"][1]), state, gates_x)[1]

    return _jitted(outputs, parameters, case)


def flax_layer(case: dict[str, Any]) -> Call:
    """`flax.linen.RNN` over Flax's own cells, jitted."""
    import jax
    from flax import linen
    from jax import numpy as jnp

    kind = {"LSTM": linen.OptimizedLSTMCell, "GRU": linen.GRUCell, "RNN": linen.SimpleCell}[case["cell"]]
    layer = linen.RNN(kind(case["hidden"]), time_major=True)
    parameters = layer.init(jax.random.key(0), jnp.zeros((1, case["batch"], case["hidden"])))
    return _jitted(layer.apply, parameters, case)


def keras_layer(case: dict[str, Any]) -> Call:
    """`keras.layers` on JAX, stateless, jitted; batch first, as Keras has it."""
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    kind = {"LSTM": keras.layers.LSTM, "GRU": keras.layers.GRU, "RNN": keras.layers.SimpleRNN}[case["cell"]]
    layer = kind(case["hidden"], return_sequences=True)
    layer.build((case["batch"], case["steps"], case["hidden"]))
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def outputs(parameters: Any, x: Any) -> Any:
        return layer.stateless_call(parameters, fixed, x)[0]

    return _jitted(outputs, [v.value for v in layer.trainable_variables], case, batch_first=True)


def _jitted(outputs: Callable[..., Any], parameters: Any, case: dict[str, Any], *, batch_first: bool = False) -> Call:
    import jax

    T, B, H = case["steps"], case["batch"], case["hidden"]
    shape = (B, T, H) if batch_first else (T, B, H)
    x, upstream = (jax.random.normal(jax.random.key(seed), shape) for seed in (1, 2))

    def loss(parameters: Any, x: Any) -> Any:
        return (outputs(parameters, x) * upstream).sum()

    run = jax.jit(jax.grad(loss, argnums=(0, 1)) if case["training"] else outputs)
    return lambda: jax.block_until_ready(run(parameters, x))


FRAMEWORKS: dict[str, Callable[[dict[str, Any]], Call]] = {
    "torch": torch_layer,
    "longhold": longhold_layer,
    "onnxruntime": onnxruntime_layer,
    "jax": jax_scan,
    "flax": flax_layer,
    "keras": keras_layer,
}


def main(framework: str) -> None:
    """Answer until stdin ends."""
    call: Call | None = None
    repeats = 1
    for line in sys.stdin:
        case = json.loads(line)
        try:
            if case:
                call = FRAMEWORKS[framework](case)
                repeats = warmed(call)
                found: dict[str, Any] = {"ready": repeats}
            elif call is None:
                found = {"missing": "no case was prepared"}
            else:
                found = {"seconds": sample(call, repeats)}
        except Exception as error:  # whatever a framework raises, the parent must have an answer
            found = {"missing": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        print(json.dumps(found), flush=True)


def warmed(call: Call) -> int:
    """How often to call in a sample, after two calls that compile and warm up."""
    call()
    call()
    return max(1, round(_SAMPLE_SECONDS / sample(call, 1)))


def sample(call: Call, repeats: int) -> float:
    """Seconds of one call, on average over a sample."""
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


if __name__ == "__main__":
    main(sys.argv[1])
