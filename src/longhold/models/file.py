"""The one-file format: a `.safetensors` with a document inside, written whole or not at all.

The file is an ordinary safetensors file. Its only metadata key, `longhold`, holds one JSON object:

    format_version  1
    sha256          SHA-256 of everything else in the object and of every tensor: name, dtype, shape and bytes
    shared          tensor names that are another name of a stored tensor (tied weights), absent if there are none
    kind            what the file holds, such as "language_model" or "checkpoint"
    ...             whatever the writer put beside it: configuration, tokenizer, facts

The digest detects damage, not malice: who can edit the file can also write a new digest. So whatever is read is held
to limits whether the digest is right or not (`longhold.models.header`), and nothing in a file is ever executed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from longhold.documents import DEEPEST, LONG_DIGITS, LONGEST, deeper_than, parse_json
from longhold.errors import InputError
from longhold.files import Kind, StrPath, quoted, reason, write_file
from longhold.kernels.addresses import memory_of
from longhold.models.header import Header, read_header, read_metadata

FORMAT_VERSION = 1
"""The newest format that this version reads, and the one it writes."""

_KEY = "longhold"


class _Envelope(BaseModel):
    """The fields that every file has; the writer's own fields stay beside them as extras."""

    model_config = ConfigDict(strict=True, extra="allow")

    format_version: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    kind: str = Field(min_length=1)
    shared: dict[str, str] = Field(default={})


def file_kind(kind: str) -> Kind:
    """The files whose document names a kind, such as `language_model`; the rest of such a file may be damaged."""

    def is_one(file: BinaryIO) -> bool:
        document = parse_json(read_metadata(file)[0].get(_KEY, "null"), "its document is damaged", LONG_DIGITS)
        return isinstance(document, dict) and document.get("kind") == kind

    return Kind(f"a {kind.replace('_', ' ')} that longhold wrote", is_one)


