"""The same three things saved in every pickle protocol, as archives and as streams."""

import os

import torch

import zoo
from same import difference
from truth import load_telling

PROTOCOLS = range(6)


def generate(folder):
    """Writes the files; says of each whether PyTorch itself can load what it saved."""
    torch.manual_seed(3)
    network = torch.nn.DataParallel(zoo.network())
    things = {
        "bare": (network.state_dict(), [""]),
        "nested": ({"epoch": 3, "state_dict": network.state_dict(), "tags": {"module.a", "b"}}, ["state_dict"]),
        "module": (torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)), [""]),
    }
    entries = []
    for protocol in PROTOCOLS:
        for container, archive in (("zip", True), ("stream", False)):
            for shape, (thing, at) in things.items():
                name = f"{shape}-{container}-{protocol}.pth"
                path = os.path.join(folder, name)
                torch.save(thing, path, pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
                entries.append({"file": name, "at": at, "shape": shape, "protocol": protocol, "loads": loads(path)})
    return entries


def loads(path):
    try:
        load_telling(path)
        return True
    except Exception:
        return False


def rewritten(request):
    """What is wrong with a file rewritten in protocol 2: it loads by default, and is the same."""
    value = torch.load(request["output"], map_location="cpu", weights_only=True)
    return difference(load_telling(request["input"])[0], value)
