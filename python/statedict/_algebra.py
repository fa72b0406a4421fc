"""What new tensors are made of: views of others, and what is calculated from them."""

from __future__ import annotations

from ._errors import CheckpointError
from ._tensors import (
    dtype_name,
    dtype_of,
    is_numpy,
    is_torch,
    numpy_dtype,
    reader,
    shape_of,
    torch_dtype,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Expression = tuple[Any, ...]


class Maker:
    """Makes tensors of the library of those that there are: PyTorch's, NumPy's, others'."""

    def __init__(self, source: Mapping[str, Any], target: Mapping[str, Any] | None = None) -> None:
        self._sides = {"source": source, "target": target or {}}

    def make(self, expression: Expression) -> Any:
        """The tensor; one that is only renamed is the very same."""
        kind, *parts = expression
        return getattr(self, "_" + kind)(*parts)

    def _key(self, side: str, key: str) -> Any:
        try:
            return self._sides[side][key]
        except KeyError:
            raise CheckpointError(f"no tensor '{key}' in the {side}", kind="refused") from None

    def _slice(self, of: Expression, axis: int, start: int, stop: int) -> Any:
        whole = self.make(of)
        if is_torch(whole):
            return whole.detach().narrow(axis, start, stop - start)
        return whole[(*(slice(None),) * axis, slice(start, stop), ...)]

    def _permute(self, of: Expression, axes: list[int]) -> Any:
        whole = self.make(of)
        if is_torch(whole):
            return whole.detach().permute(axes)
        library = _library(whole)
        permute = getattr(library, "permute_dims", None) or library.transpose
        return permute(whole, tuple(axes))

    def _reshape(self, of: Expression, shape: list[int]) -> Any:
        whole = self.make(of)
        if is_torch(whole):
            return whole.detach().reshape(shape)
        return _library(whole).reshape(whole, tuple(shape))

    def _concat(self, axis: int, parts: list[Expression]) -> Any:
        return self._joined("cat", "concat", "concatenate", axis, parts)

    def _stack(self, axis: int, parts: list[Expression]) -> Any:
        return self._joined("stack", "stack", "stack", axis, parts)

    def _joined(
        self, torchs: str, standards: str, numpys: str, axis: int, parts: list[Expression]
    ) -> Any:
        made = [self.make(part) for part in parts]
        if is_torch(made[0]):
            import torch

            with torch.no_grad():
                return getattr(torch, torchs)(made, axis)
        library = _library(made[0])
        join = getattr(library, standards, None) or getattr(library, numpys)
        return join(made, axis=axis)

    def _cast(self, of: Expression, dtype: str) -> Any:
        whole = self.make(of)
        if is_torch(whole):
            return whole.detach().to(torch_dtype(dtype))
        if is_numpy(whole):
            return whole.astype(numpy_dtype(dtype))
        library = _library(whole)
        return library.astype(whole, getattr(library, dtype_name(dtype)))

    def _computed(self, computed: Any) -> Any:
        rows, readers, like = [], [], None
        for key in dict.fromkeys(computed.sources()):
            like = self._key("source", key)
            nbytes, read = reader(key, like)
            rows.append((key, dtype_of(like), list(shape_of(like)), nbytes, None))
            readers.append(read)
        dtype, shape, elements = computed.compute(
            rows, lambda number, offset, length: readers[number](offset, length)
        )
        return _of_bytes(self._like() if like is None else like, dtype, shape, elements)

    def _like(self) -> Any:
        """Some tensor, whose library makes those that are drawn."""
        for side in ("target", "source"):
            for value in self._sides[side].values():
                if is_torch(value) or is_numpy(value) or hasattr(value, "__array_namespace__"):
                    return value
        return None


def _library(value: Any) -> Any:
    """The functions for arrays like this one."""
    if hasattr(value, "__array_namespace__"):
        return value.__array_namespace__()
    import numpy

    return numpy


def _of_bytes(like: Any, name: str, shape: list[int], elements: bytearray) -> Any:
    if is_torch(like):
        import torch

        dtype = torch_dtype(name)
        if not elements:
            return torch.empty(shape, dtype=dtype)
        plain = torch.frombuffer(elements, dtype=torch.uint8).view(dtype).reshape(shape)
        # What is made for a model that has no memory yet goes to the processor's.
        return plain if like.device.type in ("cpu", "meta") else plain.to(like.device)
    import numpy

    array = numpy.frombuffer(elements, numpy_dtype(name)).reshape(shape)
    return array if like is None or is_numpy(like) else _library(like).asarray(array)
