"""python -m conversions.record [NAME ...]: renews the lines of texts/conversions.jsonl.

A line holds a conversion without its elements: those of the source are consecutive numbers, so a
tensor is told by its type, its shape and its first element, and what the official converter makes
of it by a digest. Cases whose converter is not installed keep their line.
"""
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from . import FAMILIES, write
from .__main__ import load_modules

LINES = Path(__file__).parents[2] / "texts" / "conversions.jsonl"
DTYPES = {torch.float32: "F32", torch.int64: "I64"}


def numbered(key, tensor):
    """A source tensor: its elements count up from the first."""
    flat = tensor.reshape(-1)
    first = int(flat[0])
    assert torch.equal(flat, torch.arange(first, first + flat.numel()).to(tensor.dtype)), key
    return [key, DTYPES[tensor.dtype], list(tensor.shape), first]


def digested(key, tensor):
    digest = hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
    return [key, DTYPES[tensor.dtype], list(tensor.shape), digest[:16]]


def numbers_of(config):
    """What a recipe can read of a configuration, without what no recipe reads."""
    return {key: value for key, value in config.items()
            if isinstance(value, int) and not isinstance(value, bool) or key == "block_out_channels"}


def line(folder, facts):
    a, b = load_file(f"{folder}/a.safetensors"), load_file(f"{folder}/b.safetensors")
    config = json.loads(Path(folder, "config.json").read_text())
    return dict(name=facts["name"], recipe=facts["recipe"], oracle=facts["oracle"], way=facts["way"], set=facts["set"],
                config=numbers_of(config), a=[numbered(*item) for item in a.items()], b=[digested(*item) for item in b.items()])


def main(*names):
    load_modules()
    lines = {}
    if LINES.exists():
        lines = {made["name"]: made for made in map(json.loads, LINES.read_text().splitlines())}
    with tempfile.TemporaryDirectory() as folder:
        for name in names or FAMILIES:
            facts = write(folder, name, 1, 1)
            lines[name] = line(f"{folder}/{name}", facts)
    text = "".join(json.dumps(lines[name], separators=(",", ":")) + "\n" for name in sorted(lines))
    LINES.write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
