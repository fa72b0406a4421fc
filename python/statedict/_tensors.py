"""Tensors of PyTorch's, NumPy's and others: their types, where their elements are, their bytes."""

from __future__ import annotations

import ctypes
import sys

from ._errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    Place = tuple[object, int, int, Optional[tuple[int, ...]]]

# The names that files have for types, with those of PyTorch and NumPy.
_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "C128": "complex128",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F4": "float4_e2m1fn_x2",
}
_FILES = {name: dtype for dtype, name in _NAMES.items()}

_torch_dtypes: dict[str, Any] = {}


def torch_dtype(name: str) -> Any:
    """PyTorch's type for elements that a file calls `name`."""
    found = _torch_dtypes.get(name)
    if found is None:
        import torch

        own = name[6:] if name.startswith("torch.") else _NAMES.get(name)
        found = getattr(torch, own, None) if own else None
        if not isinstance(found, torch.dtype):
            version = torch.__version__
            raise _no_dtype(f"PyTorch {version} has no type for elements of {name}")
        _torch_dtypes[name] = found
    return found


def numpy_dtype(name: str) -> Any:
    """NumPy's type for elements that a file calls `name`, of `ml_dtypes` where NumPy has none."""
    import numpy

    own = _NAMES.get(name)
    if own is not None and own != "float4_e2m1fn_x2":
        try:
            return numpy.dtype(own)
        except TypeError:
            pass
        try:
            import ml_dtypes
        except ImportError:
            hint = "install ml_dtypes, or open the file with framework='pt'"
            raise _no_dtype(f"NumPy has no type for elements of {name}", hint) from None
        if hasattr(ml_dtypes, own):
            return numpy.dtype(getattr(ml_dtypes, own))
    try:
        return numpy.dtype(name)
    except TypeError:
        raise _no_dtype(f"NumPy has no type for elements of {name}") from None


def dtype_name(name: str) -> str:
    """What libraries call the type that a file calls `name`."""
    return _NAMES.get(name, name)


def _no_dtype(message: str, hint: str | None = None) -> CheckpointError:
    return CheckpointError(message, kind="unsupported", hint=hint)


def dtype_of(value: Any) -> str:
    """What a file would call the type of a tensor's elements; the type's own name if it has none."""
    dtype = value.dtype
    name = getattr(dtype, "name", None) or str(dtype).rsplit(".", 1)[-1]
    if name in _FILES:
        return _FILES[name]
    return str(dtype.newbyteorder("<").str) if is_numpy(value) else str(dtype)


def is_torch(value: object) -> bool:
    """True for PyTorch's tensors, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_numpy(value: object) -> bool:
    """True for NumPy's arrays, without importing NumPy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic))


def is_tensor(value: object) -> bool:
    """True for all that has a type and a shape."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape, as a file counts it: two packed elements are two."""
    shape = tuple(int(size) for size in value.shape)
    if shape and dtype_of(value) == "F4":
        shape = (*shape[:-1], shape[-1] * 2)
    return shape


def place_of(value: Any) -> Place | None:
    """Storage, its length in bytes, and offset and strides in elements; none if nobody knows.

    Two tensors with equal places have the same elements, whatever they are set to.
    """
    if is_torch(value):
        try:
            storage = value.untyped_storage()
            strides = tuple(value.stride())
            # `_cdata` is the storage itself, also where it has no memory.
            return storage._cdata, storage.nbytes(), value.storage_offset(), strides
        except (NotImplementedError, RuntimeError, AttributeError):
            return None
    if is_numpy(value):
        if not value.nbytes or not value.flags.c_contiguous:
            return None
        return value.__array_interface__["data"][0], value.nbytes, 0, None
    return None


def reader(key: str, value: Any) -> tuple[int, Callable[[int, int], bytes]]:
    """How many bytes the elements have, row-major and little-endian, and what gives some of them."""
    if is_torch(value):
        return _torch_reader(key, value)
    return _array_reader(key, value)


def _torch_reader(key: str, tensor: Any) -> tuple[int, Callable[[int, int], bytes]]:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        what = "meta" if tensor.device.type == "meta" else str(tensor.layout).rsplit(".", 1)[-1]
        what = "quantized" if tensor.is_quantized else what
        message = f"tensor '{key}': it has no plain elements ({what})"
        raise CheckpointError(message, kind="unsupported")
    nbytes = tensor.numel() * tensor.element_size()
    if nbytes == 0:
        return 0, lambda offset, length: b""
    plain: list[Any] = []

    def read(offset: int, length: int) -> bytes:
        if not plain:
            # Made when the file is written, so that one tensor after another takes memory.
            plain.append(_plain(key, tensor, nbytes))
        return ctypes.string_at(plain[0].data_ptr() + offset, length)

    if tensor.device.type == "cpu" and tensor.is_contiguous():
        plain.append(_plain(key, tensor, nbytes))
        return nbytes, read
    return nbytes, _forgetting(read, plain, nbytes)


def _forgetting(
    read: Callable[[int, int], bytes], plain: list[Any], nbytes: int
) -> Callable[[int, int], bytes]:
    """The same, where a copy goes again when all of it has been read."""
    left = [nbytes]

    def read_once(offset: int, length: int) -> bytes:
        found = read(offset, length)
        left[0] -= length
        if left[0] <= 0:
            plain.clear()
            left[0] = nbytes
        return found

    return read_once


def _plain(key: str, tensor: Any, nbytes: int) -> Any:
    """The tensor in the processor's memory, its elements side by side."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    storage = plain.untyped_storage()
    end = plain.storage_offset() * plain.element_size() + nbytes
    if plain.data_ptr() == 0 or storage.nbytes() < end:
        message = f"tensor '{key}': a {type(tensor).__name__} has no plain elements"
        raise CheckpointError(message, kind="unsupported")
    if sys.byteorder != "little":
        plain = plain.view(_bytes_dtype()).flip(-1).contiguous()
    return plain


def _bytes_dtype() -> Any:
    import torch

    return torch.uint8


def _array_reader(key: str, value: Any) -> tuple[int, Callable[[int, int], bytes]]:
    import numpy

    array = numpy.asarray(value)
    if array.dtype.hasobject:
        message = f"tensor '{key}': it has no plain elements (objects)"
        raise CheckpointError(message, kind="unsupported")
    nbytes = array.nbytes
    is_big = array.dtype.byteorder == ">" or (
        array.dtype.byteorder == "=" and sys.byteorder == "big"
    )
    if is_big:
        array = array.astype(array.dtype.newbyteorder("<"))
    flat = numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8)
    return nbytes, lambda offset, length: flat[offset : offset + length].tobytes()
