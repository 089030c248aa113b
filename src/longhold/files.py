"""Files that longhold writes: what may be written where is decided before the work, and nothing that is there is lost.

    nothing                                      it is written, where the folder takes files
    an empty file, a longhold file of the kind   replaced; mode and owner stay, a link to it stays a link
    any other file                               refused, unless the caller says that it may go
    a device, FIFO, socket, folder, broken link  refused always
    what the work reads                          refused always

A file is written whole or not at all.
"""

import contextlib
import errno
import os
import secrets
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, Final, TypeAlias, final

from longhold.errors import InputError

StrPath: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = StrPath | int
"""What is read: a path, or the number of an open file."""

TEMPORARY: Final = ".longhold-*.tmp"
"""Names of files that are being written, as a pattern; one that stays is of a process that was killed."""

_LONGEST_SHOWN = 160


@final
@dataclass(frozen=True)
class Kind:
    """A kind of file that longhold writes, and how it is known again."""

    name: str
    """what it is called in a sentence, such as `a longhold model file`"""
    is_one: Callable[[BinaryIO], bool]
    """whether an open file that is not empty is of this kind; `InputError` counts as no"""

    def knows(self, path: Path) -> bool:
        """Whether the file is of this kind; raises OSError where it cannot be read."""
        with open(path, "rb") as file:
            try:
                return self.is_one(file)
            except InputError:
                return False


def beginning(name: str, *parts: bytes, within: int = 1024) -> Kind:
    """The kind that begins with the first of `parts` and has the others, in this order, soon after it."""

    def is_one(file: BinaryIO) -> bool:
        head = file.read(within)
        at = 0
        for part in parts:
            found = head.find(part, at)
            if found < 0 or (at == 0 and found > 0):
                return False
            at = found + len(part)
        return True

    return Kind(name, is_one)


UNKNOWN: Final = Kind("", lambda file: False)
"""What is never known again, so that it is never replaced unless the caller says so."""


def as_path(path: object, what: str) -> str:
    """A path as a `str`.

    Raises:
        InputError: it is none; the line calls it `what`.
    """
    found = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(found, str):
        raise InputError(f"{what} should be a path, as str or pathlib.Path, got {type(path).__name__}")
    return found


def require_output(path: StrPath, kind: Kind, *, inputs: Iterable[Source] = (), overwrite: bool = False) -> None:
    """Refuse a file that could not be written at the end, or whose writing would lose something.

    Args:
        path: where it is to go.
        kind: what it will be; a file of this kind makes room.
        inputs: what the work reads.
        overwrite: whether a file of another kind makes room too; what is read never does.

    Raises:
        InputError: one line with the reason.
    """
    _require_free(path, kind, inputs, overwrite)
    folder = Path(os.path.realpath(path)).parent
    if not os.path.isdir(folder):
        raise InputError(f"cannot save {quoted(path)}: there is no folder {quoted(Path(path).parent)}")
    _probe(folder, f"cannot save {quoted(path)}")


def _require_free(path: StrPath, kind: Kind, inputs: Iterable[Source], overwrite: bool) -> None:
    """Refuse what would be lost, and what cannot be replaced."""
    shown, cannot = quoted(path), f"cannot save {quoted(path)}"
    there = _standing(path, cannot)
    if there is None:
        return
    _require_replaceable(Path(os.path.realpath(path)), there, cannot)
    if _identity(there) in {_identity_of(source) for source in inputs}:
        raise InputError(f"{cannot}: it is what is read, and that is never written over; give another name")
    if not overwrite and there.st_size > 0 and not _known(path, kind, cannot):
        what = f" and is not {kind.name}" if kind.name else ""
        raise InputError(
            f"{shown} is there already{what}; give another name with -o, or --force (in Python overwrite=True) "
            "to write over it"
        )


