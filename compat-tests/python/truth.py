"""What PyTorch, NumPy and safetensors say is in a file, in the form of `statedict ls --json --hash`."""

import hashlib
import warnings

import numpy as np
import torch
from safetensors import safe_open

warnings.filterwarnings("ignore")

TORCH_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.uint16: "U16",
    torch.uint32: "U32", torch.uint64: "U64", torch.bool: "BOOL", torch.complex64: "C64", torch.complex128: "C128",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ", torch.float8_e8m0fnu: "F8_E8M0",
}
NUMPY_NAMES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u8": "U64",
    "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL", "c8": "C64", "c16": "C128",
}


def rows(path):
    if path.endswith(".npz"):
        return numpy_rows(path)
    if path.endswith(".safetensors"):
        return safetensors_rows(path)
    return torch_rows(load(path))


def load(path):
    """What PyTorch makes of a file, weights only if it can be."""
    return load_telling(path)[0]


def load_telling(path):
    """What PyTorch makes of a file, and whether it could be weights only."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True), True
    except Exception:
        return torch.load(path, map_location="cpu", weights_only=False), False


def torch_rows(value):
    if isinstance(value, torch.Tensor):
        return [torch_row("", "", value)]
    return [torch_row(*tensor) for tensor in named(value, "")]


def named(value, at):
    """Every tensor, with the path of what holds it and its key there."""
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, (list, tuple)):
        children = enumerate(value)
    else:
        return
    for key, child in children:
        if isinstance(child, torch.Tensor):
            yield at, str(key), child
        else:
            yield from named(child, f"{at}/{key}" if at else str(key))


def torch_row(at, key, tensor):
    row = {"at": at, "key": key, "dtype": TORCH_NAMES.get(tensor.dtype, str(tensor.dtype)), "shape": list(tensor.shape)}
    if tensor.is_quantized:
        return row | {"layout": "quantized"}
    if tensor.is_meta:
        return row | {"layout": "meta"}
    if tensor.layout != torch.strided:
        return row | {"layout": str(tensor.layout).removeprefix("torch.")}
    return row | {"sha256": hashlib.sha256(torch_bytes(tensor)).hexdigest()}


def torch_bytes(tensor):
    """The elements as they are read, row-major; the machine is little-endian."""
    # A copy of truth values makes them 0 or 1, which not all bytes are that can be loaded.
    tensor = tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor
    plain = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def numpy_rows(path):
    with np.load(path, allow_pickle=True) as archive:
        return [numpy_row(key, archive[key]) for key in archive.files]


def numpy_row(key, array):
    name = NUMPY_NAMES.get(array.dtype.str[1:])
    row = {"at": "", "key": key, "dtype": name or "other", "shape": list(array.shape)}
    if not name:
        return row
    return row | {"sha256": hashlib.sha256(little_endian(array).tobytes()).hexdigest()}


def little_endian(array):
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).reshape(array.shape)


def safetensors_rows(path):
    """In the order of the header, which the library does not give; so it is compared without order."""
    with safe_open(path, "pt") as file:
        rows = [torch_row("", key, file.get_tensor(key)) for key in file.keys()]
        for row in rows:
            if row["dtype"] == "torch.float4_e2m1fn_x2":
                row |= {"dtype": "F4", "shape": row["shape"][:-1] + [row["shape"][-1] * 2]}
        return rows
