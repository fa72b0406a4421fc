"""What official converters make of small models, for the recipes of the library.

A family is a function that returns the state dict to start from, what the converter makes of it,
and the configuration that lies beside the file.
"""
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

FAMILIES = {}


@dataclass
class Case:
    """One conversion: the official result, and what a recipe needs to know beside the file."""

    a: dict
    b: dict
    config: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)


def family(recipe, oracle, way="both"):
    """Registers a case under its function's name; several cases may test one recipe."""

    def register(make):
        name = make.__name__.replace("_", "-")
        assert name not in FAMILIES, name
        FAMILIES[name] = (make, recipe, oracle, way)
        return make

    return register


class Numbers:
    """Tensors all of whose elements differ, in this case and in no order that a wrong rule keeps."""

    def __init__(self, seed):
        self.next = 1 + 97 * seed

    def __call__(self, *shape, dtype=torch.float32):
        count = 1
        for n in shape:
            count *= n
        made = torch.arange(self.next, self.next + count, dtype=torch.float32)
        self.next += count
        return made.reshape(shape).to(dtype)


def linear(numbers, name, o, i, bias=True):
    """A weight of `o` rows and `i` columns, and its bias."""
    made = {f"{name}.weight": numbers(o, i)}
    if bias:
        made[f"{name}.bias"] = numbers(o)
    return made


def norm(numbers, name, n):
    """A weight and a bias of one dimension."""
    return {f"{name}.weight": numbers(n), f"{name}.bias": numbers(n)}


def separate(tensors):
    """The tensors as safetensors can hold them: contiguous, each with a storage of its own."""
    return {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}


def write(folder, name, seed, size):
    make, recipe, oracle, way = FAMILIES[name]
    case = make(Numbers(seed), size)
    folder = Path(folder) / name
    folder.mkdir(parents=True)
    save_file(separate(case.a), folder / "a.safetensors")
    save_file(separate(case.b), folder / "b.safetensors")
    (folder / "config.json").write_text(json.dumps(case.config, indent=1))
    facts = dict(name=name, recipe=recipe, oracle=oracle, way=way, seed=seed, size=size,
                 a="a.safetensors", b="b.safetensors", set=case.sizes,
                 tensors=[len(case.a), len(case.b)])
    (folder / "pair.json").write_text(json.dumps(facts, indent=1))
    return facts
