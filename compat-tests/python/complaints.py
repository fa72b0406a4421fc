"""Provokes what PyTorch says when a checkpoint does not load.

Each situation saves a file and loads it as a user's program does. `python complaints.py` prints the
words of the PyTorch that it runs under, a line of JSON for each situation; `provoke` and `judge`
serve the tests. It runs under every PyTorch from 1.0 on, so it uses nothing that came later.
"""

import argparse
import collections
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import tempfile
import traceback
import types
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore")

VERSION = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
SITUATIONS = collections.OrderedDict()


def situation(name, model=None, extension="pth"):
    """Names a pair of functions, made by the decorated one: what saves the file and what loads it."""
    def note(make):
        SITUATIONS[name] = (make, model, extension)
        return make
    return note


def network(classes=5, norm="norm", width=4):
    """A small network of every kind of module that names parameters in its own way."""
    block = lambda: nn.Sequential(nn.Conv2d(width, width, 3), nn.BatchNorm2d(width))
    parts = [("conv", nn.Conv2d(3, width, 3)), ("layers", nn.Sequential(block(), block()))]
    return nn.Sequential(collections.OrderedDict(parts + [(norm, nn.LayerNorm(width)), ("fc", nn.Linear(width, classes))]))


def below(name, model):
    """A model that holds another under a name, as a trainer's module does."""
    return nn.Sequential(collections.OrderedDict([(name, model)]))


def renamed(values, name):
    """A state dict with other keys, whose `_metadata` follows them."""
    new = collections.OrderedDict((name(key), value) for key, value in values.items())
    new._metadata = collections.OrderedDict((name(key), value) for key, value in getattr(values, "_metadata", {}).items())
    return new


def loads_into(model):
    return lambda path: model().load_state_dict(torch.load(path, map_location="cpu"))


def saves(values):
    return lambda path: torch.save(values(), path)


def prefixed(prefix, values):
    return renamed(values, lambda key: prefix + key if key else prefix[:-1])


def keys_between(name, saved, model):
    """The state dict of one network is loaded into another."""
    SITUATIONS[name] = (lambda: (saves(saved), loads_into(model)), model, "pth")


def wrapped_model(prefix, model):
    """A network whose keys start with the segments of a prefix."""
    for name in reversed(prefix.rstrip(".").split(".")):
        model = nn.DataParallel(model) if name == "module" else below(name, model)
    return model


def inner(model, name, wrapper="module"):
    """A network of which one part is wrapped."""
    setattr(model, name, wrapped_model(wrapper, getattr(model, name)))
    return model


PREFIXES = [("dataparallel", "module."), ("compiled", "_orig_mod."), ("ddp_compiled", "module._orig_mod."),
            ("compiled_ddp", "_orig_mod.module."), ("twice", "module.module."), ("fsdp", "_fsdp_wrapped_module."),
            ("deepspeed", "_forward_module."), ("lightning", "model."), ("backbone", "backbone."),
            ("encoder", "encoder."), ("deep", "net.encoder."), ("lightning_ddp", "model.module.")]
for name, prefix in PREFIXES:
    keys_between(name + "_into_bare", lambda prefix=prefix: prefixed(prefix, network().state_dict()), network)
    keys_between("bare_into_" + name, lambda: network().state_dict(),
                 lambda prefix=prefix: wrapped_model(prefix, network()))
keys_between("backbone_into_encoder", lambda: below("backbone", network()).state_dict(), lambda: below("encoder", network()))
keys_between("module_backbone_into_encoder", lambda: nn.DataParallel(below("backbone", network())).state_dict(),
             lambda: below("encoder", network()))
keys_between("part_wrapped_into_bare", lambda: inner(network(), "layers").state_dict(), network)
keys_between("bare_into_part_wrapped", lambda: network().state_dict(), lambda: inner(network(), "layers"))
keys_between("activation_checkpointed_into_bare",
             lambda: inner(network(), "layers", "_checkpoint_wrapped_module").state_dict(), network)
