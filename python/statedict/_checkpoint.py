"""Opened checkpoints, and the state dicts of files."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping

from . import _reading, _statedict
from ._arguments import path as as_text
from ._summary import html, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._arguments import AnyPath, Progress, Rules


class Opaque:
    """A value of a file that is no plain one: a tensor, an object that nobody may make."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what: str = what

    def __repr__(self) -> str:
        return f"<{self.what}>"


class TensorInfo:
    """What a file says of a tensor."""

    __slots__ = ("dtype", "key", "layout", "nbytes", "shape")

    def __init__(
        self, key: str, dtype: str, shape: tuple[int, ...], nbytes: int, layout: str | None
    ) -> None:
        self.key: str = key
        self.dtype: str = dtype
        """The type of its elements, as safetensors names it: `F32`, `BF16`."""
        self.shape: tuple[int, ...] = shape
        self.nbytes: int = nbytes
        self.layout: str | None = layout
        """What it is instead of plain elements (`sparse_coo`, `meta`); none if it has some."""

    def __repr__(self) -> str:
        layout = "" if self.layout is None else f", {self.layout}"
        return f"TensorInfo({self.key!r}, {self.dtype}, {list(self.shape)}{layout})"


class Slice:
    """A tensor of a file, of which parts are read by indexing, as in safetensors."""

    def __init__(self, checkpoint: Checkpoint, key: str) -> None:
        self._checkpoint = checkpoint
        self._info = checkpoint.info(key)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole tensor."""
        return self._info.shape

    def get_shape(self) -> list[int]:
        """The shape of the whole tensor."""
        return list(self._info.shape)

    def get_dtype(self) -> str:
        """The type of its elements, as safetensors names it."""
        return self._info.dtype

    def __getitem__(self, index: Any) -> Any:
        return self._checkpoint._reader().part(self._info.key, index)

    def __repr__(self) -> str:
        return f"Slice({self._info.key!r}, {self._info.dtype}, {list(self._info.shape)})"


class Checkpoint(Mapping[str, "Any"]):
    """A file's state dict as a mapping from keys to tensors, none read before it is asked for.

    Whatever the file, nothing in it is run. It may be used from several threads, in processes that
    were forked, and it can be pickled: it is opened again then.

    >>> ckpt = sd.open("lenet.pth")
    >>> len(ckpt), list(ckpt)[0]
    (10, 'conv1.weight')
    >>> ckpt["conv1.weight"].shape
    torch.Size([6, 3, 5, 5])
    """

    def __init__(
        self,
        path: AnyPath,
        *,
        at: str | None = None,
        framework: str | None = None,
        device: Any = "cpu",
        mmap: bool = True,
    ) -> None:
        path = as_text(path)
        self._arguments = os.path.abspath(path), at, framework, device, mmap
        self._opened = _statedict.open(path, at)
        if at is not None:
            # Asked for here, so that a path that leads nowhere is an error where it was given.
            _ = self._opened.at
        self._process = os.getpid()
        self._infos: dict[str, TensorInfo] | None = None
        self._reading: _reading.Reader | None = None

    def _file(self) -> _statedict.File:
        if self._process != os.getpid():
            # Of the process that this one was forked from, whose locks may be held.
            path, at, *_ = self._arguments
            self._opened = _statedict.open(path, at)
            self._process = os.getpid()
            self._reading = None
        return self._opened

    def _reader(self) -> _reading.Reader:
        file = self._file()
        if self._reading is None:
            _, _, framework, device, mmap = self._arguments
            self._reading = _reading.reader(file, framework, device, mmap)
        return self._reading

    def _tensors(self) -> dict[str, TensorInfo]:
        if self._infos is None:
            rows = self._file().tensors()
            self._infos = {row[0]: TensorInfo(*row) for row in rows}
        return self._infos

    @property
    def path(self) -> str:
        """The file, or the folder or index of several."""
        return self._opened.path

    @property
    def format(self) -> str:
        """What kind of file it is: `pth`, `pth-legacy`, `safetensors-sharded`, `npz` …"""
        return self._opened.kind

    @property
    def at(self) -> str:
        """The path of the state dict in the file; empty at the root."""
        return self._file().at

    def __enter__(self) -> Checkpoint:
        """There is nothing to close: a file is open as long as something looks at it."""
        return self

    def __exit__(self, *_: object) -> None:
        pass

    # Comparing elements is for `diff`.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getitem__(self, key: str) -> Any:
        self.info(key)
        return self._reader().tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors())

    def __len__(self) -> int:
        return len(self._tensors())

    def __contains__(self, key: object) -> bool:
        return key in self._tensors()

    def info(self, key: str) -> TensorInfo:
        """Type and shape of a tensor, which is not read.

        >>> sd.open("lenet.pth").info("conv1.weight")
        TensorInfo('conv1.weight', F32, [6, 3, 5, 5])
        """
        infos = self._tensors()
        try:
            return infos[key]
        except KeyError:
            raise KeyError(_missing(key, infos)) from None

    def get_slice(self, key: str) -> Slice:
        """A tensor to read parts of.

        >>> sd.open("lenet.pth").get_slice("fc3.weight")[:2, 0].shape
        torch.Size([2])
        """
        return Slice(self, key)

    def metadata(self) -> dict[str, str]:
        """Text beside the tensors: `__metadata__` of safetensors."""
        return dict(self._file().metadata())

    @property
    def payload(self) -> Any:
        """What is beside the tensors: epoch, hyper-parameters, the optimizer.

        Objects become what their attributes say; tensors and what nobody may make are `Opaque`.
        """
        return self._file().payload("")

    def state_dict(self, *, progress: Progress = None) -> OrderedDict[str, Any]:
        """All tensors, with `_metadata`, as `load_file` gives them."""
        state: OrderedDict[str, Any] = self._reader().all(progress)
        modules = self._file().modules()
        if modules:
            versions = [(path, _versions(version)) for path, version in modules]
            state._metadata = OrderedDict(versions)  # type: ignore[attr-defined]
        return state

    def load_into(
        self,
        model: Any,
        *,
        rename: Rules | None = None,
        strict: bool = True,
        assign: bool = False,
    ) -> Any:
        """Loads the state dict into a module, under other keys if `rename` says so.

        `strict` and `assign` are those of `load_state_dict`, whose answer this gives; a module on the
        meta device needs `assign=True`. Where the file's bytes allow it, elements are read as they
        are copied into the module, and with `assign=True` when they are first used.

        >>> import torch
        >>> model = torch.nn.ModuleDict({"out": torch.nn.Linear(84, 10)})
        >>> rules = ["fc3.{r..} -> out.{r..}", "drop:conv*.* fc*.*"]
        >>> sd.open("lenet.pth").load_into(model, rename=rules)
        <All keys matched successfully>
        """
        from ._memory import load_into

        return load_into(self, model, rename=rename, strict=strict, assign=assign)

    def summary(self) -> str:
        """What is in the file, keys that differ in numbers alone in one line.

        >>> print(sd.open("lenet.pth").summary())
        lenet.pth: pth, 10 tensors, 62,006 parameters, 248 kB
          conv1.weight  F32  [6, 3, 5, 5]
          conv1.bias    F32  [6]
          conv2.weight  F32  [16, 6, 5, 5]
          conv2.bias    F32  [16]
          fc1.weight    F32  [120, 400]
          fc1.bias      F32  [120]
          fc2.weight    F32  [84, 120]
          fc2.bias      F32  [84]
          fc3.weight    F32  [10, 84]
          fc3.bias      F32  [10]
        """
        return text(self)

    def _repr_html_(self) -> str:
        return html(self)

    def __repr__(self) -> str:
        at = f", at={self._arguments[1]!r}" if self._arguments[1] is not None else ""
        return f"<statedict.Checkpoint {self.path!r} ({self.format}){at}>"

    def __reduce__(self) -> Any:
        return _reopened, self._arguments


def _reopened(
    path: str, at: str | None, framework: str | None, device: Any, mmap: bool
) -> Checkpoint:
    return Checkpoint(path, at=at, framework=framework, device=device, mmap=mmap)


def _versions(version: int | None) -> dict[str, int]:
    return {} if version is None else {"version": version}


def _missing(key: str, infos: dict[str, TensorInfo]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(str(key), infos, n=1) if len(infos) < 10_000 else []
    return f"{key}; did you mean '{near[0]}'?" if near else str(key)


def open(
    path: AnyPath,
    *,
    at: str | None = None,
    framework: str | None = None,
    device: Any = "cpu",
    mmap: bool = True,
) -> Checkpoint:
    """Opens a checkpoint of any format; nothing is run, and no tensor is read yet.

    `at` is the path of the state dict in the file, whose last part may do; without it, the one that
    is clearly meant is taken. `framework` is `pt` or `np`, as in safetensors; without it, PyTorch
    where it is installed. Tensors look at the file itself where its bytes allow that, so the file
    must not be edited meanwhile; with `mmap=False` they are copies.

    >>> sd.open("lenet.pth", framework="np")["fc3.bias"].dtype
    dtype('float32')
    """
    return Checkpoint(path, at=at, framework=framework, device=device, mmap=mmap)


def load_file(
    path: AnyPath,
    *,
    at: str | None = None,
    framework: str | None = None,
    device: Any = "cpu",
    mmap: bool = True,
    progress: Progress = None,
) -> OrderedDict[str, Any]:
    """The state dict of a checkpoint of any format, with `_metadata`; nothing in the file is run.

    The arguments are those of `open`.

    >>> state = sd.load_file("lenet.pth")
    >>> list(state)[:2], state["fc3.bias"].dtype
    (['conv1.weight', 'conv1.bias'], torch.float32)
    """
    opened = open(path, at=at, framework=framework, device=device, mmap=mmap)
    return opened.state_dict(progress=progress)