def write_model(
    path: StrPath, tensors: Mapping[str, Tensor], document: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """Write `tensors` and `document` to one file, atomically; the same content gives the same bytes.

    Tensors of any dtype and device are taken; those that are the same memory under several names are stored once.

    Args:
        path: where to; a file of the same kind that is there is replaced, once the new one is whole and on the disk.
        tensors: by name.
        document: JSON values only, with a non-empty text under `kind`. The names `format_version`, `sha256` and
            `shared` belong to the format.
        overwrite: whether a file of another kind is replaced too.

    Raises:
        InputError: the file cannot be written (no such folder, full disk ...), what is there is no file of this kind
            and may not be overwritten (`longhold.files`), or the document is longer than
            `longhold.documents.LONGEST`.
        ValueError: the document breaks the rules above.
    """
    reserved = sorted({"format_version", "sha256", "shared"} & document.keys())
    if reserved:
        raise ValueError(f"the document may not name {', '.join(reserved)}: the format uses it")
    if deeper_than(document, DEEPEST):
        raise ValueError(f"the document may have {DEEPEST} levels at most")
    shared = _shared_names(tensors)
    stored = {name: _private(tensors[name]) for name in sorted(tensors) if name not in shared}
    whole = {**document, "format_version": FORMAT_VERSION, **({"shared": shared} if shared else {})}
    whole["sha256"] = _digest(whole, stored)
    _Envelope.model_validate(whole)
    data = save_safetensors(stored, {_KEY: _canonical(whole)})
    length = int.from_bytes(data[:8], "little")
    if length > LONGEST:
        raise InputError(
            f"cannot save {quoted(path)}: vocabulary and configuration take {length:,} bytes, "
            f"expected at most {LONGEST:,}; take a smaller vocabulary"
        )
    write_file(path, data, file_kind(document["kind"]), overwrite=overwrite)


def read_envelope(path: StrPath) -> tuple[int, str]:
    """Returns a file's own format version and SHA-256; only its header is read, and no digest is compared.

    Raises:
        InputError: the file is missing, not one of ours, or from a newer format.
    """
    whole = read_document(path)
    return whole["format_version"], whole["sha256"]


def read_document(path: StrPath) -> dict[str, Any]:
    """The document of a file with the fields of the format; only the header is read, and no digest compared.

    Raises:
        InputError: as `read_envelope`.
    """
    try:
        with open(path, "rb") as file:
            return _document(read_header(file))
    except OSError as error:
        raise InputError(f"cannot read {quoted(path)}: {reason(error)}") from None
    except InputError as error:
        raise InputError(f"cannot read {quoted(path)}: {error}") from None


def read_model(path: StrPath, *, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors by name, on `device`, and the document that were given to `write_model`.

    Names that shared a tensor share it again. Nothing in the file is executed. Before the tensors are read the header,
    the format version and all sizes are known to be right, so reading takes a few times the file's size at most.

    Raises:
        InputError: the file is missing, not one of ours, from a newer format, truncated or changed.
    """
    try:
        whole, data = _read(Path(path))
        tensors = _tensors(whole, data)
    except OSError as error:
        raise InputError(f"cannot read {quoted(path)}: {reason(error)}") from None
    except InputError as error:
        raise InputError(f"cannot read {quoted(path)}: {error}") from None
    except MemoryError:
        raise InputError(f"cannot read {quoted(path)}: it takes more memory than there is") from None
    here = {name: tensor.to(device) for name, tensor in tensors.items()}
    shared = whole.get("shared", {})
    here |= {name: here[stored] for name, stored in shared.items()}
    return here, {name: value for name, value in whole.items() if name not in {"format_version", "sha256", "shared"}}


def _shared_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Each name whose tensor is the same memory as that of an earlier name (in sorted order), with that name."""
    first: dict[tuple[object, ...], str] = {}
    shared = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.numel() == 0:
            continue
        memory = memory_of(tensor)
        if first.setdefault(memory, name) != name:
            shared[name] = first[memory]
    return shared


def _private(tensor: Tensor) -> Tensor:
    """The same numbers on the CPU, contiguous, in memory of their own (views of one buffer are not)."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format).contiguous()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(whole: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the canonical document without its digest, then each tensor's name, dtype, shape and bytes."""
    sha256 = hashlib.sha256(_canonical({name: value for name, value in whole.items() if name != "sha256"}).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha256.update(_canonical([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The checked document and all bytes of the file, which are read only once the document is known to be ours."""
    if path.exists() and not path.is_file():
        raise InputError("it is not a file")
    with open(path, "rb") as file:
        header = read_header(file)
        whole = _document(header)
        file.seek(0)
        return whole, file.read()


def _document(header: Header) -> dict[str, Any]:
    """The document in a safetensors header, once its version and its required fields are right."""
    text = header.metadata.get(_KEY)
    if text is None:
        raise InputError("it is a safetensors file, but longhold did not write it")
    whole = parse_json(text, "its document is damaged", LONG_DIGITS)
    version = whole.get("format_version") if isinstance(whole, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise InputError(
            f"written by a newer longhold (format {version!r:.20}, this one reads up to {FORMAT_VERSION}): "
            "upgrade longhold"
        )
    try:
        envelope = _Envelope.model_validate(whole)
    except ValidationError:
        raise InputError("its document is damaged") from None
    if envelope.shared.keys() & header.shapes.keys() or not set(envelope.shared.values()) <= header.shapes.keys():
        raise InputError("its document is damaged")
    return dict(whole)


def _tensors(whole: Mapping[str, Any], data: bytes) -> dict[str, Tensor]:
    """The stored tensors, once the digest over them and the document is right."""
    try:
        tensors = load_safetensors(data)
    except SafetensorError:
        raise InputError("it is truncated or damaged") from None
    if _digest(whole, tensors) != whole["sha256"]:
        raise InputError("it was changed after it was written (the SHA-256 does not match)")
    return tensors
