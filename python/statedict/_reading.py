"""Tensors out of files: views of the file itself where its bytes allow that, copies otherwise."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict

from . import _copying
from ._errors import CheckpointError
from ._tensors import numpy_dtype, torch_dtype

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Union

    from . import _statedict
    from ._arguments import Progress

    # Of `File.places`: file, first and last byte of the storage, offset, strides; or which other
    # tensor has the same elements.
    Place = Union[tuple[int, int, int, int, tuple[int, ...]], int]
    Row = tuple[str, str, tuple[int, ...], int, Optional[str]]

_FRAMEWORKS = {
    "pt": "pt", "torch": "pt", "pytorch": "pt",
    "np": "np", "numpy": "np",
}  # fmt: skip

# Where a file that is open can be opened again, whatever is at its path by now.
_OPEN_FILES = "/dev/fd"


def reader(file: _statedict.File, framework: str | None, device: Any, mmap: bool) -> Reader:
    """What makes tensors of a file for a framework."""
    if framework is not None and framework not in _FRAMEWORKS:
        known = "', '".join(_FRAMEWORKS)
        raise ValueError(f"unknown framework '{framework}'; expected one of '{known}'")
    kind = _FRAMEWORKS[framework] if framework is not None else _installed()
    if kind == "np":
        if str(device) != "cpu":
            raise ValueError(f"device={device!r}: arrays of NumPy are on the CPU")
        return NumpyReader(file, mmap)
    return TorchReader(file, device, mmap)


def _installed() -> str:
    from importlib.util import find_spec

    if "torch" in sys.modules or find_spec("torch") is not None:
        return "pt"
    if find_spec("numpy") is not None:
        return "np"
    hint = "pip install 'statedict[torch]' or 'statedict[numpy]'"
    message = "tensors are PyTorch's or NumPy's, and neither is installed"
    raise CheckpointError(message, kind="unsupported", hint=hint)


class Reader:
    """The tensors of a file's state dict."""

    def __init__(self, file: _statedict.File, mmap: bool) -> None:
        self._file = file
        self._mmap = mmap and os.path.isdir(_OPEN_FILES) and sys.byteorder == "little"
        self._rows: list[Row] = file.tensors()
        self._places: list[Place] = file.places()
        self._numbers = {row[0]: number for number, row in enumerate(self._rows)}

    def tensor(self, key: str) -> Any:
        """One tensor."""
        return self._made(self._numbers[key])

    def all(self, progress: Progress) -> OrderedDict[str, Any]:
        """Every tensor; those that share their elements in the file share them here."""
        self._refuse_opaque()
        state: OrderedDict[str, Any] = OrderedDict()
        with _copying.Copies(self._file, self._mmap, progress, self._rows, self._places) as copies:
            for number, row in enumerate(self._rows):
                state[row[0]] = self._made(number, copies)
        return state

    def part(self, key: str, index: Any) -> Any:
        """What indexing the tensor gives; no more is read than is needed, where that can be."""
        number = self._numbers[key]
        _, _, shape, _, layout = self._rows[number]
        whole = self._mmap and isinstance(self._places[number], tuple)
        cuts, rest = ([], index) if whole or layout else _cuts(index, shape)
        if not cuts:
            return self.tensor(key)[index]
        sizes = list(shape)
        for dimension, start, stop in cuts:
            sizes[dimension] = stop - start
        return self._of_bytes(number, tuple(sizes), self._file.read(key, cuts))[rest]

    def _made(self, number: int, copies: _copying.Copies | None = None) -> Any:
        """A view of the file, or a copy."""
        raise NotImplementedError

    def _of_bytes(self, number: int, shape: tuple[int, ...], elements: bytearray) -> Any:
        """A tensor of elements that were read."""
        raise NotImplementedError

    def _refuse_opaque(self) -> None:
        lines = [f"'{key}' ({layout})" for key, _, _, _, layout in self._rows if layout]
        if lines:
            more = f" and {len(lines) - 8} more" if len(lines) > 8 else ""
            message = f"tensors without plain elements: {', '.join(lines[:8])}{more}"
            path = self._file.path
            raise CheckpointError(f"cannot read '{path}': {message}", kind="unsupported", path=path)


def _cuts(index: Any, shape: tuple[int, ...]) -> tuple[list[tuple[int, int, int]], Any]:
    """The dimensions that plain indices and ranges cut, and the index that is left for the cut.

    Anything else (lists, masks, `None`, `...`) is left to the framework.
    """
    items = index if isinstance(index, tuple) else (index,)
    if len(items) > len(shape):
        return [], index
    cuts: list[tuple[int, int, int]] = []
    rest: list[slice | int] = []
    for dimension, (item, size) in enumerate(zip(items, shape)):
        if isinstance(item, slice):
            if any(
                not isinstance(it, (int, type(None))) for it in (item.start, item.stop, item.step)
            ):
                return [], index
            start, stop, step = item.indices(size)
            if step < 1:
                return [], index
            stop = max(start, stop)
            cuts.append((dimension, start, stop))
            rest.append(slice(None, None, step))
        elif isinstance(item, int) and not isinstance(item, bool) and -size <= item < size:
            cuts.append((dimension, item % size, item % size + 1))
            rest.append(0)
        else:
            return [], index
    return cuts, tuple(rest)


