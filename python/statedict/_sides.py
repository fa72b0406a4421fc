"""What may be given as a state dict: a mapping, a module, a file, an opened checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ._checkpoint import Checkpoint, load_file
from ._tensors import dtype_of, is_tensor, is_torch, place_of, shape_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    State = Any  # a mapping, a module, a path, a Checkpoint
    Known = tuple[str, int, tuple[int, ...], Any]


def is_module(value: object) -> bool:
    """True for what has a state dict, such as `torch.nn.Module`."""
    return not isinstance(value, Checkpoint) and callable(getattr(value, "state_dict", None))


def is_path(value: object) -> bool:
    """True for what names a file."""
    return isinstance(value, (str, bytes, os.PathLike))


def state_of(value: State, at: str | None = None) -> Mapping[str, Any]:
    """The state dict itself; of a file, its tensors look at the file where that can be."""
    if is_path(value):
        return load_file(value, at=at)
    if at is not None:
        raise ValueError(f"at={at!r}: only a path of a file has state dicts to choose from")
    if isinstance(value, Checkpoint):
        return value.state_dict()
    if is_module(value):
        state: Mapping[str, Any] = value.state_dict()
        return state
    if isinstance(value, Mapping):
        return value
    found = type(value).__name__
    raise TypeError(f"expected a state dict, a module, a path or a Checkpoint, found {found}")


def described(state: Mapping[str, Any]) -> list[tuple[str, Known | None]]:
    """Every key with what is known of its value."""
    return [(_text(key), known(value)) for key, value in state.items()]


def known(value: Any) -> Known | None:
    """Type, bits of an element, shape and place of a tensor; none for anything else."""
    if not is_tensor(value):
        return None
    dtype = dtype_of(value)
    bits = 4 if dtype == "F4" else 8 * int(getattr(value.dtype, "itemsize", 1))
    place = place_of(value)
    if place is not None and (not is_torch(value) or dtype == "F4"):
        place = (place[0], place[1], 0, None)
    return dtype, bits, shape_of(value), place


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"key {key!r}: expected a str, found {type(key).__name__}")
    return key


def keys_of(state: Mapping[str, Any]) -> list[str]:
    """The keys, all of them texts."""
    return [_text(key) for key in state]


def module_paths(state: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a state dict says of modules, if it does."""
    found = getattr(state, "_metadata", None)
    return found if isinstance(found, dict) else None
