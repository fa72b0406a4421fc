"""What callers may give, and what becomes of it on the way to Rust."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Union

    AnyPath = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
    Rules = Union[str, Iterable[str]]
    Size = Union[int, float, str]
    DType = Any  # a name, or a type of PyTorch's or NumPy's
    Progress = Union[bool, Callable[[int, int], object], None]

_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip


def size(given: Size | None) -> int | None:
    """Bytes: `5GB`, `500MiB`, or a number."""
    if given is None:
        return None
    try:
        number = _parsed(given) if isinstance(given, str) else int(given)
    except (KeyError, ValueError, OverflowError):
        number = 0
    if number <= 0:
        raise ValueError(f"cannot parse size {given!r}; expected a size such as '5GB' or '500MiB'")
    return number


def _parsed(size: str) -> int:
    text = size.strip().upper()
    digits = text.rstrip("BKMGTI ")
    return int(float(digits) * _UNITS[text[len(digits) :].strip()])


def rules(given: Rules | None) -> list[str]:
    """One rule, or several that are given together."""
    if given is None:
        return []
    is_one = isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable)
    return [_rule(rule) for rule in ([given] if is_one else given)]


def _rule(given: object) -> str:
    if not isinstance(given, str):
        found = type(given).__name__
        raise TypeError(f"expected a rule such as 'a.{{r..}} -> b.{{r..}}', found {found}")
    return given


def dtype_name(given: DType) -> str:
    """`bfloat16` for `torch.bfloat16`, `numpy.float16`, "bf16" …"""
    name = given if isinstance(given, str) else getattr(given, "__name__", None) or str(given)
    return str(name).rsplit(".", 1)[-1]


def casts(given: DType | Mapping[str, DType] | None) -> list[str]:
    """A type for all floating-point tensors, or types by patterns of keys."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [f"{pattern}={dtype_name(dtype)}" for pattern, dtype in given.items()]
    return [dtype_name(given)]


def metadata(given: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Text beside the tensors, which is all that safetensors stores."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"metadata: expected a dict, found {type(given).__name__}")
    pairs = list((given or {}).items())
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata {key!r}: expected a str, found {type(value).__name__}")
    return pairs


def path(given: AnyPath) -> str:
    """The path as a text."""
    return os.fsdecode(given)


def existing(given: AnyPath) -> str:
    """The path, of a file or folder that is there."""
    os.stat(given)
    return path(given)


def patterns(given: Mapping[str, str] | None, name: str) -> list[tuple[str, str]]:
    """What is said of keys by their patterns."""
    if given is not None and not isinstance(given, Mapping):
        found = type(given).__name__
        raise TypeError(f"{name}: expected a dict from patterns of keys, found {found}")
    return list((given or {}).items())