keys_between("one_module_renamed", lambda: network(norm="ln").state_dict(), network)
keys_between("gamma_and_beta",
             lambda: renamed(network().state_dict(), lambda key: key.replace("norm.weight", "norm.gamma").replace("norm.bias", "norm.beta")),
             network)
keys_between("another_head", lambda: network(classes=9).state_dict(), network)
keys_between("another_head_wrapped", lambda: nn.DataParallel(network(classes=9)).state_dict(), network)
keys_between("another_width", lambda: network(width=6).state_dict(), network)


def without(values, is_out):
    kept = collections.OrderedDict((key, value) for key, value in values.items() if not is_out(key))
    kept._metadata = values._metadata
    return kept


keys_between("no_head", lambda: without(network().state_dict(), lambda key: key.startswith("fc.")), network)
keys_between("no_head_wrapped",
             lambda: without(nn.DataParallel(network()).state_dict(), lambda key: key.startswith("module.fc.")), network)
keys_between("no_batch_counters", lambda: without(network().state_dict(), lambda key: "num_batches" in key), network)
keys_between("head_too_many", lambda: network().state_dict(), lambda: network()[:3])


class Tied(nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self):
        super(Tied, self).__init__()
        self.wte = nn.Embedding(7, 4)
        self.lm_head = nn.Linear(4, 7, bias=False)
        self.lm_head.weight = self.wte.weight


keys_between("tied_head_left_out", lambda: without(Tied().state_dict(), lambda key: key.startswith("lm_head")), Tied)


class Odd(nn.Module):
    """A model with names that no one expects."""

    def __init__(self):
        super(Odd, self).__init__()
        for name in ("it's", "two words", 'with "quotes"', "a, b"):
            self.add_module(name, nn.Linear(2, 2))


keys_between("odd_names", lambda: nn.DataParallel(Odd()).state_dict(), Odd)


def trainer(values, name="state_dict", **more):
    checkpoint = {"epoch": 3, name: values, "best_acc": 0.5, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}}
    checkpoint.update(more)
    return checkpoint


keys_between("trainer_state_dict", lambda: trainer(network().state_dict()), network)
keys_between("trainer_model", lambda: trainer(network().state_dict(), "model"), network)
keys_between("trainer_model_state_dict", lambda: trainer(network().state_dict(), "model_state_dict"), network)
keys_between("trainer_net", lambda: trainer(network().state_dict(), "net"), network)
keys_between("trainer_wrapped", lambda: trainer(nn.DataParallel(network()).state_dict()), network)
keys_between("trainer_with_average", lambda: trainer(network().state_dict(), "model", model_ema=network().state_dict()), network)
keys_between("trainer_lightning",
             lambda: dict(trainer(below("model", network()).state_dict()), **{"pytorch-lightning_version": "2.4.0", "global_step": 9}),
             network)


@situation("takes_what_is_not_there", network)
def _():
    return saves(lambda: network().state_dict()), lambda path: network().load_state_dict(torch.load(path)["state_dict"])


@situation("not_strict", network)
def _():
    def load(path):
        unmatched = network().load_state_dict(torch.load(path), strict=False)
        if unmatched is not None and (unmatched.missing_keys or unmatched.unexpected_keys):
            raise Warning(str(unmatched))
    return saves(lambda: nn.DataParallel(network()).state_dict()), load


@situation("state_dict_called", network)
def _():
    return saves(lambda: network().state_dict()), lambda path: torch.load(path).eval()


@situation("state_dict_for_a_model", network)
def _():
    return saves(lambda: network().state_dict()), lambda path: torch.load(path).load_state_dict({})


@situation("path_for_a_state_dict", network)
def _():
    return saves(lambda: network().state_dict()), lambda path: network().load_state_dict(path)


@situation("model_for_a_state_dict", network)
def _():
    def load(path):
        options = {"weights_only": False} if VERSION >= (1, 13) else {}
        network().load_state_dict(torch.load(path, **options))
    return saves(network), load


@situation("optimizer_of_another_model", network)
def _():
    def load(path):
        torch.optim.SGD(network().parameters(), lr=0.1).load_state_dict(torch.load(path)["optimizer"])
    return saves(lambda: trainer(network().state_dict())), load


