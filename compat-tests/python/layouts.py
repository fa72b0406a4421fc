"""Files laid out in every way that trainers and users lay them out, and whether a command lost something.

Every tensor has elements of its own, so that it is recognised wherever it is written.
"""

import argparse
import collections
import hashlib
import io
import os

import numpy as np
import torch

KEYS = ["module.conv.weight", "module.conv.bias", "module.fc.weight", "module.fc.bias"]
_count = 0


def tensor(*shape, dtype=torch.float32):
    """A tensor that no other is like."""
    global _count
    _count += 1
    numbers = torch.arange(max(1, int(np.prod(shape))), dtype=torch.float64) + 64 * _count
    return numbers.reshape(shape).to(dtype)


def weights(kind=dict, keys=KEYS):
    return kind((key, tensor(2, 3) if key.endswith("weight") else tensor(3)) for key in keys)


def arrays(change=lambda array: array):
    return {key: change(value.numpy()) for key, value in weights().items()}


class Sub(torch.Tensor):
    """A tensor with a class of its own, rebuilt by `_rebuild_from_type_v2`."""


class Param(torch.nn.Parameter):
    pass


class Scaled(torch.Tensor):
    """A tensor of tensors that pickles itself as a call of its class."""

    @staticmethod
    def __new__(cls, q, s):
        return torch.Tensor._make_wrapper_subclass(cls, q.shape, dtype=torch.float32)

    def __init__(self, q, s):
        self.q, self.s = q, s

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError(str(function))

    def __repr__(self):
        return "Scaled"

    def __reduce_ex__(self, protocol):
        return (Scaled, (self.q, self.s))


class Box:
    """No tensor and no mapping, and there are tensors in it."""

    def __init__(self, inside):
        self.inside = inside


class Attributes(dict):
    """A dict that is its own attributes, as EasyDict is."""

    def __init__(self, *args):
        super().__init__(*args)
        self.__dict__ = self


class Called(dict):
    """A dict that pickles itself as a call with a plain one, as FrozenDict does."""

    def __reduce__(self):
        return (Called, (dict(self),))


class Paired(collections.OrderedDict):
    """A dict that pickles itself as a call with a list of tuples."""

    def __reduce__(self):
        return (collections.OrderedDict, (list(self.items()),))


class Listed(collections.OrderedDict):
    """The same with a list of lists, as in Python 2."""

    def __reduce__(self):
        return (collections.OrderedDict, ([[key, value] for key, value in self.items()],))


class Given(collections.OrderedDict):
    """An OrderedDict that is given a dict."""

    def __reduce__(self):
        return (collections.OrderedDict, (dict(self),))


class User(collections.UserDict):
    pass


class Store(collections.abc.MutableMapping):
    """A mapping around a dict."""

    def __init__(self, inside):
        self._store = dict(inside)

    def __getitem__(self, key):
        return self._store[key]

    def __setitem__(self, key, value):
        self._store[key] = value

    def __delitem__(self, key):
        del self._store[key]

    def __iter__(self):
        return iter(self._store)

    def __len__(self):
        return len(self._store)


class Shell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = torch.nn.Linear(3, 2), torch.nn.Linear(2, 3)


def optimizer():
    model = Shell()
    adam = torch.optim.Adam(model.parameters())
    (model.fc(model.conv(torch.randn(2, 3)))).sum().backward()
    adam.step()
    return adam.state_dict()


def with_metadata():
    state_dict = weights(collections.OrderedDict)
    state_dict._metadata = collections.OrderedDict((path, {"version": 1}) for path in ["", "module", "module.conv", "module.fc"])
    return state_dict


def lightning(**callbacks):
    checkpoint = {"kth_best_model_path": "", "best_model_score": torch.tensor(0.5), "kth_value": torch.tensor(0.25), "best_k_models": {}, "last_model_path": "", "dirpath": "", "monitor": "val/loss", "best_model_path": ""}
    return {
        "epoch": 3, "global_step": 10, "pytorch-lightning_version": "2.5.0", "state_dict": weights(collections.OrderedDict),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val/loss', 'mode': 'min'}": checkpoint, **callbacks},
        "optimizer_states": [optimizer()], "lr_schedulers": [{"last_epoch": 3, "_step_count": 4, "base_lrs": [0.1]}],
        "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.1, "class_weights": tensor(3)},
    }


def scheduler_object():
    return torch.optim.lr_scheduler.StepLR(torch.optim.SGD(Shell().parameters(), 0.1), 3)


