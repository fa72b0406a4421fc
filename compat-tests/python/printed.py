"""What NumPy prints of arrays of many kinds."""

import numpy as np

DTYPES = "f8 f4 f2 i8 i4 i2 i1 u8 u4 u2 u1 b1 c8 c16".split()


def generate(request):
    """Writes the arrays; what is to be typed for each and what NumPy prints."""
    random = np.random.default_rng(16)
    arrays = {f"a{i}": array(random) for i in range(400)}
    arrays |= specials()
    np.savez(request["file"], **arrays)
    return [case for key, value in arrays.items() for case in cases(random, key, value)]


def array(random):
    dtype = np.dtype(random.choice(DTYPES))
    dimensions = random.choice([0, 1, 1, 2, 2, 3, 4])
    shape = random.integers(0 if random.random() < 0.1 else 1, [60, 12, 5][min(max(dimensions - 2, 0), 2)] + 1, dimensions)
    if random.random() < 0.15 and dimensions:
        shape[random.integers(dimensions)] *= 60
    size = int(np.prod(shape))
    if dtype.kind == "b":
        return (random.random(size) < 0.5).reshape(shape)
    if dtype.kind in "iu":
        bits = random.integers(1, 8 * dtype.itemsize)
        return random.integers(0, 2**bits, size).astype(dtype).reshape(shape)
    scale = 10.0 ** random.choice([-12, -6, -3, -1, 0, 0, 0, 1, 3, 7, 9, 14])
    with np.errstate(all="ignore"):
        parts = [numbers(random, size) * scale for _ in range(2 if dtype.kind == "c" else 1)]
        value = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
        return np.asarray(value).astype(dtype).reshape(shape)


def numbers(random, size):
    kind = random.integers(5)
    if kind == 0:
        return random.integers(-9, 10, size).astype(float)
    if kind == 1:
        return random.integers(-999, 1000, size) / random.choice([2, 4, 5, 8, 10, 100])
    found = random.standard_normal(size) * (10.0 ** random.integers(-3, 4, size) if kind == 2 else 1)
    if kind == 3 and size:
        found[random.integers(0, size, 1 + size // 9)] = random.choice([np.nan, np.inf, -np.inf, 0.0, -0.0])
    return np.abs(found) if kind == 4 else found


def specials():
    return {
        "nan": np.full(5, np.nan), "inf": np.array([np.inf, -np.inf]), "mixed": np.array([np.nan, 1e-300, 1e300]),
        "zeros": np.zeros((3, 3), "f4"), "minus": np.array([-0.0, 0.0]), "subnormal": np.array([5e-324, 1e-310]),
        "half": np.arange(-5, 5, dtype="f2") / 7, "largest": np.array([np.finfo("f4").max], "f4"),
        "ties": np.array([0.125, 2.5, 0.000000005, 1.000000015, 0.00390625 + 0.001953125]),
        "scalar": np.float32(1e-7), "whole": np.float64(1e15), "beyond": np.float64(1e16), "int": np.int64(-5),
        "true": np.bool_(True), "complex": np.complex64(1 - 2j), "imaginary": np.complex128(2.5j), "few": np.float16(0.1),
        "edge": np.full(3, 1e-4, "f4"), "below": np.full(3, 9.9e-5, "f4"), "ratio": np.array([1e-2, 10.0], "f4"),
    }


def cases(random, key, value):
    yield {"key": key, "words": [], "expected": str(value)}
    if value.size > 1000 and value.size < 5000:
        with np.printoptions(threshold=10**9):
            yield {"key": key, "words": ["--full"], "expected": str(value)}
    if value.ndim and value.size:
        slice = ",".join(one(random, size) for size in value.shape[: random.integers(1, value.ndim + 1)])
        slice += random.choice(["", "", ",..."])
        yield {"key": key, "words": [f"--slice={slice}"], "expected": str(eval(f"value[{slice}]"))}


def one(random, size):
    index = random.integers(-size, size)
    # What is beyond the array is nothing.
    start, stop = random.integers(-size - 2, size + 3, 2)
    # Backwards goes only so far.
    step = random.choice([-3, -2, -1, 1, 2, 3] if size <= 60 else [1, 2, 3])
    ranges = [f"{start}:", f":{stop}", f"{start}:{stop}", ":", f"::{step}", f"{start}:{stop}:{step}", f"{start}::{step}"]
    return random.choice([f"{index}", *ranges])


def judge(request):
    """None if a `.npy` file, a table and bytes hold the array of that key."""
    with np.load(request["file"]) as archive:
        expected = archive[request["key"]]
    found = np.load(request["npy"])
    if found.dtype != expected.dtype or found.shape != expected.shape or found.tobytes() != expected.tobytes():
        return f"{found.dtype} {found.shape}"
    with open(request["bin"], "rb") as file:
        if file.read() != expected.tobytes():
            return "other bytes"
    if expected.dtype.kind in "fiu" and 0 < expected.ndim < 3 and expected.size:
        table = np.loadtxt(request["csv"], delimiter=",", dtype=expected.dtype, ndmin=expected.ndim)
        if not np.array_equal(table, expected, equal_nan=expected.dtype.kind == "f"):
            return "another table"
    return None