def gone(module, name):
    """Saves a whole model whose class the program that loads it does not have."""
    def save(path):
        home = sys.modules.setdefault(module, types.ModuleType(module))
        kind = type(name, (nn.Linear,), {"__module__": module})
        setattr(home, name, kind)
        torch.save(kind(2, 2), path)
        delattr(home, name)
        if module != "__main__":
            del sys.modules[module]
    return save


def loads_any(path):
    return torch.load(path, **({"weights_only": False} if VERSION >= (1, 13) else {}))


SITUATIONS["class_not_there"] = (lambda: (gone("__main__", "Net"), loads_any), None, "pth")
SITUATIONS["module_not_there"] = (lambda: (gone("models", "Net"), loads_any), None, "pth")
SITUATIONS["inner_module_not_there"] = (lambda: (gone("models.experimental", "Net"), loads_any), None, "pth")
SITUATIONS["whole_model_by_default"] = (lambda: (gone("models", "Net"), torch.load), None, "pth")


def writes(data):
    def save(path):
        with open(path, "wb") as file:
            file.write(data)
    return save


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
FOREIGN = [("lfs_pointer", POINTER), ("html", b"<!DOCTYPE html><html><body>404</body></html>\n"), ("json", b'{"a": 1}\n'),
           ("gzip", b"\x1f\x8b\x08\x00" + bytes(60)), ("words", b"Entry not found\n"), ("empty", b""),
           ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(60)), ("numpy_array", b"\x93NUMPY\x01\x00" + bytes(60)),
           ("zeros", bytes(300)), ("xz", b"\xfd7zXZ\x00" + bytes(60)), ("plain_zip", b"PK\x05\x06" + bytes(18))]
for name, data in FOREIGN:
    SITUATIONS["file_is_" + name] = (lambda data=data: (writes(data), torch.load), None, "pth")


def safetensors_bytes(values):
    header, data = {}, b""
    for key, value in values.items():
        raw = struct.pack("<%df" % value.numel(), *value.detach().reshape(-1).tolist())
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensors():
    return collections.OrderedDict((key, value.float()) for key, value in nn.Linear(3, 3).state_dict().items())


SITUATIONS["file_is_safetensors"] = (
    lambda: (lambda path: writes(safetensors_bytes(tensors()))(path), lambda path: nn.Linear(3, 3).load_state_dict(torch.load(path))), None, "pth")


def torchs(values, **options):
    """A file as PyTorch writes it by default: a stream before 1.6, an archive since."""
    return saved(values, **options)


