"""A folder that an export may fill."""

from collections.abc import Mapping
from pathlib import Path

from longhold.errors import InputError
from longhold.models.file import StrPath, atomic_write_bytes


def write_folder(folder: StrPath, files: Mapping[str, bytes]) -> int:
    """Write `files` by name into `folder`, which is made if it is not there; returns the number of bytes.

    Raises:
        InputError: the folder holds other files than these, or cannot be written.
    """
    place = Path(folder)
    try:
        place.mkdir(exist_ok=True)
        others = sorted(entry.name for entry in place.iterdir() if entry.name not in files)
    except OSError as error:
        raise InputError(f"cannot export to the folder {str(place)!r}: {error.strerror}") from None
    if others:
        raise InputError(f"cannot export to the folder {str(place)!r}: it holds other files, such as {others[0]!r}")
    for name, data in files.items():
        atomic_write_bytes(place / name, data)
    return sum(map(len, files.values()))
