"""What torch's tools find in a layer or cell: the torch.nn module that it equals, or a line that names it."""

import warnings
from typing import Any, ClassVar, NoReturn

from torch import nn
from torch.fx import Proxy

from longhold.errors import InputError

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class TorchTwin(nn.Module):
    """A module that is a drop-in for one of torch.nn's, and can become it."""

    torch_class: ClassVar[type[nn.Module]]
    """the torch.nn class that it is a drop-in for"""

    def to_torch(self) -> nn.Module:
        """The torch.nn module that this one equals, for tools that know torch.nn only.

        It holds the very parameters of this one, so that training one trains both; hooks and mode go along. It takes
        torch.nn's call: no `lengths=`, no `reset=`, no ids. Of a whole model `longhold.export.to_torch` makes a copy.

        Raises:
            InputError: it has an option that torch.nn does not have, or in training a dropout that torch.nn does not
                have, or a forward of its own; or its parameters are not as they were made (parametrized, pruned).
        """
        twin = _empty_twin(self)
        _require_equal(self, twin)
        for name, parameter in self.named_parameters(recurse=False):
            setattr(twin, name, parameter)
        for name in _HOOKS:
            getattr(twin, name).update(getattr(self, name))
        return twin.train(self.training)

    def __prepare_scriptable__(self) -> NoReturn:
        # torch.jit.script would put what is returned here into the caller's own model, and leave it there
        raise InputError(
            f"torch.jit.script cannot compile {_name(self)}: script longhold.export.to_torch(model), a copy with "
            "torch.nn's layers in place of longhold's"
        )

    @property
    def qconfig(self) -> Any:
        """What torch.ao.quantization leaves here."""
        if "qconfig" not in self.__dict__:
            raise AttributeError("qconfig")
        return self.__dict__["qconfig"]

    @qconfig.setter
    def qconfig(self, config: Any) -> None:
        self.__dict__["qconfig"] = config
        warnings.warn(
            f"torch.ao.quantization leaves {_name(self)} in floating point: quantize longhold.export.to_torch(model), "
            "a copy with torch.nn's layers in place of longhold's",
            stacklevel=3,
        )

    @qconfig.deleter
    def qconfig(self) -> None:
        del self.__dict__["qconfig"]


def options_beyond_torch(module: Any) -> list[str]:
    """The options of a layer or cell that change its numbers in evaluation too and that torch.nn does not have."""
    options = {
        "layer_norm=True": module.layer_norm,
        "zoneout": any(module.zoneout_rates),
        "peephole=True": module.peephole,
        "coupled_gates=True": getattr(module, "coupled_gates", False),
        "reset_after=False": not getattr(module, "reset_after", True),
    }
    return [option for option, used in options.items() if used]


def fx_leaf(module: nn.Module, given: Proxy, rest: dict[str, Any]) -> Any:
    """What torch.fx writes down for a call of a layer: the layer itself, as it does for those of torch.nn.

    Raises:
        InputError: the layer is the whole of what is traced.
    """
    tracer: Any = given.tracer
    if tracer.root is module:
        raise InputError(f"torch.fx cannot trace {_name(module)} itself: trace a model that holds it")
    keywords = {name: value for name, value in rest.items() if value is not None}
    return tracer.create_proxy("call_module", tracer.path_of_module(module), (given,), keywords)


def _empty_twin(module: Any) -> nn.Module:
    kind = module.torch_class
    names = ["input_size", "hidden_size", "bias"]
    if issubclass(kind, nn.RNNBase):
        names += ["num_layers", "batch_first", "bidirectional"]
    if issubclass(kind, nn.LSTM):
        names.append("proj_size")
    if issubclass(kind, nn.RNN | nn.RNNCell):
        names.append("nonlinearity")
    twin: nn.Module = kind(**{name: getattr(module, name) for name in names}, device="meta")
    if isinstance(twin, nn.RNNBase):
        twin.dropout = module.dropout  # of which a constructor warns where there is one layer
    return twin


def _require_equal(module: Any, twin: nn.Module) -> None:
    cannot = f"{_name(module)} cannot become torch.nn.{type(twin).__name__}"
    lacking = options_beyond_torch(module)
    if module.learn_initial_state:
        lacking.append("learn_initial_state=True")
    if module.training:
        names = ("recurrent_dropout", "weight_dropout", "locked_dropout")
        lacking += [f"{name}={value} in training" for name in names if (value := getattr(module, name))]
    if lacking:
        advice = ": call eval() first" if lacking[0].endswith("in training") else ""
        raise InputError(f"{cannot}, which has no {lacking[0]}{advice}")
    if not type(module).forward.__module__.startswith("longhold."):
        raise InputError(f"{cannot}: {type(module).__name__} has a forward of its own")
    own = {name for name, _ in [*module.named_parameters(), *module.named_buffers()]}
    odd = sorted(own ^ {name for name, _ in twin.named_parameters()})
    if odd:
        raise InputError(f"{cannot}: {odd[0]} is not as torch.nn has it (parametrized, pruned or added); undo that")


def _name(module: nn.Module) -> str:
    kind = type(module)
    return f"longhold.{kind.__name__}" if kind.__module__.startswith("longhold.") else kind.__name__
