"""The C++ extension, if it is there."""

from importlib import import_module
from types import ModuleType

import torch  # noqa: F401 loads the OpenMP library that the extension shares with torch


def search() -> ModuleType | str:
    """The extension, or in one line why there is none."""
    try:
        return import_module("longhold.kernels._cpu")
    except ModuleNotFoundError:
        return "the C++ extension was not built (is there a C++ compiler where longhold was installed?)"
    except ImportError as error:
        return f"the C++ extension cannot be loaded: {' '.join(str(error).split())}"


# looked for once, at import: a traced program cannot look for it
_found = search()


def why_missing() -> str | None:
    """In one line why there is no extension, or None when there is one."""
    return _found if isinstance(_found, str) else None


def loaded() -> ModuleType:
    """The extension; RuntimeError with the reason when there is none."""
    if isinstance(_found, str):
        raise RuntimeError(_found)
    return _found
