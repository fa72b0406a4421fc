"""A checkpoint with something of everything beside its weights, and copies that differ in one thing each."""

import argparse
import collections
import copyreg
import os
import random

import torch
from safetensors.torch import save_file
from torch import nn


class Config:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def build():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    weights = model.state_dict()
    scales, zeros = torch.tensor([0.5, 0.25]), torch.tensor([0, 1])
    weights["q"] = torch.quantize_per_tensor(torch.arange(4.0), 0.5, 1, torch.quint8)
    weights["qc"] = torch.quantize_per_channel(torch.ones(2, 3), scales, zeros, 0, torch.qint8)
    weights["coo"], weights["csr"] = torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr()
    weights["int"], weights["str"], weights["tuple"] = 5, "text", (torch.ones(2), torch.float16)
    return {
        "model": weights, "optimizer": optimizer.state_dict(), "epoch": 5, "loss": 0.25, "big": 2**100, "done": True,
        "none": None, "name": "net", "list": [1, 2, 3], "tuple": (1, 2), "nested": {"a": {"b": [1, {"c": 2}]}},
        "set": {"x", "y"}, "bytes": b"abc", "dtype": torch.float32, "args": argparse.Namespace(lr=0.1, layers=[1, 2]),
        "config": Config(a=1, inner=Config(b=2)), "rng": torch.get_rng_state(), "python_rng": random.Random(1).getstate(),
        "ordered": collections.OrderedDict(a=1, b=2), "default": collections.defaultdict(list, k=[1]), "nan": float("nan"),
        "complex": 1 + 2j, "extra": [torch.ones(3), {"t": torch.zeros(2)}], "keys": {1: "a", (1, 2): "b"},
    }


def put(value, *path):
    """A change that puts a value at a path."""

    def change(checkpoint):
        for part in path[:-1]:
            checkpoint = checkpoint[part]
        checkpoint[path[-1]] = value

    return change


def per_tensor(change, scale=0.5, zero=1):
    def remake(checkpoint):
        ints = checkpoint["model"]["q"].int_repr() + change
        checkpoint["model"]["q"] = torch._make_per_tensor_quantized_tensor(ints, scale, zero)

    return remake


def per_channel(scales, zeros):
    def remake(checkpoint):
        ints = checkpoint["model"]["qc"].int_repr()
        scale, zero = torch.tensor(scales).double(), torch.tensor(zeros)
        checkpoint["model"]["qc"] = torch._make_per_channel_quantized_tensor(ints, scale, zero, 0)

    return remake


