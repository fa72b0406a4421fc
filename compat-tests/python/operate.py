"""Operations on files as a Python user would do them, and whether statedict's output equals that."""

import json
import struct
import zipfile

import numpy as np
import torch
from safetensors import safe_open

import rules
from same import difference
from truth import load_telling


def judge(request):
    """None if statedict did to `input` what the model does, else what is wrong."""
    kind = request["input"].rsplit(".", 1)[-1]
    file = {"safetensors": Safetensors, "npz": Npz}.get(kind, Pth)(request["input"])
    try:
        file.apply(request["at"], request["stages"], request.get("undefined", "keep"))
        if request.get("back"):
            file.go_back()
    except rules.Refused as refused:
        return None if request["status"] == 1 else f"not refused, and it should be: {refused}"
    if request["status"] != 0:
        return f"exit status {request['status']}"
    if isinstance(file, Pth):
        return file.compare(request["output"], request.get("must_load", file.weights_only))
    return file.compare(request["output"])


class Pth:
    def __init__(self, path):
        self.value, self.weights_only = load_telling(path)
        self.mappable = self.weights_only and zipfile.is_zipfile(path)

    def state_dicts(self, places):
        for place in places:
            value = self.value
            for part in place.split("/") if place else []:
                value = value[int(part)] if isinstance(value, (list, tuple)) else value[part]
            yield value

    def apply(self, places, stages, undefined):
        state_dicts = list(self.state_dicts(places))
        keys = [[key for key in state_dict if isinstance(key, str)] for state_dict in state_dicts]
        self.done = list(zip(state_dicts, rules.plan(keys, stages, undefined)))
        for state_dict, fates in self.done:
            if len(stages) == 1:
                check_against_specification(fates, state_dict, stages[0])
            rename(state_dict, fates)

    def go_back(self):
        for state_dict, fates in self.done:
            rename(state_dict, [(new, old) for old, new in fates if new is not None])

    def compare(self, output, must_load):
        value, weights_only = load_telling(output)
        if must_load and not weights_only:
            return "no longer loads with weights_only=True"
        problem = difference(self.value, value)
        if self.mappable and not problem:
            problem = difference(self.value, torch.load(output, map_location="cpu", weights_only=True, mmap=True))
        return problem


class Other:
    """A key that is not a string, which is never renamed."""

    def __init__(self, key):
        self.key = key


def rename(state_dict, fates):
    fates = dict(fates)
    named = [(fates[key], value) if isinstance(key, str) else (Other(key), value) for key, value in state_dict.items()]
    metadata = getattr(state_dict, "_metadata", None)
    state_dict.clear()
    state_dict.update((name.key if isinstance(name, Other) else name, value) for name, value in named if name is not None)
    if metadata is not None:
        new = [(path, metadata[old] if old is not None else {"version": 1}) for old, path in rules.paths(list(fates.items()), metadata)]
        metadata.clear()
        metadata.update(new)


def check_against_specification(fates, state_dict, stage):
    """For a plain prefix, the model's module paths must be what the written rule says."""
    metadata = getattr(state_dict, "_metadata", None)
    [(kind, prefix)] = stage.items()
    if metadata is None or kind not in ("strip", "add"):
        return
    if kind == "strip" and not all(old.startswith(prefix + ".") for old, _ in fates):
        return
    found = {old: new for old, new in rules.paths(fates, metadata) if old is not None}
    for path in metadata:
        if kind == "add":
            expected = f"{prefix}.{path}" if path else prefix
        elif path == prefix or path.startswith(prefix + "."):
            expected = path[len(prefix) + 1 :]
        else:
            expected = None
        assert found.get(path) == expected, (stage, path, found.get(path), expected)


class Safetensors:
    def __init__(self, path):
        self.entries, self.metadata = read_safetensors(path)

    def apply(self, places, stages, undefined):
        [self.fates] = rules.plan([[name for name, *_ in self.entries]], stages, undefined)
        fates = dict(self.fates)
        self.entries = [(fates[name], *rest) for name, *rest in self.entries if fates[name] is not None]

    def go_back(self):
        back = {new: old for old, new in self.fates}
        self.entries = [(back[name], *rest) for name, *rest in self.entries]

    def compare(self, output):
        entries, metadata = read_safetensors(output)
        strip = lambda entries: [entry[:-1] for entry in entries]
        if strip(entries) != strip(self.entries):
            return "other tensors, or in another order"
        in_data = lambda entries: [name for name, *_ in sorted(entries, key=lambda entry: entry[-1])]
        if in_data(entries) != in_data(self.entries):
            return "data in another order"
        if metadata != self.metadata:
            return f"metadata {self.metadata} became {metadata}"
        with safe_open(output, "pt") as file:
            if sorted(file.keys()) != sorted(name for name, *_ in entries):
                return "the safetensors library reads other keys"
            for name in file.keys():
                file.get_tensor(name)
        return None


def read_safetensors(path):
    """Entries in the order of the header: name, dtype, shape, bytes, place; and the metadata."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length], object_pairs_hook=list)
    entries, metadata = [], None
    for name, fields in header:
        if name == "__metadata__":
            metadata = fields
            continue
        fields = dict(fields)
        start, end = fields["data_offsets"]
        entries.append((name, fields["dtype"], fields["shape"], data[8 + length + start : 8 + length + end], (start, end)))
    return entries, metadata


class Npz:
    def __init__(self, path):
        self.members = read_npz(path)

    def apply(self, places, stages, undefined):
        [self.fates] = rules.plan([list(self.members)], stages, undefined)
        self.rename(self.fates)

    def go_back(self):
        self.rename([(new, old) for old, new in self.fates if new is not None])

    def rename(self, fates):
        self.members = {new: self.members[old] for old, new in fates if new is not None}

    def compare(self, output):
        members = read_npz(output)
        if list(members) != list(self.members):
            return f"members {list(self.members)} became {list(members)}"
        for key, member in members.items():
            if member != self.members[key]:
                return f"member {key!r} changed"
        with np.load(output, allow_pickle=True) as archive:
            if archive.files != list(self.members):
                return f"NumPy reads {archive.files}"
            for key in archive.files:
                archive[key]
        return None


def read_npz(path):
    """Members in order: how they are stored, and their bytes."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(".npy"): (info.compress_type, archive.read(info)) for info in archive.infolist()}
