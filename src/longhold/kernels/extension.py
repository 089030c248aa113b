"""The C++ extension, if it is there."""

from functools import lru_cache
from importlib import import_module
from types import ModuleType

import torch  # noqa: F401 loads the OpenMP library that the extension shares with torch


@lru_cache(maxsize=1)
def _found() -> ModuleType | str:
    try:
        return import_module("longhold.kernels._cpu")
    except ModuleNotFoundError:
        return "the C++ extension was not built (is there a C++ compiler where longhold was installed?)"
    except ImportError as error:
        return f"the C++ extension cannot be loaded: {' '.join(str(error).split())}"


def why_missing() -> str | None:
    """In one line why there is no extension, or None when there is one."""
    found = _found()
    return found if isinstance(found, str) else None


def loaded() -> ModuleType:
    """The extension; RuntimeError with the reason when there is none."""
    found = _found()
    if isinstance(found, str):
        raise RuntimeError(found)
    return found
