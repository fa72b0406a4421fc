"""Tensors in memory into files."""

from __future__ import annotations

from collections.abc import Mapping

from . import _statedict
from ._arguments import metadata as checked_metadata
from ._arguments import path as as_text
from ._arguments import size
from ._progress import Follow
from ._tensors import dtype_of, is_tensor, place_of, reader, shape_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._arguments import Progress, Size, AnyPath


def save_file(
    tensors: Mapping[str, Any],
    path: AnyPath,
    metadata: Mapping[str, str] | None = None,
    *,
    max_shard_size: Size | None = None,
    overwrite: bool = False,
    progress: Progress = None,
) -> None:
    """Saves tensors of PyTorch, NumPy or JAX in the format that the file's extension names.

    The file takes its place in one step, complete, and replaces another only with
    `overwrite=True`. In a `.pth` tensors that share their elements stay one, and `_metadata` of a
    state dict is kept; other formats have them under each key. What is beyond `max_shard_size`
    goes into shards with an index, as Hugging Face names them; if `path` is a folder, what is not
    does too.

    >>> sd.save_file(sd.load_file("lenet.pth"), "new.safetensors", metadata={"step": "12"})
    >>> sd.open("new.safetensors").metadata()["step"]
    '12'
    """
    if not isinstance(tensors, Mapping):
        hint = "; give its state_dict()" if hasattr(tensors, "state_dict") else ""
        raise TypeError(f"expected a dict of tensors, found {type(tensors).__name__}{hint}")
    rows: list[tuple[str, str, list[int], int, str | None]] = []
    readers: list[Any] = []
    known: dict[object, str] = {}
    for key, value in tensors.items():
        if not isinstance(key, str):
            raise TypeError(f"key {key!r}: expected a str, found {type(key).__name__}")
        if not is_tensor(value):
            raise TypeError(f"'{key}': expected a tensor, found {type(value).__name__}")
        nbytes, read = reader(key, value)
        shape, dtype, place = shape_of(value), dtype_of(value), place_of(value)
        same = (
            None if place is None else known.setdefault((place, shape, dtype, _views(value)), key)
        )
        tied = same if same is not None and same != key else None
        rows.append((key, dtype, list(shape), nbytes, tied))
        readers.append(read)
    request = {
        "path": as_text(path),
        "tensors": rows,
        "modules": _modules(tensors),
        "metadata": checked_metadata(metadata),
        "max_shard_size": size(max_shard_size),
        "overwrite": overwrite,
        "read": lambda number, offset, length: readers[number](offset, length),
    }
    with Follow(progress, "write") as follow:
        _statedict.save_file(request, follow)


def _views(value: Any) -> tuple[bool, bool]:
    """What tells views of one storage apart beside their places: lazily conjugated, negated."""
    return bool(getattr(value, "is_conj", bool)()), bool(getattr(value, "is_neg", bool)())


def _modules(tensors: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The versions of modules, which `state_dict()` gives along."""
    described = getattr(tensors, "_metadata", None)
    if not isinstance(described, dict):
        return []
    versions = []
    for path, local in described.items():
        version = local.get("version") if isinstance(local, dict) else None
        if isinstance(path, str) and isinstance(version, int):
            versions.append((path, version))
    return versions
