"""What goes wrong with checkpoints, beside the errors of the system (`FileNotFoundError` and others)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or what was asked of it cannot be done; nothing has changed.

    >>> import statedict as sd
    >>> try:
    ...     sd.rename_file("lenet.pth", "no such rule")
    ... except sd.CheckpointError as error:
    ...     print(error.kind)
    failed
    """

    kind: str
    """What went wrong, in a word: `malformed`, `unsupported`, `refused`, `unknown-format` …"""

    path: str | None
    """The file, if one is to blame."""

    hint: str | None
    """What would help, if something is known to."""

    def __init__(
        self,
        message: str,
        *,
        kind: str = "failed",
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.path = path
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return message if self.hint is None else f"{message}\nhint: {self.hint}"

    def __reduce__(self) -> Any:
        return _restored, (type(self), self.args, self.__dict__)


class MalformedError(CheckpointError):
    """A file contradicts itself or its format."""


class CollisionError(CheckpointError):
    """Several keys would get one name."""

    collisions: list[tuple[str, list[str]]]
    """Each such name, with the keys that would get it."""

    def __init__(
        self, message: str, *, collisions: list[tuple[str, list[str]]], **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.collisions = collisions


class UnsafeError(CheckpointError):
    """Loading the file with a loader that trusts it would run something."""


def _restored(
    cls: type[CheckpointError], args: tuple[str, ...], facts: dict[str, Any]
) -> CheckpointError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(facts)
    return error