class TorchReader(Reader):
    """PyTorch's tensors."""

    def __init__(self, file: _statedict.File, device: Any, mmap: bool) -> None:
        import torch

        super().__init__(file, mmap)
        self._torch = torch
        self._device = torch.device(device)
        self._is_cpu = self._device.type == "cpu"
        self._maps: dict[int, Any] = {}
        self._storages: dict[tuple[int, int, int], Any] = {}
        self._read: dict[int, Any] = {}

    def all(self, progress: Progress) -> OrderedDict[str, Any]:
        try:
            return super().all(progress)
        finally:
            self._read.clear()

    def _made(self, number: int, copies: _copying.Copies | None = None) -> Any:
        key, name, shape, nbytes, _ = self._rows[number]
        dtype = torch_dtype(name)
        if self._device.type == "meta":
            return self._torch.empty(_packed(name, shape), dtype=dtype, device="meta")
        place = self._places[number]
        if not isinstance(place, tuple):
            tensor = self._elsewhere(number, place, copies is not None)
        elif nbytes == 0:
            tensor = self._torch.empty(shape, dtype=dtype)
        else:
            file, start, stop, offset, strides = place
            if start % dtype.itemsize == 0 and name != "F4":
                storage = self._storage(file, start, stop, copies)
                tensor = self._torch.empty(0, dtype=dtype)
                tensor.set_(storage, offset, shape, strides)
            else:
                tensor = self._of_bytes(number, shape, self._file.read(key, []))
        return tensor if self._is_cpu else tensor.to(self._device)

    def _elsewhere(self, number: int, first: int, keeps: bool) -> Any:
        """Elements that have to be read, once for all keys that have them."""
        key, _, shape, _, _ = self._rows[number]
        tensor = self._read.get(first)
        if tensor is None:
            tensor = self._of_bytes(number, shape, self._file.read(key, []))
            if keeps:
                self._read[first] = tensor
        return tensor

    def _storage(self, file: int, start: int, stop: int, copies: _copying.Copies | None) -> Any:
        known = copies.storages if copies is not None else self._storages
        storage = known.get((file, start, stop))
        if storage is None:
            if self._mmap:
                storage = self._map(file)[start:stop]
            else:
                storage = self._torch.empty(stop - start, dtype=self._torch.uint8).untyped_storage()
                _copying.read_into(file, start, storage.data_ptr(), stop - start, copies)
            if copies is not None or self._mmap:
                known[file, start, stop] = storage
        return storage

    def _map(self, file: int) -> Any:
        """All of a file, of which pages are read when they are looked at; changes stay private."""
        if file not in self._maps:
            size = os.fstat(file).st_size
            path = f"{_OPEN_FILES}/{file}"
            self._maps[file] = self._torch.UntypedStorage.from_file(path, False, size)
        return self._maps[file]

    def _of_bytes(self, number: int, shape: tuple[int, ...], elements: bytearray) -> Any:
        name = self._rows[number][1]
        dtype = torch_dtype(name)
        if not elements:
            return self._torch.empty(_packed(name, shape), dtype=dtype)
        if dtype == self._torch.bool:
            plain = self._torch.frombuffer(elements, dtype=self._torch.uint8) != 0
        else:
            plain = self._torch.frombuffer(elements, dtype=self._torch.uint8).view(dtype)
        return plain.reshape(_packed(name, shape))


def _packed(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape as PyTorch counts it, which counts two elements of four bits as one."""
    if name != "F4":
        return shape
    if not shape or shape[-1] % 2:
        message = f"elements of F4 with shape {list(shape)} are no tensor of PyTorch's"
        raise CheckpointError(message, kind="unsupported")
    return (*shape[:-1], shape[-1] // 2)


class NumpyReader(Reader):
    """NumPy's arrays."""

    def __init__(self, file: _statedict.File, mmap: bool) -> None:
        import numpy

        super().__init__(file, mmap)
        self._numpy = numpy
        self._maps: dict[int, Any] = {}

    def _made(self, number: int, copies: _copying.Copies | None = None) -> Any:
        key, name, shape, nbytes, _ = self._rows[number]
        dtype, place = numpy_dtype(name), self._places[number]
        if nbytes and self._mmap and isinstance(place, tuple) and place[1] % dtype.itemsize == 0:
            file, start, _, offset, strides = place
            steps = tuple(stride * dtype.itemsize for stride in strides)
            start += offset * dtype.itemsize
            return self._numpy.ndarray(shape, dtype, self._map(file), start, steps)
        return self._of_bytes(number, shape, self._file.read(key, []))

    def _map(self, file: int) -> Any:
        """All of a file; changes stay private."""
        if file not in self._maps:
            from mmap import ACCESS_COPY, mmap

            self._maps[file] = mmap(file, 0, access=ACCESS_COPY)
        return self._maps[file]

    def _of_bytes(self, number: int, shape: tuple[int, ...], elements: bytearray) -> Any:
        dtype = numpy_dtype(self._rows[number][1])
        return self._numpy.frombuffer(elements, dtype).reshape(shape)