SITUATIONS["cut_short"] = (lambda: (lambda path: writes(torchs(network().state_dict())[:-900])(path), loads_into(network)), None, "pth")
SITUATIONS["cut_in_half"] = (lambda: (lambda path: (lambda data: writes(data[:len(data) // 2])(path))(torchs(network().state_dict())), loads_into(network)), None, "pth")


@situation("protocol_4", network)
def _():
    def load(path):
        network().load_state_dict(torch.load(path, **({"weights_only": True} if VERSION >= (1, 13) else {})))
    return lambda path: torch.save(network().state_dict(), path, pickle_protocol=4), load


@situation("hyper_parameters", network)
def _():
    def load(path):
        checkpoint = torch.load(path, **({"weights_only": True} if VERSION >= (1, 13) else {}))
        network().load_state_dict(checkpoint["state_dict"] if "state_dict" in checkpoint else checkpoint)
    return saves(lambda: trainer(network().state_dict(), args=argparse.Namespace(lr=0.1))), load


@situation("numbers_of_numpy", network)
def _():
    def load(path):
        checkpoint = torch.load(path, **({"weights_only": True} if VERSION >= (1, 13) else {}))
        network().load_state_dict(checkpoint["state_dict"] if "state_dict" in checkpoint else checkpoint)
    import numpy
    return saves(lambda: trainer(network().state_dict(), loss=numpy.float64(0.5))), load


@situation("scripted", lambda: nn.Linear(3, 3), "pt")
def _():
    def load(path):
        nn.Linear(3, 3).load_state_dict(torch.load(path, **({"weights_only": True} if VERSION >= (1, 13) else {})))
    return lambda path: torch.jit.save(torch.jit.script(nn.Linear(3, 3)), path), load


@situation("state_dict_for_a_script", network)
def _():
    return saves(lambda: network().state_dict()), lambda path: torch.jit.load(path)


@situation("on_a_gpu", network)
def _():
    """The device's name is changed in the file, for there is no such device here."""
    def save(path):
        data = saved(network().state_dict(), **({"_use_new_zipfile_serialization": False} if VERSION >= (1, 4) else {}))
        writes(data.replace(b"\x03\x00\x00\x00cpu", b"\x06\x00\x00\x00cuda:0"))(path)
    return save, lambda path: network().load_state_dict(torch.load(path))


@situation("stream_from_python_2", None)
def _():
    class Latin:
        def __reduce__(self):
            return (str, ())
    def load(path):
        pickle.loads(b"c__builtin__\nset\n(lU\x03a\xe9b\natR.")
    return writes(b""), load


@situation("plain_pickle", None)
def _():
    return lambda path: writes(pickle.dumps({"a": 1}, 2))(path), torch.load


@situation("tar", None)
def _():
    def save(path):
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for name in ("sys_info", "pickle", "storages", "tensors"):
                data = pickle.dumps({} if name == "pickle" else 0, 2)
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return save, lambda path: torch.load(path, **({"weights_only": True} if VERSION >= (1, 13) else {}))


def safetensors_situations():
    try:
        from safetensors.torch import load_file, load_model
    except ImportError:
        return
    whole = safetensors_bytes(tensors())
    files = [("pointer", POINTER), ("archive", torchs(network().state_dict())), ("cut", whole[:-7]), ("empty", b""),
             ("bad_header", struct.pack("<Q", 5) + b"{bad}")]
    for name, data in files:
        SITUATIONS["safetensors_" + name] = (lambda data=data: (writes(data), load_file), None, "safetensors")
    def load(path):
        load_model(nn.Linear(3, 3), path)
    wrapped = collections.OrderedDict(("module." + key, value) for key, value in tensors().items())
    SITUATIONS["safetensors_model"] = (lambda: (writes(safetensors_bytes(wrapped)), load), lambda: nn.Linear(3, 3), "safetensors")


safetensors_situations()


def name_of(situation):
    return situation + "." + SITUATIONS[situation][2]


def provoke(folder, names=tuple(SITUATIONS)):
    """What PyTorch says in these situations, with the file it says it of; none where it is content."""
    complaints, home = [], os.getcwd()
    os.chdir(folder)
    torch.manual_seed(0)
    for name in names:
        make, model, _ = SITUATIONS[name]
        try:
            save, load = make()
            save(name_of(name))
        except Exception:
            continue  # This PyTorch cannot write such a file.
        if model is not None:
            torch.save(model().state_dict(), name + "-model.pth")
        try:
            load(name_of(name))
        except (Exception, Warning) as error:
            text = "".join(traceback.format_exception_only(type(error), error))
            complaints.append({"situation": name, "text": text, "file": name_of(name), "traceback": traceback.format_exc()})
    os.chdir(home)
    return complaints


def judge(request):
    """What PyTorch says in a situation of another file; none if it loads."""
    try:
        SITUATIONS[request["situation"]][0]()[1](request["file"])
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)
    return None


def main():
    """Each situation has a process of its own, for an old PyTorch may end it instead of complaining."""
    version = torch.__version__.split("+")[0]
    with tempfile.TemporaryDirectory() as folder:
        for name in SITUATIONS:
            sys.stdout.flush()
            if os.fork() == 0:
                for complaint in provoke(folder, [name]):
                    text = complaint["text"].replace(os.path.abspath(__file__), "train.py")
                    print(json.dumps({"version": version, "situation": name, "text": text}))
                sys.stdout.flush()
                os._exit(0)
            os.wait()


if __name__ == "__main__":
    main()
