"""longhold: recurrent networks on PyTorch, trained, compared and looked into.

Names are resolved on first use, so `import longhold` is fast and imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from longhold._version import __version__ as __version__

if TYPE_CHECKING:
    from longhold import compression as compression
    from longhold import export as export
    from longhold import inspection as inspection
    from longhold import integer as integer
    from longhold.errors import InputError as InputError
    from longhold.kernels import use_backend as use_backend
    from longhold.layers import GRU as GRU
    from longhold.layers import LSTM as LSTM
    from longhold.layers import RNN as RNN
    from longhold.layers import GRUCell as GRUCell
    from longhold.layers import LSTMCell as LSTMCell
    from longhold.layers import RNNCell as RNNCell
    from longhold.layers import init as init
    from longhold.layers.explain import explain as explain
    from longhold.text import TextModel as TextModel
    from longhold.text import load as load
    from longhold.text import train as train

_HOMES = {
    "InputError": "longhold.errors",
    "use_backend": "longhold.kernels",
    "RNN": "longhold.layers",
    "GRU": "longhold.layers",
    "LSTM": "longhold.layers",
    "RNNCell": "longhold.layers",
    "GRUCell": "longhold.layers",
    "LSTMCell": "longhold.layers",
    "explain": "longhold.layers.explain",
    "TextModel": "longhold.text",
    "load": "longhold.text",
    "train": "longhold.text",
}
_ROOMS = {
    "compression": "longhold.compression",
    "export": "longhold.export",
    "init": "longhold.layers.init",
    "inspection": "longhold.inspection",
    "integer": "longhold.integer",
}

__all__ = ["__version__", *_HOMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    raise AttributeError(f"module 'longhold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
