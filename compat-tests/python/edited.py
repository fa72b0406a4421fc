"""Files that were edited in place, or whose editing was interrupted, as every reader finds them."""

import os
import struct
import zipfile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import operate
import truth
from same import difference


def judge(request):
    """What is wrong with an edit of `input` that gave `output`; None, and how long its index is."""
    problem = operate.judge(request) or loaded(request["output"], request["input"])
    return {"problem": problem, "index": max(index(request["input"]), index(request["output"]))}


def same(request):
    """What distinguishes two files for those who load them."""
    old, new = request["old"], request["new"]
    if old.endswith((".npz", ".safetensors")):
        return None if truth.rows(old) == truth.rows(new) else "other tensors"
    return difference(truth.load(old), truth.load(new))


def which(request):
    """Whether a file loads as the old one, as the new one, as a third, or not at all."""
    try:
        found = by_key(request["file"])
    except Exception as refusal:
        return f"refused: {type(refusal).__name__}"
    names = [name for name in ("old", "new") if found == by_key(request[name])]
    return names[0] if names else "third"


def by_key(path):
    return sorted((row["at"], row["key"], row.get("sha256", "")) for row in truth.rows(path))


def loaded(path, before):
    """Every other way to load a file; what is wrong, if something is."""
    if path.endswith(".npz"):
        return whole_zip(path) or mapped_npz(path)
    if path.endswith(".safetensors"):
        return loaded_safetensors(path)
    return loaded_pth(path, before)


def whole_zip(path):
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
    return bad and f"zipfile finds {bad} damaged"


def mapped_npz(path):
    with np.load(path, allow_pickle=True) as plain, np.load(path, mmap_mode="r", allow_pickle=True) as mapped:
        if plain.files != mapped.files:
            return "other members when mapped"
        for name in plain.files:
            if np.asarray(plain[name]).tobytes() != np.asarray(mapped[name]).tobytes() and not plain[name].dtype.hasobject:
                return f"{name} is another array when mapped"
    return None


def loaded_safetensors(path):
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        for key in file.keys():
            if truth.torch_bytes(file.get_tensor(key)) != truth.torch_bytes(tensors[key]):
                return f"{key} is read in two ways"
    return None


def loaded_pth(path, before):
    value = torch.load(path, map_location="cpu", weights_only=False)
    if not zipfile.is_zipfile(path):
        return None
    problem = whole_zip(path) or difference(value, torch.load(path, map_location="cpu", weights_only=False, mmap=True))
    if problem:
        return problem
    return computed(path, value) or meta(path, value, before)


def computed(path, value):
    """The same with offsets that PyTorch computes instead of reading them, where it can."""
    from torch.utils.serialization import config

    if not hasattr(config.load, "calculate_storage_offsets"):
        return None
    config.load.calculate_storage_offsets = True
    try:
        return difference(value, torch.load(path, map_location="cpu", weights_only=False, mmap=True))
    finally:
        config.load.calculate_storage_offsets = False


def meta(path, value, before):
    """Shapes alone, where PyTorch could give them before."""
    shapes = lambda path: [(row["at"], row["key"], row["shape"]) for row in truth.torch_rows(torch.load(path, map_location="meta", weights_only=False))]
    try:
        shapes(before)
    except Exception:
        return None
    expected = [(row["at"], row["key"], row["shape"]) for row in truth.torch_rows(value)]
    return None if shapes(path) == expected else "other shapes on the meta device"


def index(path):
    """The bytes of a file that are not tensors."""
    if path.endswith(".safetensors"):
        with open(path, "rb") as file:
            return 8 + struct.unpack("<Q", file.read(8))[0]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            pickles = sum(member.file_size for member in members if member.filename.endswith("data.pkl"))
            # A local header, its padding and a descriptor; an entry of the directory.
            return pickles + sum(2 * len(member.filename) + 200 for member in members)
    return os.path.getsize(path)
