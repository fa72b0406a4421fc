"""Conversions as a Python user would do them, and whether statedict's output equals that."""

import numpy as np
import torch

from operate import Pth, read_npz, read_safetensors
from truth import NUMPY_NAMES, TORCH_NAMES, little_endian, torch_bytes

TORCH_OF = {name: dtype for dtype, name in TORCH_NAMES.items()}
CASTS = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0")
HOLDS = {
    "npz": set(NUMPY_NAMES.values()),
    "safetensors": set(TORCH_OF) - {"C128"} | {"F4"},
    "pth": set(TORCH_OF) | {"F4", "torch.complex32"},
}


class Array:
    """A tensor without a framework: dtype name, shape, row-major little-endian bytes."""

    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, list(shape), data

    def cast(self, to):
        if self.dtype not in FLOATS:
            return self
        values = torch.frombuffer(bytearray(self.data), dtype=TORCH_OF[self.dtype]) if self.data else torch.empty(0)
        return Array(TORCH_NAMES[to], self.shape, torch_bytes(values.to(to)))

    def equals(self, other):
        if (self.dtype, self.shape) != (other.dtype, other.shape):
            return False
        return self.data == other.data or self.dtype in FLOATS and self.equals_but_for_nan(other)

    def equals_but_for_nan(self, other):
        """A cast may choose any of the many bit patterns that are NaN."""
        left, right = (torch.frombuffer(bytearray(each.data), dtype=TORCH_OF[each.dtype]).double() for each in (self, other))
        both = torch.isnan(left) & torch.isnan(right)
        return torch.equal(left[~both].view(torch.int64), right[~both].view(torch.int64))


def judge(request):
    """None if statedict converted as the model does, else what is wrong."""
    expected = source(request["input"], request.get("at", ""))
    target = kind(request["output"])
    if request.get("cast"):
        expected = {key: value and value.cast(CASTS[request["cast"]]) for key, value in expected.items()}
    unheld = [key for key, value in expected.items() if not holds(target, key, value)]
    if unheld:
        if request["status"] == 0:
            return f"not refused, and {target} cannot hold {unheld[0]!r}"
        named = any(key in request["stderr"] or not key.isprintable() for key in unheld)
        return None if named else f"the refusal does not name {unheld[0]!r}: {request['stderr']}"
    if request["status"] != 0:
        return f"exit status {request['status']}: {request['stderr']}"
    return difference(expected, source(request["output"], ""))


def holds(target, key, value):
    """Whether a format has a place for a tensor under this key."""
    if value is None or value.dtype not in HOLDS[target]:
        return False
    return target != "npz" or "\0" not in key and len(key.encode()) + len(".npy") < 1 << 16


def difference(expected, actual):
    if list(expected) != list(actual):
        return f"keys {list(expected)[:9]} became {list(actual)[:9]}"
    for key, value in expected.items():
        if actual[key] is None or not value.equals(actual[key]):
            return f"{key!r} is another tensor: {value.dtype} {value.shape}, {actual[key].dtype} {actual[key].shape}"
    return None


def kind(path):
    ending = path.rsplit(".", 1)[-1]
    return ending if ending in ("npz", "safetensors") else "pth"


def source(path, at):
    """The tensors of a file in order; None for one without plain elements."""
    return {"npz": from_npz, "safetensors": from_safetensors}.get(kind(path), lambda path: from_pth(path, at))(path)


def from_pth(path, at):
    [state_dict] = Pth(path).state_dicts([at])
    tensors = [(key, value) for key, value in state_dict.items() if isinstance(value, torch.Tensor)]
    # A key that is not a string cannot be written, so it counts as a tensor that cannot.
    return {str(key): from_torch(value) if isinstance(key, str) else None for key, value in tensors}


def versions(path, at):
    """The modules of a state dict with their versions, in order; None if it has none."""
    [state_dict] = Pth(path).state_dicts([at])
    metadata = getattr(state_dict, "_metadata", None)
    return metadata and [[module, of["version"]] for module, of in metadata.items()]


def from_torch(tensor):
    if tensor.is_quantized or tensor.is_meta or tensor.layout != torch.strided:
        return None
    if tensor.dtype == torch.float4_e2m1fn_x2:
        return Array("F4", [*tensor.shape[:-1], tensor.shape[-1] * 2], torch_bytes(tensor))
    return Array(TORCH_NAMES.get(tensor.dtype, str(tensor.dtype)), tensor.shape, torch_bytes(tensor))


def from_safetensors(path):
    entries, _ = read_safetensors(path)
    return {name: Array(dtype, shape, data) for name, dtype, shape, data, _ in entries}


def from_npz(path):
    with np.load(path, allow_pickle=True) as archive:
        return {key: from_numpy(archive[key]) for key in archive.files}


def from_numpy(array):
    name = NUMPY_NAMES.get(array.dtype.str[1:])
    return Array(name, array.shape, little_endian(array).tobytes()) if name else None