def layouts():
    """Name → (what is saved, the state dict that is meant or None, a path to ask for, keys that safetensors cannot hold)."""
    w = weights
    return {
        "root": (w(), "", None, []),
        "root-ordered": (with_metadata(), "", None, []),
        "root-beside-stats": ({**w(), "norm_stats": {"mean": tensor(3), "std": tensor(3)}}, "", None, []),
        "root-beside-ema": ({**w(), "ema": w()}, "", None, []),
        "root-beside-optimizer": ({**w(), "epoch": 3, "optimizer": optimizer()}, "", None, []),
        "root-beside-schedule": ({**w(), "sched": {"betas": tensor(5)}, "step": torch.tensor(3)}, "", None, []),
        "root-with-inner": ({**w(), "state_dict": {"a.weight": tensor(2, 2)}}, "", None, []),
        "root-with-larger-inner": ({"mean": tensor(3), "std": tensor(3), "state_dict": w()}, None, "state_dict", []),
        "root-of-numbers": ({"alpha": torch.tensor(0.5), "beta": torch.tensor(0.25)}, "", None, []),
        "root-with-an-odd-key": ({**w(), 5: {"x": tensor(2)}}, "", None, []),
        "trainer": ({"epoch": 3, "arch": "resnet", "state_dict": w(), "best_acc1": torch.tensor(0.9), "optimizer": optimizer()}, "state_dict", None, []),
        "trainer-with-an-array": ({"model": w(), "class_weights": tensor(3), "epoch": 1, "note": "x"}, "model", None, []),
        "trainer-with-objects": ({"model": w(), "optimizer": torch.optim.SGD(Shell().parameters(), 0.1), "scheduler": scheduler_object(), "args": argparse.Namespace(lr=0.1, w=tensor(3))}, "model", None, []),
        "nested": ({"model": {"state_dict": w(), "cfg": {"depth": 3}}}, "model/state_dict", None, []),
        "model-and-ema": ({"model": w(), "model_ema": w(), "epoch": 3}, None, "model", []),
        "params-and-ema": ({"params": w(), "params_ema": w()}, None, "params_ema", []),
        "only-ema": ({"params_ema": w()}, "params_ema", None, []),
        "timm": ({"epoch": 3, "arch": "vit", "state_dict": w(), "state_dict_ema": w(), "optimizer": optimizer(), "metric": 0.9, "args": argparse.Namespace(lr=1)}, None, "state_dict_ema", []),
        "gan": ({"generator": w(), "discriminator": w(keys=["d.weight"]), "g_optim": optimizer()}, None, "generator", []),
        "student-and-teacher": ({"student": w(), "teacher": w(), "epoch": 3}, None, "teacher", []),
        "model-and-criterion": ({"model": w(), "criterion": {"weight": tensor(3, 3)}, "epoch": 3}, "model", None, []),
        "lightning": (lightning(), "state_dict", None, []),
        "lightning-ema": (lightning(EMA={"ema_state_dict": w()}), "state_dict", None, []),
        "lightning-ema-asked": (lightning(EMA={"ema_state_dict": w()}), "state_dict", "ema_state_dict", []),
        "fairseq": ({"args": None, "cfg": {"model": {"_name": "t"}}, "model": w(), "criterion": {}, "optimizer_history": [{"optimizer_name": "Adam"}], "task_state": {}, "extra_state": {"train_iterator": {"epoch": 1}}, "last_optimizer_state": optimizer()}, "model", None, []),
        "mmengine": ({"meta": {"epoch": 3, "dataset_meta": {"palette": [[1, 2]]}}, "state_dict": w(collections.OrderedDict), "message_hub": {"log_scalars": {"lr": Box(np.arange(3.0))}, "runtime_info": {"iter": 3}}, "optimizer": optimizer(), "param_schedulers": [{"last_epoch": 3, "_step_count": 1}]}, "state_dict", None, []),
        "detectron2": ({"model": arrays(), "__author__": "someone", "matching_heuristics": True}, "model", None, []),
        "deepspeed": ({"module": w(), "buffer_names": ["bn.mean"], "optimizer": None, "param_shapes": [{"conv.weight": torch.Size([2, 3])}], "ds_version": "0.1", "global_steps": 3}, "module", None, []),
        "megatron": ({"args": argparse.Namespace(a=1), "model": {"language_model": {"embedding": {"word_embeddings": {"weight": tensor(4, 2)}}, "encoder": w()}}, "rng_state": [{"torch_rng_state": torch.get_rng_state()}]}, None, "encoder", []),
        "megatron-joined": ({"args": argparse.Namespace(a=1), "model": {"language_model": {"embedding": {"word_embeddings": {"weight": tensor(4, 2)}}, "encoder": w()}}, "rng_state": [{"torch_rng_state": torch.get_rng_state()}]}, None, "model", []),
        "mcore": ({"args": argparse.Namespace(a=1), "model": {**w(), **{f"{i}._extra_state": io.BytesIO(b"fp8") for i in range(9)}}, "iteration": 5}, "model", None, []),
        "rng": ({"model": w(), "rng_state": {"python": (3, (1, 2), None), "numpy": np.random.get_state(), "cpu": torch.get_rng_state(), "cuda": [torch.get_rng_state()]}}, "model", None, []),
        "two-in-a-tuple": ((w(), {"lr": 0.1, "betas": tensor(2)}, "x"), "0", None, []),
        "arrays": (arrays(), "", None, []),
        "arrays-in-columns": (arrays(np.asfortranarray), "", None, []),
        "arrays-big-endian": (arrays(lambda array: array.astype(">f4")), "", None, []),
        "arrays-of-halves": (arrays(lambda array: array.astype("f2")), "", None, []),
        "arrays-of-integers": (arrays(lambda array: array.astype("i8")), "", None, []),
        "arrays-and-tensors": ({**w(), "module.mean": tensor(3).numpy(), "module.empty": np.zeros((0, 3), "f4"), "module.one": tensor().numpy()}, "", None, []),
        "arrays-of-texts": ({**w(), "module.names": np.array(["a", "b"])}, "", None, ["module.names"]),
        "arrays-of-objects": ({**w(), "module.things": np.array([{"a": 1}, None], dtype=object)}, "", None, ["module.things"]),
        "user-dict": (User(w()), "", None, []),
        "user-dict-nested": ({"model": User(w()), "epoch": 3}, "model", None, []),
        "store": (Store(w()), "", None, []),
        "average-in-an-object": ({"model": w(), "ema": Box({"decay": 0.9, "shadow": w()})}, "model", None, []),
        "masked-array": ({**w(), "module.m": np.ma.MaskedArray(tensor(3).numpy(), mask=[0, 1, 0])}, "", None, ["module.m"]),
        "counter": (collections.Counter(w()), "", None, []),
        "default-dict": (collections.defaultdict(list, w()), "", None, []),
        "own-attributes": (Attributes(w()), "", None, []),
        "called": (Called(w()), "", None, []),
        "called-nested": ({"state_dict": Called(w()), "epoch": 1}, "state_dict", None, []),
        "ordered-of-tuples": (Paired(w()), "", None, []),
        "ordered-of-lists": (Listed(w()), "", None, []),
        "ordered-of-a-dict": (Given(w()), "", None, []),
        "parameters": ({key: torch.nn.Parameter(value) for key, value in w().items()}, "", None, []),
        "parameter-class": ({key: Param(value) for key, value in w().items()}, "", None, []),
        "subclass": ({key: value.as_subclass(Sub) for key, value in w().items()}, "", None, []),
        "own-reduce": ({**w(), "module.q": Scaled(tensor(2, 2), tensor(2, 1))}, "", None, ["module.q"]),
        "own-reduce-all": ({key: Scaled(tensor(2, 2), tensor(2, 1)) for key in KEYS}, "", None, KEYS[:1]),
        "own-reduce-nested": ({"model": {**w(), "module.q": Scaled(tensor(2, 2), tensor(2, 1))}, "epoch": 3}, "model", None, ["module.q"]),
        "box": ({**w(), "module.box": Box([tensor(2)])}, "", None, ["module.box"]),
        "extra-state-dict": ({**w(), "module.fc._extra_state": {"scale": tensor(2), "history": [tensor(3)]}}, "", None, []),
        "extra-state-box": ({**w(), "module.fc._extra_state": Box(tensor(2))}, "", None, ["module.fc._extra_state"]),
        "packed": ({**w(), "module.fc._packed_params": (tensor(2, 2), tensor(2))}, "", None, []),
        "attribute-of-a-mapping": (hung(with_metadata(), mean=tensor(3), names=["a"]), "", None, []),
        "attribute-of-a-nested-mapping": ({"state_dict": hung(with_metadata(), stats=[tensor(3)]), "epoch": 3}, "state_dict", None, []),
        "attribute-of-a-tensor": ({**w(), "module.s.weight": hung(tensor(3), scale=tensor(1))}, "", None, []),
        "attribute-of-a-parameter": ({"model": {**w(), "p.weight": hung(torch.nn.Parameter(tensor(3)), state={"x": tensor(2)})}}, "model", None, []),
        "quantized": ({**w(), "module.q": torch.quantize_per_tensor(tensor(3), 0.1, 0, torch.qint8)}, "", None, ["module.q"]),
        "sparse": ({**w(), "module.s": tensor(2, 2).to_sparse()}, "", None, ["module.s"]),
        "storage": ({**w(), "module.s": tensor(3).untyped_storage()}, "", None, ["module.s"]),
        "module": ({"model": Shell(), "epoch": 3}, "model", None, []),
        "module-root": (Shell(), "", None, []),
        "module-and-objects": ({"model": Shell(), "optimizer": torch.optim.SGD(Shell().parameters(), 0.1), "best": torch.tensor(0.5)}, "model", None, []),
        "parameter-dict": ({"string_to_token": {"*": 265}, "string_to_param": torch.nn.ParameterDict({"a": torch.nn.Parameter(tensor(2, 4))})}, "string_to_param", None, []),
    }