def require_folder(
    folder: StrPath,
    files: Mapping[str, Kind],
    *,
    inputs: Iterable[Source] = (),
    overwrite: bool = False,
    parents: bool = True,
) -> None:
    """As `require_output`, for files by their names in a folder, which may be missing and is not made yet.

    Raises:
        InputError: it is no folder, cannot be made, or one of the files cannot be written in it.
    """
    cannot = f"cannot make the folder {quoted(folder)}"
    if _is_missing(folder, cannot):
        _probe_new_folder(Path(folder), cannot, parents)
        return
    if not os.path.isdir(folder):
        raise InputError(f"{cannot}: what is there is no folder; give another name")
    _probe(Path(folder), f"cannot write in the folder {quoted(folder)}")
    read = list(inputs)
    for name, kind in files.items():
        require_output(Path(folder) / name, kind, inputs=read, overwrite=overwrite)


def make_folder(folder: StrPath, *, parents: bool = True, like: StrPath | None = None) -> Path:
    """Make a folder where it is missing.

    Args:
        folder: its path.
        parents: whether missing folders above it are made too.
        like: a file; who may not read it may not look into the new folder.

    Raises:
        InputError: it cannot be made.
    """
    place = Path(folder)
    try:
        mode = stat.S_IMODE(os.stat(like).st_mode) if like is not None and os.path.exists(like) else 0o777
        place.mkdir(parents=parents, exist_ok=True, mode=0o700 | (mode & 0o777) | (mode & 0o444) >> 2)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot make the folder {quoted(folder)}: {reason(error)}") from None
    return place


def write_file(path: StrPath, data: bytes, kind: Kind, *, overwrite: bool = False) -> None:
    """Write `data` where `require_output` lets it, whole or not at all.

    Raises:
        InputError: it may not be written there, or the system refuses, for example because the disk is full.
    """
    _require_free(path, kind, (), overwrite)
    atomic_write_bytes(path, data)


def atomic_write_bytes(path: StrPath, data: bytes) -> None:
    """Put `data` at `path`, over any regular file; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[BinaryIO]:
    """A file to write into that takes the place of `path` at the end of the block.

    A reader, or a crash at any moment, sees the old file or the new one, both whole: the bytes go to a temporary file
    in the same folder, are flushed to the disk and renamed. On failure the temporary file is removed. A symbolic link
    is followed. Mode and owner of the file that was there stay; at no time can more people read the new one.

    Raises:
        InputError: what is there is no regular file, or the system refuses.
    """
    there = _standing(path, f"cannot save {quoted(path)}")
    target = Path(os.path.realpath(path))
    temporary = _temporary(target.parent)
    mode = 0o666 if there is None else 0o600
    try:
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                yield file
                file.flush()
                if there is not None:
                    _make_alike(file.fileno(), there)
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        left = "nothing was written" if there is None else "the previous file is untouched"
        raise InputError(f"cannot save {quoted(path)}: {reason(error)}; {left}") from None
    _sync_folder(target.parent)


def named_beside(folder: StrPath, name: str) -> Path | None:
    """The regular file of a name that stands in a file, perhaps a stranger's, or None.

    Such a name leads nowhere else than into this folder: it is plain, and of no hidden file, folder, device or link.
    """
    if not name or name[0] in ".~" or not name.isprintable() or PureWindowsPath(name).name != name:
        return None
    path = Path(folder).absolute() / name
    try:
        return path if stat.S_ISREG(os.lstat(path).st_mode) else None
    except OSError:
        return None


def argument(value: StrPath) -> str:
    """A path or name as a word of a command that a person may copy: quoted, and never read as an option."""
    word = os.fspath(value)
    word = f".{os.sep}{word}" if word.startswith("-") and word != "-" else word
    if word.isprintable():
        return shlex.quote(word)
    plain = {
        byte for byte in range(0x20, 0x7F) if chr(byte) not in "'\\"
    }  # the rest as bash, zsh and POSIX 2024 read it
    return "$'" + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(word)) + "'"


def quoted(path: StrPath) -> str:
    """A path in a message: on one line, with nothing that steers a terminal, and not too long."""
    shown = repr(os.fspath(path))
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:100]}...{shown[-30:]}"


def reason(error: OSError | ValueError) -> str:
    """What the system said, as a part of a sentence."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "its name is too long for the file system; give a shorter one"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return said[:1].lower() + said[1:]


