"""Jobs in parts, which `statedict convert … --plan-parts N --job FILE` plans."""

from __future__ import annotations

import warnings

from . import _statedict
from ._arguments import path as as_text
from ._jobs import StateDictWarning
from ._progress import Follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._arguments import Progress, AnyPath


class PartResult:
    """A part that is done."""

    __slots__ = ("bytes", "found", "output", "part", "parts", "written")

    def __init__(
        self,
        part: int,
        parts: int,
        output: str,
        written: list[str],
        found: list[str],
        bytes: int,
    ) -> None:
        self.part: int = part
        self.parts: int = parts
        """How many parts there are."""
        self.output: str = output
        """The folder that its files are in."""
        self.written: list[str] = written
        self.found: list[str] = found
        """Files that were there already, complete."""
        self.bytes: int = bytes
        """Bytes that were written."""

    def __repr__(self) -> str:
        return f"PartResult({self.part} of {self.parts}: {len(self.written)} files written)"


class FinishResult:
    """A job that is done."""

    __slots__ = ("bytes", "files", "index", "output")

    def __init__(self, output: str, files: int, bytes: int, index: str | None) -> None:
        self.output: str = output
        """The folder that was written to."""
        self.files: int = files
        self.bytes: int = bytes
        self.index: str | None = index
        """The file that leads to the others, if one does."""

    def __repr__(self) -> str:
        return f"FinishResult({self.output!r}: {self.files} files)"


def run_part(job: AnyPath, part: int, *, progress: Progress = None) -> PartResult:
    """Does one part of a job, from 1 on; what is there already is not written again."""
    with Follow(progress, "write") as follow:
        done = _statedict.run_part(as_text(job), part, follow)
    for note in done[5]:
        warnings.warn(note, StateDictWarning, stacklevel=2)
    return PartResult(part, *done[:5])


def finish(job: AnyPath, *, progress: Progress = None) -> FinishResult:
    """Verifies that all parts of a job are done, and writes the index of their files."""
    with Follow(progress, "write") as follow:
        return FinishResult(*_statedict.finish(as_text(job), follow))
