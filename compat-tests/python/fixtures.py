"""Writes the small files of compat-tests/fixtures, one of every format and variant.

Run by hand, as `python fixtures.py FOLDER`; the files are kept, so that tests need no Python.
"""

import collections
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

MAGIC = 0x1950A86A20F9469CFC6C


def generate(folder):
    path = lambda name: os.path.join(folder, name)
    state_dict = linear().state_dict()
    save(state_dict, path("plain.pth"))
    for protocol in (3, 4, 5):
        save(state_dict, path(f"protocol_{protocol}.pth"), pickle_protocol=protocol)
    save(trainer(), path("trainer.pth"))
    save(linear(), path("module.pth"))
    repack(path("plain.pth"), path("deflated.pth"), zipfile.ZIP_DEFLATED)
    torch.save(state_dict, path("legacy.pth"), _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(nn.Sequential(linear())), path("scripted.pt"))
    repack(path("scripted.pt"), path("scripted.pt"), zipfile.ZIP_STORED)
    tar(path("tar.pth"))
    tensors = {"module.a": torch.ones(2), "module.b": torch.zeros(1, dtype=torch.bfloat16)}
    save_file(tensors, path("plain.safetensors"), metadata={"format": "pt", "module.c": "module.a"})
    arrays = {"module.a": np.ones(2, "<f4"), "module.b": np.zeros((1, 2), ">i2", "F")}
    np.savez(path("stored.npz"), **arrays)
    np.savez_compressed(path("deflated.npz"), **arrays)
    shards(path("sharded"))


def linear():
    torch.manual_seed(0)
    return nn.Linear(1, 1)


def trainer():
    """A model, an optimizer with five levels of state, and payload of every plain kind."""
    model = linear()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1)).sum().backward()
    optimizer.step()
    payload = {"lr": 0.1, "names": ["a", None, True], "shape": (1, -2), 3: b"\x01"}
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "config": payload}


def save(value, path, **options):
    """torch.save, packed again without the padding that makes a small file large."""
    torch.save(value, path, **options)
    repack(path, path, zipfile.ZIP_STORED)


def repack(source, target, method):
    with zipfile.ZipFile(io.BytesIO(open(source, "rb").read())) as old:
        members = [(info.filename.split("/", 1)[1], old.read(info)) for info in old.infolist()]
    kept = ("data.pkl", "constants.pkl", "byteorder", "version", ".format_version", "data/", "code/")
    with zipfile.ZipFile(target, "w", method) as new:
        for name, data in members:
            if name.startswith(kept) and not name.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo("a/" + name), data, method)


def tar(path):
    """As PyTorch 0.1.1 wrote it; see `legacy_load` in torch/serialization.py."""
    storages = dump(1) + dump((100, "cpu", torch.FloatStorage)) + struct.pack("<q2f", 2, 1, 2)
    storages += dump([(101, 100, 1, 1)])
    tensors = dump(2)
    for key, storage, size in ((7, 100, 2), (8, 101, 1)):
        tensors += dump((key, storage, torch.FloatTensor))
        tensors += struct.pack("<i4xqqq", 1, size, 1, 0)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in (("sys_info", dump({})), ("storages", storages), ("tensors", tensors), ("pickle", pickled())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    data = open(path, "rb").read().rstrip(b"\0")
    open(path, "wb").write(data)


def dump(value):
    return pickle.dumps(value, 2)


def pickled():
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return str(value.number) if isinstance(value, Stored) else None

    buffer = io.BytesIO()
    entries = [("module.a", Stored(7)), ("module.b", Stored(8))]
    Pickler(buffer, 2).dump(collections.OrderedDict(entries))
    return buffer.getvalue()


class Stored:
    def __init__(self, number):
        self.number = number


def shards(folder):
    os.makedirs(folder, exist_ok=True)
    names = {"a": "1.safetensors", "b": "2.safetensors"}
    for key, name in names.items():
        save_file({key: torch.ones(1)}, os.path.join(folder, name))
    index = {"metadata": {"total_size": 8}, "weight_map": names}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump(index, file)


if __name__ == "__main__":
    generate(sys.argv[1])
