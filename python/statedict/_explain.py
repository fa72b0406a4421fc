"""What an error of PyTorch's means, said with the error itself."""

from __future__ import annotations

import sys

from . import _statedict
from ._arguments import path as as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from ._arguments import AnyPath


def explain(
    error: str | BaseException, path: AnyPath | None = None, target: AnyPath | None = None
) -> str | None:
    """What an error text about a checkpoint means, and the call that fixes it; none if it is unknown.

    With the file, the fix is tried on it, up to the writing.

    >>> text = 'Missing key(s) in state_dict: "fc.w". Unexpected key(s) in state_dict: "module.fc.w".'
    >>> print(sd.explain(text).splitlines()[-1].strip())
    statedict.rename_file("CKPT", "unwrap", output="OUT.pth")
    """
    if isinstance(error, BaseException):
        text = f"{type(error).__name__}: {error}"
    elif isinstance(error, str):
        text = error
    else:
        raise TypeError(f"expected an error or its text, found {type(error).__name__}")
    file = None if path is None else as_text(path)
    model = None if target is None else as_text(target)
    return _statedict.explain(text, file, model)


class explaining:
    """Adds to an error that passes what it means and the call that fixes it, as a note.

    >>> import torch
    >>> model = torch.nn.Linear(2, 2)
    >>> try:
    ...     with sd.explaining():
    ...         model.load_state_dict({"module.weight": torch.ones(2, 2), "module.bias": torch.ones(2)})
    ... except RuntimeError as error:
    ...     print(error.__notes__[0].splitlines()[-1].strip())
    statedict.rename_file("CKPT", "unwrap", output="OUT.pth")
    """

    def __init__(self, path: AnyPath | None = None, target: AnyPath | None = None) -> None:
        self._path = path
        self._target = target

    def __enter__(self) -> explaining:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            note = _note(error, self._path, self._target)
            if note is not None:
                _add_note(error, note)


def _note(error: BaseException, path: AnyPath | None, target: AnyPath | None) -> str | None:
    if getattr(error, "__notes__", None):
        # It is explained already.
        return None
    for files in ((path, target), (None, None)):
        try:
            note = explain(error, *files)
        except Exception:
            # Whatever the file is, the error that is raised is the one to be seen.
            continue
        return note and f"statedict: {note}"
    return None


def _add_note(error: BaseException, note: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(note)
        return
    # Before Python 3.11 nobody shows notes.
    error.__notes__ = [note]
    if error.args and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{note}", *error.args[1:])


def install_excepthook() -> None:
    """Lets errors of loading that nobody catches say what they mean, also in notebooks."""
    if getattr(sys.excepthook, "_explains", False):
        return
    shown_before = sys.excepthook

    def excepthook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        note = _note(error, None, None)
        shown_before(kind, error, traceback)
        if note is not None:
            print(note, file=sys.stderr)

    excepthook._explains = True  # type: ignore[attr-defined]
    sys.excepthook = excepthook
    shell = _notebook()
    if shell is not None:
        shell.set_custom_exc((Exception,), _shown_in_notebook)


def _notebook() -> Any:
    """The shell of IPython, if this runs in one."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


def _shown_in_notebook(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    note = _note(error, None, None)
    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
    if note is not None:
        print(note, file=sys.stderr)
