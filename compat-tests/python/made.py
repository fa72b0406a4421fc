"""A model whose tensors are all created, and whether they are what PyTorch would make."""

import math
import os

import torch

FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
CONSTANTS = {
    "F16": [0, 1, -2.5, 65504, -math.inf], "BF16": [0, 1, 0.1, 3e38], "F32": [0, 1, 0.1, 1e-40],
    "F64": [0.1, 1e300], "I64": [0, -5, 2**40], "I32": [7], "I16": [-7], "I8": [-128],
    "U8": [255], "BOOL": [0, 1], "C64": [1, -0.5], "C128": [0.1],
}
DTYPES = {**FLOATS, "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
          "U8": torch.uint8, "BOOL": torch.bool, "C64": torch.complex64, "C128": torch.complex128}
WEIGHT = (128, 96, 3, 1)


def drawn():
    """Keys with a rule, a shape, and what PyTorch does to a tensor of that shape."""
    init = torch.nn.init
    yield "uniform", "uniform(-0.5,1.5)", (50_000,), lambda t: t.uniform_(-0.5, 1.5)
    yield "normal", "normal(3,0.02)", (200, 1024), lambda t: t.normal_(3, 0.02)
    yield "xavier", "xavier_uniform", WEIGHT, init.xavier_uniform_
    yield "kaiming", "kaiming_uniform", WEIGHT, init.kaiming_uniform_
    yield ("linear", f"kaiming_uniform({math.sqrt(5)})", WEIGHT,
           lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)))


def entries():
    for name, dtype in FLOATS.items():
        for kind, rule, shape, _ in drawn():
            yield f"{kind}.{name}", rule, torch.zeros(shape, dtype=dtype)
    for name, values in CONSTANTS.items():
        for i, value in enumerate(values):
            yield f"constant.{name}.{i}", f"constant({value!r})", torch.zeros(3, 2, dtype=DTYPES[name])
    yield "own", "target", torch.arange(6.0).view(2, 3)
    yield "rows.more", "constant(9)", torch.zeros(5, 2)
    yield "rows.fewer", "zeros", torch.zeros(2, 2)


def generate(folder):
    target = {key: value for key, _, value in entries()}
    rows = {"rows.more": torch.arange(6.0).view(3, 2), "rows.fewer": torch.arange(6.0).view(3, 2)}
    torch.save({"there": torch.ones(2), **rows}, os.path.join(folder, "source.pth"))
    torch.save({"there": torch.zeros(2), **target}, os.path.join(folder, "target.pth"))
    return [[key, rule] for key, rule, _ in entries()]


def judge(request):
    """For each key what is wrong with it, or nothing."""
    found = torch.load(os.path.join(request["folder"], "out.pth"), weights_only=True)
    torch.manual_seed(0)
    makers = {kind: (shape, make) for kind, _, shape, make in drawn()}
    problems = {}
    for key, rule, value in entries():
        kind, *rest = key.split(".")
        got = found[key]
        if got.dtype != value.dtype or got.shape != value.shape:
            problems[key] = f"{got.dtype} {tuple(got.shape)}"
        elif kind in makers:
            expected = makers[kind][1](torch.empty_like(value))
            problems[key] = unlike(got.double(), expected.double())
        else:
            expected = exact(kind, rest, value)
            problems[key] = None if torch.equal(got, expected) else f"{got} is not {expected}"
    return problems


def exact(kind, rest, value):
    if kind == "constant":
        return torch.full_like(value, CONSTANTS[rest[0]][int(rest[1])])
    if kind == "own":
        return value
    kept = torch.arange(6.0).view(3, 2)[: value.shape[0]]
    return torch.cat([kept, torch.full((value.shape[0] - kept.shape[0], 2), 9.0)])


def unlike(got, expected):
    """What distinguishes two samples of one distribution: moments, and how far both reach."""
    spread = expected.std()
    checks = {
        "mean": ((got.mean() - expected.mean()) / spread, 0.05),
        "deviation": (got.std() / spread - 1, 0.02),
        "lowest": ((got.min() - expected.min()) / spread, 1.5),
        "highest": ((got.max() - expected.max()) / spread, 1.5),
    }
    wrong = [f"{what} is off by {off:.4f}" for what, (off, most) in checks.items() if abs(off) > most]
    few = len(got.unique()) < 0.9 * len(expected.unique())
    return "; ".join(wrong + ["few values"] * few) or None
