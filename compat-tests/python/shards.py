"""Shards as a loader reads them: the index first, then each file it names."""

import json
import os

import torch
from safetensors.torch import load_file

from same import difference
from truth import load


def read(folder):
    """The tensors in the order of the index, and what the index says of their size."""
    [name] = [name for name in os.listdir(folder) if name.endswith(".index.json")]
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        index = json.load(file)
    files = {name: read_file(os.path.join(folder, name)) for name in set(index["weight_map"].values())}
    held = [key for tensors in files.values() for key in tensors]
    assert sorted(held) == sorted(index["weight_map"]), "index and files disagree"
    assert sorted(os.listdir(folder)) == sorted([*files, name_of(folder)]), "files that no index names"
    return {key: files[name][key] for key, name in index["weight_map"].items()}, index["metadata"]["total_size"]


def name_of(folder):
    return next(name for name in os.listdir(folder) if name.endswith(".index.json"))


def read_file(path):
    return load_file(path) if path.endswith(".safetensors") else dict(torch.load(path, weights_only=True))


def judge(request):
    """What is wrong with shards that hold a state dict without a prefix; None if nothing is."""
    value = load(request["input"])
    for part in filter(None, request["at"].split("/")):
        value = value[part]
    expected = {key.removeprefix(request["prefix"]): tensor.detach().clone() for key, tensor in value.items()}
    found, size = read(request["folder"])
    total = sum(tensor.numel() * tensor.element_size() for tensor in expected.values())
    if size != total:
        return f"total_size {size}, expected {total}"
    return difference(expected, {key: tensor.clone() for key, tensor in found.items()})
