"""Progress of long work: a bar, or a callback."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from ._arguments import Progress


class Follow:
    """Calls back with bytes that are done and bytes in all.

    `True` shows a bar of tqdm where that is installed, and lines on standard error elsewhere.
    """

    def __init__(self, progress: Progress, what: str) -> None:
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            found = type(progress).__name__
            raise TypeError(f"progress: expected a bool or a function, found {found}")
        self._callback = progress if callable(progress) else None
        self._shown = progress is True
        self._what = what
        self._bar: Any = None

    def __enter__(self) -> Any:
        """What Rust calls, if anything is to be called."""
        if self._callback is not None:
            return self._callback
        return self._show if self._shown else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = _bar(self._what, total)
        self._bar.update(done - self._bar.n)


def _bar(what: str, total: int) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Lines(what, total)
    return tqdm(total=total, desc=what, unit="B", unit_scale=True)


class _Lines:
    """A line that is written over, for those without tqdm."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.n = what, total, 0

    def update(self, more: int) -> None:
        self.n += more
        percent = 100 * self.n // max(self.total, 1)
        print(f"\r{self.what}: {percent} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        print(file=sys.stderr)
