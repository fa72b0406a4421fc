"""The module in Rust."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Union

_Path = Union[str, os.PathLike[str]]
_Progress = Union[Callable[[int, int], object], None]
_Row = tuple[str, str, str, str, Union[str, None]]

VERSION: str

class File:
    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    def tensors(self) -> list[tuple[str, str, tuple[int, ...], int, str | None]]: ...

def open(path: _Path, at: str | None) -> File: ...
def check(
    path: _Path, allow: list[str], progress: _Progress
) -> list[tuple[str, str, list[_Row], list[_Row]]]: ...
def rename_file(
    request: dict[str, Any], progress: _Progress
) -> tuple[list[tuple[str, int]], str | None, int, int, list[tuple[str, bool]], str]: ...
