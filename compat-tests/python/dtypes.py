"""A file of every element type that PyTorch saves, and whether two of them hold the same."""

import os

import torch
from safetensors.torch import load_file, save_file

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


def numbers(request):
    """Writes every half, and a million other numbers: of every exponent, and in the range of 8-bit floats."""
    random = torch.Generator().manual_seed(8)
    halves = torch.arange(-(2**15), 2**15).to(torch.int16)
    bits = torch.randint(-(2**31), 2**31, (2**19,), generator=random).to(torch.int32)
    near = torch.randn(2**19, generator=random, dtype=torch.float64) * 2.0 ** torch.randint(-20, 18, (2**19,), generator=random)
    middles = torch.arange(256, dtype=torch.uint8).view(torch.float8_e5m2).double()
    middles = torch.cat([(middles[1:] + middles[:-1]) / 2, middles * 1.0625, middles * 1.1875])
    numbers = {
        "float16": halves.view(torch.float16),
        "bfloat16": halves.clone().view(torch.bfloat16),
        "bits": bits.view(torch.float32),
        "near": near.float(),
        "middles": middles.float(),
        "float64": near.clone(),
    }
    save_file(numbers, request["file"])


def same_numbers(request):
    """None if the numbers are what PyTorch makes of them."""
    dtype = getattr(torch, request["dtype"])
    load = load_file if request["output"].endswith(".safetensors") else torch.load
    found = load(request["output"])
    for key, value in load_file(request["input"]).items():
        expected, value = value.to(dtype), found[key]
        if value.dtype != dtype:
            return f"{key} is {value.dtype}"
        wrong = (expected.view(torch.uint8) != value.view(torch.uint8)) & ~(expected.isnan() & value.isnan())
        if wrong.any():
            return f"{key}: {int(wrong.sum())} other numbers, such as {value[wrong][0]} for {expected[wrong][0]}"
    return None