# What is written as a legacy stream, and in another protocol, too.
STREAMS = ["root-beside-ema", "trainer", "arrays", "arrays-and-tensors", "user-dict", "own-reduce", "ordered-of-lists"]
PROTOCOLS = {4: ["arrays", "counter", "own-reduce", "trainer"], 5: ["arrays", "arrays-in-columns", "arrays-and-tensors"]}


def generate(request):
    """Writes every file; gives their names with what is expected of them."""
    made = layouts()
    files = [(name, name, {}) for name in made]
    files += [(f"{name}-stream", name, {"_use_new_zipfile_serialization": False}) for name in STREAMS]
    files += [(f"{name}-protocol-{n}", name, {"pickle_protocol": n}) for n, names in PROTOCOLS.items() for name in names]
    entries = []
    for file, name, options in files:
        value, at, ask, refused = made[name]
        torch.save(value, os.path.join(request["folder"], f"{file}.pth"), **options)
        entries.append({"name": file, "at": at, "ask": ask, "refused": refused})
    return entries


def found(value, at=""):
    """Every tensor in a value, and every array where it stands for one, by path."""
    if isinstance(value, torch.Tensor):
        is_plain = type(value) in (torch.Tensor, torch.nn.Parameter)
        return [(at, digest(value))] + (attributes(value, at) if is_plain else [])
    if isinstance(value, np.ndarray):
        return [(at, digest(value))] if value.dtype.kind in "fiubc" else []
    if isinstance(value, torch.UntypedStorage):
        return [(at, digest(torch.tensor(value, dtype=torch.uint8)))]
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, Box) or isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)):
        return []
    if isinstance(value, collections.abc.Mapping):
        children = list(value.items())
    elif isinstance(value, (list, tuple)):
        # The state of a generator is not an array of a model.
        children = [(i, child) for i, child in enumerate(value) if not isinstance(child, np.ndarray)]
    else:
        return []
    below = [pair for key, child in children for pair in found(child, f"{at}/{key}" if at else str(key))]
    return below + (attributes(value, at) if type(value) is collections.OrderedDict else [])


