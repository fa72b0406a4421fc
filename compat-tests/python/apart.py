"""Pairs of files whose tensors are a little apart, and how far: element by element, in plain Python."""

import math
import os

import numpy as np
import torch
from safetensors.torch import save_file

from truth import TORCH_NAMES

SHAPE = (7, 31)
SMALL = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu)
# Types that no conversion makes of one another exactly, and some that are.
CROSSED = [
    (torch.float32, torch.bfloat16), (torch.float64, torch.float32), (torch.float16, torch.bfloat16),
    (torch.int64, torch.float32), (torch.int64, torch.uint8), (torch.bool, torch.float16),
    (torch.complex64, torch.float32), (torch.float8_e4m3fn, torch.float32),
]


def generate(request):
    """Writes the pairs and gives for each its files and the differing tensors."""
    torch.manual_seed(20)
    pairs = [(TORCH_NAMES[dtype], *neighbours(dtype)) for dtype in TORCH_NAMES]
    pairs += [(f"{TORCH_NAMES[a]}-{TORCH_NAMES[b]}", near(a), near(b)) for a, b in CROSSED]
    a, b = ({key: pair[side] for key, *pair in pairs} for side in (0, 1))
    return [
        {"a": one, "b": other, "values": expected(load_a, load_b)}
        for (one, load_a), (other, load_b) in [
            (write(request, "a.pth", a), write(request, "b.pth", b)),
            (write(request, "turned.pth", turned(a)), write(request, "b.safetensors", b)),
            (write(request, "turned-a.pth", turned(a)), write(request, "turned-b.pth", turned(b))),
            (write(request, "a.npz", a), write(request, "legacy.pth", numpy_only(b))),
        ]
    ]


def near(dtype):
    """Numbers on both sides of zero, as the type has them."""
    return to(base(dtype), dtype)


def base(dtype):
    numbers = torch.randn(SHAPE, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 40
    return numbers if dtype.is_signed else numbers.abs()


def to(numbers, dtype):
    return numbers.to(torch.float32).to(dtype) if dtype in SMALL else numbers.to(dtype)


def neighbours(dtype):
    """Two tensors that differ in some elements, by a little, by much, and in what is not a number."""
    a = base(dtype)
    b = a.clone()
    b[2:4] = a.flip(1).abs()[2:4]
    if dtype.is_floating_point:
        a[1, :5] = torch.tensor([0.0, -0.0, math.inf, math.nan, 1.0])
        b[1, :5] = torch.tensor([-0.0, 0.0, math.inf, math.nan, math.nan])
    if dtype == torch.float16:
        b[5, 5] = math.inf
    if dtype == torch.bool:
        b[3] = 0
    a, b = to(a, dtype), to(b, dtype)
    if dtype in (torch.int64, torch.uint64):
        a[6, 6], b[6, 6] = 2**62, 2**62 + 1
    return a, b


def turned(tensors):
    return {key: value.t().contiguous().t() for key, value in tensors.items()}


def numpy_only(tensors):
    held = lambda dtype: dtype not in (*SMALL, torch.bfloat16)
    return {key: value for key, value in tensors.items() if held(value.dtype)}


def write(request, name, tensors):
    path = os.path.join(request["folder"], name)
    if name.endswith(".npz"):
        tensors = numpy_only(tensors)
        np.savez_compressed(path, **{key: backwards(value.numpy()) for key, value in tensors.items()})
    elif name.endswith(".safetensors"):
        tensors = {key: value for key, value in tensors.items() if value.dtype != torch.complex128}
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name != "legacy.pth")
    return path, tensors


def backwards(array):
    """The same numbers in columns and with the most significant byte first."""
    return np.asfortranarray(array).astype(array.dtype.newbyteorder(">"))


def expected(a, b):
    """For each key of both what `diff --json` says of its values, where they differ."""
    return {key: far for key in a if key in b for far in [apart(a[key], b[key])] if far["count"]}


def apart(a, b):
    count = nan = 0
    max_abs = max_rel = 0.0
    for x, y in zip(numbers(a), numbers(b)):
        x, y = (parts(each, complex in (type(x), type(y))) for each in (x, y))
        differs = [p != q and not (p != p and q != q) for p, q in zip(x, y)]
        count += any(differs)
        nan += any((p != p) != (q != q) for p, q in zip(x, y))
        for p, q, differ in zip(x, y, differs):
            if differ and p == p and q == q:
                max_abs = max(max_abs, float(abs(p - q)))
                max_rel = max(max_rel, math.inf if math.isinf(p - q) else abs(p - q) / max(abs(p), abs(q)))
    finite = lambda number: number if math.isfinite(number) else None
    return {"count": count, "of": a.numel(), "nan": nan, "max_abs": finite(max_abs), "max_rel": finite(max_rel)}


def numbers(tensor):
    return (tensor.float() if tensor.dtype in SMALL else tensor).flatten().tolist()


def parts(number, is_complex):
    return [number.real, number.imag] if is_complex and isinstance(number, complex) else [number, 0][: 1 + is_complex]
