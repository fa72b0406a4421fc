"""The figures that NumPy calculates in double precision, in the form of `statedict stats --json`."""

import math

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import truth

# Types whose elements are numbers, that NumPy has or PyTorch makes into doubles.
REAL = set(truth.TORCH_NAMES) - {torch.complex64, torch.complex128}


def rows(request):
    return [figures(at, key, tensor) for at, key, tensor in tensors(request["file"])]


def tensors(path):
    if path.endswith(".npz"):
        with np.load(path, allow_pickle=True) as archive:
            return [("", key, archive[key]) for key in archive.files]
    if path.endswith(".safetensors"):
        with safe_open(path, "pt") as file:
            return [("", key, file.get_tensor(key)) for key in file.keys()]
    value = truth.load(path)
    return [("", "", value)] if isinstance(value, torch.Tensor) else list(truth.named(value, ""))


def doubles(tensor):
    """The elements as doubles; None if they are not numbers."""
    if isinstance(tensor, np.ndarray):
        if tensor.dtype.kind == "c":
            return np.abs(tensor.astype(np.complex128)).reshape(-1)
        return tensor.astype(np.float64).reshape(-1) if tensor.dtype.kind in "fiub" else None
    if tensor.is_quantized or tensor.is_meta or tensor.layout != torch.strided:
        return None
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_complex():
        return np.abs(tensor.to(torch.complex128).numpy()).reshape(-1)
    if tensor.dtype not in REAL:
        return None
    if tensor.dtype == torch.bool:
        tensor = tensor.view(torch.uint8) != 0
    if tensor.dtype in (torch.uint64, torch.uint32, torch.uint16):
        return tensor.numpy().astype(np.float64).reshape(-1)
    return tensor.double().numpy().reshape(-1)


def figures(at, key, tensor):
    row = {"at": at, "key": key, "shape": list(tensor.shape)}
    numbers = doubles(tensor)
    if numbers is None:
        return row | {"count": None}
    finite = numbers[np.isfinite(numbers)]
    row |= {
        "count": numbers.size,
        "zeros": int((numbers == 0).sum()),
        "nan": int(np.isnan(numbers).sum()),
        "inf": int(np.isinf(numbers).sum()),
        "finite": finite.size,
    }
    names = ("mean", "std", "min", "max", "absmax", "l2")
    if not finite.size:
        return row | dict.fromkeys(names)
    with np.errstate(over="ignore"):
        found = (np.mean(finite), np.std(finite), finite.min(), finite.max(), np.abs(finite).max(), np.linalg.norm(finite))
    return row | {name: float(x) if math.isfinite(x) else None for name, x in zip(names, found)}


def histogram(request):
    """How often the numbers of a tensor are in bins of a width from a start on."""
    [(_, _, tensor)] = [it for it in tensors(request["file"]) if it[1] == request["key"]]
    numbers = doubles(tensor)
    finite = numbers[np.isfinite(numbers)]
    bins = np.floor((finite / request["width"]) - request["start"] / request["width"]).astype(np.int64)
    return np.bincount(bins, minlength=request["bins"]).tolist()


def generate(request):
    """Numbers of many kinds: more than are read at once, far from zero, tiny, huge, of every type."""
    random = torch.Generator().manual_seed(16)
    normal = torch.randn(3_000_000, generator=random, dtype=torch.float64)
    specials = normal[:100_000].clone().float()
    specials[::7], specials[::11], specials[::13], specials[5] = math.nan, math.inf, -math.inf, 0.0
    save_file(
        {
            "bfloat16": normal.bfloat16(),
            "float16": (normal * 0.02).half(),
            "float32": normal.float() * 0.02,
            "float64": normal,
            "e4m3": normal[:70_000].float().to(torch.float8_e4m3fn),
            "e5m2": normal[:70_000].float().to(torch.float8_e5m2),
            "apart": normal * 1e-3 + 1e6,
            "tiny": normal[:5000] * 1e-300,
            "huge": normal[:5000] * 1e150,
            "specials": specials,
            "specials16": specials.bfloat16(),
            "none": torch.full((7,), math.nan),
            "empty": torch.zeros(0, 3),
            "one": torch.tensor(-2.5),
            "zeros": torch.zeros(4, 5, dtype=torch.bfloat16),
            "int64": torch.randint(-(2**62), 2**62, (9999,), generator=random),
            "uint8": torch.randint(0, 256, (99_999,), generator=random).to(torch.uint8),
            "bool": torch.randint(0, 2, (999,), generator=random).bool(),
            "complex": torch.complex(normal[:3000].float(), normal[3000:6000].float()),
        },
        request["file"],
    )
