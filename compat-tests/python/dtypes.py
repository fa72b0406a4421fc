"""A file of every element type that PyTorch saves, and whether two of them hold the same."""

import os

import torch
from safetensors.torch import load_file

NAMES = (
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu "
    "float4_e2m1fn_x2 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex32 complex64 complex128 "
    "bits8 bits16 bits1x8 bits2x4 bits4x2"
).split()


def generate(request):
    for name in NAMES:
        torch.save({f"m.{name}": tensor(getattr(torch, name))}, os.path.join(request["folder"], f"{name}.pth"))
    return NAMES


def tensor(dtype):
    if dtype is torch.bool:
        return torch.tensor([[True, False]])
    return torch.arange(1, 24 * dtype.itemsize + 1, dtype=torch.uint8).view(4, 6 * dtype.itemsize).view(dtype)


def judge(request):
    """None if the files hold the same tensor."""
    [expected] = torch.load(request["input"]).values()
    for file, load in (("there", load_file), ("back", torch.load)):
        [found] = load(request[file]).values()
        if (found.dtype, found.shape) != (expected.dtype, expected.shape):
            return f"{file}: {found.dtype} {list(found.shape)}"
        if not torch.equal(found.view(torch.uint8), expected.view(torch.uint8)):
            return f"{file}: other elements"
    return None
