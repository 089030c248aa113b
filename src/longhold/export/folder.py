"""A folder that an export may fill."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from longhold.errors import InputError
from longhold.files import Kind, Source, StrPath, make_folder, quoted, reason, require_folder, write_file


def require_export_folder(
    folder: StrPath, kinds: Mapping[str, Kind], *, inputs: Iterable[Source] = (), overwrite: bool = False
) -> None:
    """Know that an export of these files may fill `folder`, which may be missing.

    Raises:
        InputError: the folder holds other files than an earlier export left, or cannot be written.
    """
    place = Path(folder)
    require_folder(place, kinds, inputs=inputs, overwrite=overwrite, parents=False)
    try:
        others = sorted(entry.name for entry in place.iterdir() if entry.name not in kinds) if place.exists() else []
    except OSError as error:
        raise InputError(f"cannot export to the folder {quoted(place)}: {reason(error)}") from None
    if others:
        raise InputError(f"cannot export to the folder {quoted(place)}: it holds other files, such as {others[0]!r}")


def write_folder(
    folder: StrPath, files: Mapping[str, bytes], kinds: Mapping[str, Kind], *, overwrite: bool = False
) -> int:
    """Write `files` by name into `folder`, which is made if it is not there; returns the number of bytes.

    Args:
        folder: where they go.
        files: bytes by name.
        kinds: how each is recognized, so that an earlier export is replaced and nothing else.
        overwrite: whether other files by these names are replaced too.

    Raises:
        InputError: the folder holds other files than an earlier export left, or cannot be written.
    """
    require_export_folder(folder, kinds, overwrite=overwrite)
    place = make_folder(folder, parents=False)
    for name, data in files.items():
        write_file(place / name, data, kinds[name], overwrite=overwrite)
    return sum(map(len, files.values()))