CHANGES = {
    "int": put(6, "epoch"), "float": put(0.5, "loss"), "big int": put(2**100 + 1, "big"), "negative int": put(-(2**100), "big"),
    "bool": put(False, "done"), "None": put(0, "none"), "str": put("net2", "name"), "int to float": put(5.0, "epoch"),
    "bool to int": put(1, "done"), "list order": put([1, 3, 2], "list"), "list length": put([1, 2], "list"),
    "list to tuple": put((1, 2, 3), "list"), "tuple": put((1, 3), "tuple"), "nested": put(3, "nested", "a", "b", 1, "c"),
    "nested key": put({"b": [1, {"d": 2}]}, "nested", "a"), "set": put({"x", "z"}, "set"), "set size": put({"x"}, "set"),
    "bytes": put(b"abd", "bytes"), "dtype": put(torch.float16, "dtype"), "complex": put(1 + 3j, "complex"),
    "attribute": lambda c: setattr(c["args"], "lr", 0.2), "attribute list": lambda c: c["args"].layers.append(3),
    "new attribute": lambda c: setattr(c["args"], "z", 1), "object": lambda c: setattr(c["config"], "a", 2),
    "object inside": lambda c: setattr(c["config"].inner, "b", 3), "class": put(argparse.Namespace(a=1), "config"),
    "rng": lambda c: c["rng"].__setitem__(3, (int(c["rng"][3]) + 1) % 256), "Python's rng": put(random.Random(2).getstate(), "python_rng"),
    "ordered dict": put(3, "ordered", "a"), "default dict": lambda c: c["default"]["k"].append(2),
    "default factory": put(collections.defaultdict(dict, k=[1]), "default"), "NaN": put(1.0, "nan"),
    "tensor in a list": lambda c: c["extra"][0].add_(1), "tensor deep inside": lambda c: c["extra"][1]["t"].add_(1),
    "tensor shape": put(torch.ones(4), "extra", 0), "tensor dtype": put(torch.ones(3).double(), "extra", 0),
    "int key": put("z", "keys", 1), "tuple key": put("z", "keys", (1, 2)), "type of key": put({"1": "a", (1, 2): "b"}, "keys"),
    "gone": lambda c: c.pop("loss"), "new": put(1, "new"), "learning rate": put(0.2, "optimizer", "param_groups", 0, "lr"),
    "betas": put((0.9, 0.9), "optimizer", "param_groups", 0, "betas"), "moment": lambda c: c["optimizer"]["state"][0]["exp_avg"].add_(1),
    "step": lambda c: c["optimizer"]["state"][1]["step"].add_(1), "parameter's state gone": lambda c: c["optimizer"]["state"].pop(1),
    "weight": lambda c: c["model"]["0.weight"].data.add_(1), "scale": per_tensor(0, scale=0.75), "zero point": per_tensor(0, zero=2),
    "packed ints": per_tensor(1), "scale of a channel": per_channel([0.5, 0.5], [0, 1]), "zero point of a channel": per_channel([0.5, 0.25], [1, 1]),
    "sparse value": put(torch.eye(3).mul(2).to_sparse(), "model", "coo"), "sparse index": put(torch.eye(3).roll(1, 0).to_sparse(), "model", "coo"),
    "compressed sparse": put(torch.eye(3).mul(2).to_sparse_csr(), "model", "csr"), "int under a key": put(6, "model", "int"),
    "str under a key": put("other", "model", "str"), "tensor under a key": lambda c: c["model"]["tuple"][0].add_(1),
    "dtype under a key": lambda c: c["model"].update(tuple=(c["model"]["tuple"][0], torch.float32)), "key gone": lambda c: c["model"].pop("int"),
    "module's version": lambda c: c["model"]._metadata["1"].__setitem__("version", 3),
}


def generate(request):
    """Writes the checkpoint twice and once with each change; gives the files by what changed."""
    folder = request["folder"]
    one, same = os.path.join(folder, "one.pth"), os.path.join(folder, "same.pth")
    torch.save(build(), one)
    torch.save(build(), same)
    changed = {}
    for i, (name, change) in enumerate(CHANGES.items()):
        checkpoint = build()
        change(checkpoint)
        changed[name] = os.path.join(folder, f"{i}.pth")
        torch.save(checkpoint, changed[name])
    return {"one": one, "same": same, "changed": changed, "unknown": unknown(folder), "metadata": metadata(folder)}


def unknown(folder):
    """A file with an object of copyreg's registry, whose class only its own program knows."""
    path = os.path.join(folder, "unknown.pth")
    copyreg.add_extension(Config.__module__, "Config", 1)
    try:
        torch.save({"model": {"w": torch.ones(2)}, "config": Config(a=1)}, path)
    finally:
        copyreg.remove_extension(Config.__module__, "Config", 1)
    return path


def metadata(folder):
    """Files of the same weights whose metadata differ."""
    texts = [{"format": "pt", "author": "me"}, {"format": "pt", "author": "you"}, {"format": "pt"}, None]
    paths = [os.path.join(folder, f"{i}.safetensors") for i in range(len(texts))]
    for path, text in zip(paths, texts):
        save_file({"w": torch.ones(2)}, path, metadata=text)
    return paths
