"""Copies of storages, read by several threads, with progress; Ctrl-C stops them."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

from ._progress import Follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from . import _statedict
    from ._arguments import Progress
    from ._reading import Place, Row

# How much a thread reads at once.
_PIECE = 16 << 20

_THREADS = min(4, os.cpu_count() or 1)


class Copies:
    """The storages of one load, each of them once, and how far the load is."""

    def __init__(
        self,
        file: _statedict.File,
        mmap: bool,
        progress: Progress,
        rows: list[Row],
        places: list[Place],
    ) -> None:
        self.storages: dict[tuple[int, int, int], Any] = {}
        self._total = 0 if mmap else sum(row[3] for row in rows)
        self._follow = Follow(progress, "read")
        self._done = 0
        self._pool: ThreadPoolExecutor | None = None
        self._callback: Any = None

    def __enter__(self) -> Copies:
        self._callback = self._follow.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if kind is None and self._callback is not None and self._total:
            self._callback(self._total, self._total)
        self._follow.__exit__(kind, error, traceback)

    def pool(self) -> ThreadPoolExecutor:
        """The threads that read."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS)
        return self._pool

    def advance(self, bytes: int) -> None:
        """So many more bytes are there."""
        self._done += bytes
        if self._callback is not None and self._total:
            self._callback(min(self._done, self._total), self._total)


def read_into(file: int, start: int, address: int, length: int, copies: Copies | None) -> None:
    """Reads a range of an open file to an address, at which there is room for it."""
    pieces = [(at, min(_PIECE, length - at)) for at in range(0, length, _PIECE)]
    if copies is None or len(pieces) == 1:
        for at, size in pieces:
            _read_piece(file, start + at, address + at, size)
            if copies is not None:
                copies.advance(size)
        return
    pool = copies.pool()
    waiting = [
        pool.submit(_read_piece, file, start + at, address + at, size) for at, size in pieces
    ]
    try:
        for (_, size), piece in zip(pieces, waiting):
            piece.result()
            copies.advance(size)
    finally:
        # The memory must not go before nobody writes there.
        for piece in waiting:
            piece.cancel()
        for piece in waiting:
            if not piece.cancelled():
                piece.exception()


def _read_piece(file: int, start: int, address: int, size: int) -> None:
    buffer = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
    while buffer:
        read = os.preadv(file, [buffer], start)
        if read == 0:
            raise EOFError("unexpected end of file")
        start += read
        buffer = buffer[read:]