def attributes(value, at):
    """The tensors among what a program has hung on an object."""
    return [pair for name, child in vars(value).items() for pair in found(child, f"{at}.{name}")]


def hung(value, **attributes):
    """A value with attributes."""
    for name, attribute in attributes.items():
        setattr(value, name, attribute)
    return value


def digest(value):
    if isinstance(value, Scaled):
        return f"scaled {digest(value.q)} {digest(value.s)}"
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value.astype(value.dtype.newbyteorder("="))).reshape(value.shape))
    value = value.detach()
    value = value.as_subclass(torch.Tensor) if isinstance(value, (Sub, Param)) else value
    if value.is_quantized:
        return f"quantized {value.q_scale()} {digest(value.int_repr())}"
    if value.layout != torch.strided:
        return f"sparse {digest(value.to_dense())}"
    data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
    return f"{value.dtype} {list(value.shape)} {hashlib.sha256(data).hexdigest()}"


def load(path):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    if path.endswith(".npz"):
        with np.load(path) as archive:
            return {key: archive[key] for key in archive.files}
    return torch.load(path, map_location="cpu", weights_only=False)


def judge(request):
    """What is lost between two files: paths of tensors that are neither there nor among the words said."""
    there = {digest for output in request["outputs"] for _, digest in found(load(output))}
    said = set(request["said"])
    lost = []
    for path, mark in found(load(request["input"])):
        parts = path.split("/")
        ways = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        at = request["at"] + "/" if request["at"] else ""
        ways += [way[len(at):] for way in ways if at and way.startswith(at)]
        if mark not in there and not said.intersection(ways):
            lost.append(path)
    return lost