def _is_missing(path: StrPath, cannot: str) -> bool:
    """Whether nothing stands there, not even a link."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError) as error:
        raise InputError(f"{cannot}: {reason(error)}") from None
    return False


def _standing(path: StrPath, cannot: str) -> os.stat_result | None:
    """The regular file that stands there, through links, or None; `InputError` for anything else."""
    if _is_missing(path, cannot):
        if os.fspath(path).endswith(os.sep):
            raise InputError(f"{cannot}: that names a folder, expected a file name")
        return None
    try:
        there = os.stat(path)
    except FileNotFoundError:
        to = quoted(os.readlink(path))
        raise InputError(f"{cannot}: it is a link to {to}, which is not there; give that name") from None
    except OSError as error:
        raise InputError(f"{cannot}: {reason(error)}") from None
    if not stat.S_ISREG(there.st_mode):
        what = _KINDS.get(stat.S_IFMT(there.st_mode), "a device")
        raise InputError(f"{cannot}: that is {what}, expected a file name")
    return there


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


def _require_replaceable(target: Path, there: os.stat_result, cannot: str) -> None:
    """Refuse a file that the system would not let be replaced, though its folder takes files."""
    try:
        os.close(os.open(target, os.O_WRONLY))
    except PermissionError as error:
        if error.errno == errno.EPERM:  # marked immutable, for which its mode does not matter
            raise InputError(f"{cannot}: {reason(error)}") from None
    except OSError as error:
        raise InputError(f"{cannot}: {reason(error)}") from None
    folder = os.stat(target.parent)
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    if folder.st_mode & stat.S_ISVTX and user not in (0, folder.st_uid, there.st_uid):
        raise InputError(f"{cannot}: it is somebody else's, in a folder where only they may replace it")


def _known(path: StrPath, kind: Kind, cannot: str) -> bool:
    try:
        return kind.knows(Path(path))
    except OSError as error:
        raise InputError(f"{cannot}: what is there cannot be read ({reason(error)})") from None


def _identity(there: os.stat_result) -> tuple[int, int]:
    return there.st_dev, there.st_ino


def _identity_of(source: Source) -> tuple[int, int] | None:
    try:
        return _identity(os.stat(source))
    except (OSError, ValueError):
        return None


def _probe(folder: Path, cannot: str) -> None:
    """Know that a folder takes files, by a temporary one."""
    temporary = _temporary(folder)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.unlink()
    except OSError as error:
        raise InputError(f"{cannot}: {reason(error)}") from None


def _probe_new_folder(folder: Path, cannot: str, parents: bool) -> None:
    """Know that a folder can be made and takes files; it is taken away again."""
    missing = [place for place in (folder, *folder.parents) if not os.path.exists(place)]
    made: list[Path] = []
    try:
        if len(missing) > 1 and not parents:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        for place in reversed(missing):
            place.mkdir()
            made.append(place)
        _probe(folder, cannot)
    except (OSError, ValueError) as error:
        if not isinstance(error, InputError):
            raise InputError(f"{cannot}: {reason(error)}") from None
        raise
    finally:
        for place in reversed(made):
            with contextlib.suppress(OSError):  # another process may be using it already
                place.rmdir()


def _temporary(folder: Path) -> Path:
    return folder / TEMPORARY.replace("*", secrets.token_hex(8))


def _make_alike(descriptor: int, there: os.stat_result) -> None:
    """Give a new file the mode and, where the system lets us, the owner of the one that it replaces."""
    if os.name != "posix":
        return
    mode = stat.S_IMODE(there.st_mode)
    try:
        os.fchown(descriptor, there.st_uid, there.st_gid)
    except OSError:
        try:
            os.fchown(descriptor, -1, there.st_gid)
        except OSError:  # the group is another one now, which may do what everybody might
            mode &= ~0o070 | (mode & 0o007) << 3
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    os.fchmod(descriptor, mode)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some file systems cannot; the file itself is already on the disk
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
