"""Checkpoints of every shape that users meet, written by real PyTorch, NumPy and safetensors.

`generate(folder)` writes them and gives one entry a file: its name, and the paths of the state
dicts in it whose keys can be renamed (`at`).
"""

import argparse
import collections
import io
import json
import os
import struct
import warnings
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

warnings.filterwarnings("ignore")


class LeNet(nn.Module):
    """The network of the classic article on nn.DataParallel."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc3(torch.relu(self.fc2(x)))


class Counter(nn.Module):
    """A module with extra state, which is not a tensor."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2))

    def get_extra_state(self):
        return {"calls": 3}


def network(width=8, classes=10):
    """A small convolutional network with batch norms and modules without keys."""
    block = lambda: nn.Sequential(nn.Conv2d(width, width, 3), nn.BatchNorm2d(width), nn.ReLU())
    parts = [("stem", nn.Conv2d(3, width, 3)), ("act", nn.ReLU())]
    parts += [("layers", nn.Sequential(block(), block())), ("head", nn.Linear(width, classes))]
    return nn.Sequential(collections.OrderedDict(parts))


class Zoo:
    """Where the files go, and what has been written."""

    def __init__(self, folder):
        self.folder = folder
        self.entries = []

    def path(self, name, at=("",)):
        self.entries.append({"file": name, "at": list(at)})
        return os.path.join(self.folder, name)

    def torch(self, name, value, at=("",), **options):
        torch.save(value, self.path(name, at), **options)


def generate(folder):
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(0)
    np.random.seed(0)
    zoo = Zoo(folder)
    for family in (wrapped, trainers, names, tensors, pickles, streams, objects, safetensors_files, npz_files):
        family(zoo)
    return zoo.entries


def wrapped(zoo):
    net, parallel = LeNet(), nn.DataParallel(LeNet())
    zoo.torch("lenet.pth", net.state_dict())
    zoo.torch("lenet_dataparallel.pth", parallel.state_dict())
    zoo.torch("lenet_plain_dict.pt", dict(parallel.state_dict()))
    stacked = {"compiled": "_orig_mod.", "ddp_compiled": "module._orig_mod.", "fsdp": "_fsdp_wrapped_module.",
               "compiled_ddp": "_orig_mod.module.", "twice": "module.module.", "deepspeed": "_forward_module."}
    for name, prefix in stacked.items():
        values = collections.OrderedDict((prefix + key, value) for key, value in network().state_dict().items())
        zoo.torch(f"wrapped_{name}.pth", values)
    zoo.torch("wrapped_for_real.pth", nn.DataParallel(nn.DataParallel(network())).state_dict())
    inside = network()
    inside.layers = nn.DataParallel(inside.layers)
    zoo.torch("wrapped_inside.pth", inside.state_dict())
    checkpointed = [(key.replace("stem.", "stem._checkpoint_wrapped_module."), value)
                    for key, value in network().state_dict().items()]
    zoo.torch("wrapped_activation_checkpoint.pth", collections.OrderedDict(checkpointed))
    zoo.torch("without_metadata.bin", collections.OrderedDict(parallel.state_dict().items()))
    sticky = network()
    sticky.load_state_dict(network().state_dict(), assign=True)
    zoo.torch("assigned.pth", nn.DataParallel(sticky).state_dict())
    old = nn.DataParallel(network()).state_dict()
    for number, path in enumerate(old._metadata):
        old._metadata[path] = {"version": number}
    zoo.torch("versions_told_apart.pth", old)
    zoo.torch("extra_state.pth", nn.DataParallel(nn.Sequential(Counter(), nn.Linear(2, 2))).state_dict())


def trainers(zoo):
    model = nn.DataParallel(network())
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    hyper = argparse.Namespace(lr=3e-4, gpus=[0, 1, 2, 3], name="module.run", nested={"module.stem.weight": 1})
    zoo.torch("trainer.pth.tar", {
        "epoch": 12, "arch": "resnet", "state_dict": model.state_dict(), "best_acc1": 0.7612,
        "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(), "args": hyper,
        "loss": np.float64(1.25), "size": torch.Size([2, 3]), "nothing": None, "flags": (True, False, b"bytes"),
        "history": collections.defaultdict(list, {"val": [1.0, 0.5]}), "big": 1 << 70, "negative": -3,
        "classes": {"cat", "dog"}, "array": np.arange(4.0),
    }, at=["state_dict"])
    random = {"epoch": 1, "state_dict": model.state_dict(), "module.random": torch.arange(16, dtype=torch.uint8)}
    zoo.torch("tensor_beside.pth", random, at=["state_dict", ""])
    average = torch.optim.swa_utils.AveragedModel(network())
    average.update_parameters(network())
    zoo.torch("two_state_dicts.pth", {"model": model.state_dict(), "model_ema": average.state_dict(), "step": 7},
              at=["model", "model_ema"])
    zoo.torch("averaged.pth", average.state_dict())
    lightning = {f"model.{key}": value for key, value in network().state_dict().items()}
    zoo.torch("lightning.ckpt", {
        "epoch": 3, "global_step": 100, "pytorch-lightning_version": "2.4.0", "state_dict": lightning,
        "hyper_parameters": {"lr": 1e-3}, "callbacks": {"ModelCheckpoint": {"best_model_path": "a/b.ckpt"}},
        "loops": {}, "lr_schedulers": [],
    }, at=["state_dict"])
    shared = nn.DataParallel(network()).state_dict()
    zoo.torch("one_dict_twice.pth", {"model": shared, "state_dict": shared, "epoch": 1}, at=["model"])
    zoo.torch("list_root.pth", [torch.ones(2), {"module.a": torch.zeros(1)}], at=["1"])
    zoo.torch("deep.pth", {"a": {"b": [{"c": ({"module.w": torch.ones(2)}, 1)}]}}, at=["a/b/0/c/0"])
    zoo.torch("bare_tensor.pth", torch.arange(6.0), at=[])
    zoo.torch("no_tensors.pth", {"epoch": 1, "note": "module.a"}, at=[])


def names(zoo):
    tensor = lambda number: torch.full((number + 1,), float(number))
    zoo.torch("collision.pth", {"module.a": tensor(1), "a": tensor(2), "module.b": tensor(3), "b": tensor(4)})
    both = tensor(3)
    zoo.torch("collision_of_ties.pth", {"module.a": both, "a": both})
    odd = ["module.a", "b", "module", "modules.c", "mod", "modulex.a", "a.module", "module.module.d"]
    zoo.torch("odd_prefixes.pth", {key: tensor(i) for i, key in enumerate(odd)})
    zoo.torch("emptied.pth", {key: tensor(i) for i, key in enumerate(["module.a", "module.", "", "."])})
    strange = ["模型.weight", "a b/c\"\\d\n", "x" * 400, "é", "tab\tand\rreturn", "quote'\"", "nul\0nul", "\U0001f600",
               "{n}", "*", "a -> b", "0", "-1", "..", "x" * 70000]
    zoo.torch("odd_keys.pth", {"module." + key: tensor(i % 5) for i, key in enumerate(strange)})
    # The pickler writes one string object once: these are also storage tags, class names, locations.
    tags = ["storage", "cpu", "FloatStorage", "OrderedDict", "collections", "torch", "_metadata", "version", "little"]
    zoo.torch("names_of_pickle_parts.pth", collections.OrderedDict((key, tensor(i)) for i, key in enumerate(tags)))
    key = "module.shared.weight"
    zoo.torch("shared_string.pth", {key: tensor(1), "note": key, "names": [key, key], "module.other": key})
    zoo.torch("shared_string_below.pth", {"names": [key], "state_dict": {key: tensor(1)}, key: 3}, at=["state_dict"])
    zoo.torch("non_string_keys.pth", {"module.w": tensor(1), 3: tensor(2), ("t", 1): tensor(3), None: tensor(4), 2.5: 1})
    # The pickler writes batches of a thousand, and a dict's last batch unlike an OrderedDict's.
    for count, kind in [(1, dict), (1, collections.OrderedDict), (1000, dict), (1001, dict), (1001, collections.OrderedDict), (2000, collections.OrderedDict)]:
        values = torch.arange(float(count))
        zoo.torch(f"{count}_keys_{kind.__name__}.pth", kind((f"module.layer{i}.weight", values[i]) for i in range(count)))


def tensors(zoo):
    weight, table = torch.randn(6, 4), torch.arange(24.0).reshape(4, 6)
    zoo.torch("views_and_ties.pth", collections.OrderedDict([
        ("module.embed.weight", weight), ("module.head.weight", weight), ("module.detached", weight.detach()),
        ("module.row", table[1]), ("module.column", table[:, 2]), ("module.transposed", table.t()),
        ("module.slice", table[1:3, 2:5]), ("module.step", table[::2, ::3]), ("module.expanded", torch.ones(1, 3).expand(5, 3)),
        ("module.scalar", torch.tensor(3.5)), ("module.empty", torch.empty(0, 4)), ("module.empty_view", table[4:]),
        ("module.channels_last", torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)),
        ("module.one", torch.randn(3, 1, 2).transpose(0, 1)), ("module.nan", torch.tensor([float("nan"), -0.0, float("inf")])),
    ]))
    complex_tensor = torch.randn(3, 2, dtype=torch.complex64)
    zoo.torch("lazy_bits.pth", {"module.conj": complex_tensor.conj(), "module.neg": torch._neg_view(torch.randn(4)),
                                "module.conj_t": complex_tensor.conj().t(), "module.plain": complex_tensor,
                                "module.neg_of_conj": torch.randn(3, dtype=torch.complex64).conj().imag})
    zoo.torch("parameters.pth", {"module.p": nn.Parameter(torch.randn(3)), "module.b": nn.Buffer(torch.randn(3)),
                                 "module.g": torch.randn(2, requires_grad=True),
                                 "module.frozen": nn.Parameter(torch.randn(2), requires_grad=False)})
    zoo.torch("parameters_of_a_model.pth", collections.OrderedDict(nn.DataParallel(network()).named_parameters()))
    zoo.torch("dtypes.pth", collections.OrderedDict((f"module.{name}", value) for name, value in every_dtype().items()))
    zoo.torch("exotic.pth", {
        "module.coo": torch.eye(4).to_sparse(), "module.csr": torch.eye(4).to_sparse_csr(), "module.csc": torch.eye(4).to_sparse_csc(),
        "module.quantized": torch.quantize_per_tensor(torch.randn(4), 0.1, 0, torch.qint8), "module.w": torch.ones(2),
        "module.per_channel": torch.quantize_per_channel(torch.randn(2, 3), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.quint8),
        "module.meta": torch.empty(3, device="meta"),
    })
    zoo.torch("numbers_to_round.pth", {"module.f64": torch.tensor([1 + 2**-8 + 2**-40, 1 + 2**-11 + 2**-40, 1e300, -1e-300, 65520.0, 1 / 3]).double(),
                                       "module.f32": torch.tensor([65519.99, 65520.0, 1e-8, 6e-8, 3.4e38, float("nan")]), "module.i": torch.arange(3)})


def every_dtype():
    """A tensor of each dtype that PyTorch can save."""
    plain = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex64 complex128"
    narrow = "complex32 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu"
    values = {}
    for name in plain.split() + narrow.split():
        dtype = getattr(torch, name)
        numbers = torch.randn(3, 5, dtype=torch.complex64) if dtype.is_complex else torch.randint(0, 9, (3, 5)).float()
        values[name] = numbers.to(dtype)
    values["float4_e2m1fn_x2"] = torch.arange(8, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    return values


def pickles(zoo):
    parallel = nn.DataParallel(network())
    for protocol in (3, 4, 5):
        zoo.torch(f"protocol{protocol}.pth", parallel.state_dict(), pickle_protocol=protocol)
        nested = {"state_dict": parallel.state_dict(), "args": argparse.Namespace(module="module"), "epoch": 3}
        zoo.torch(f"protocol{protocol}_trainer.pth", nested, at=["state_dict"], pickle_protocol=protocol)
    key = "module.w"
    hazards = collections.OrderedDict([(key, torch.ones(2)), ("OrderedDict", torch.ones(1)), ("module.note", key), ("torch._utils", torch.ones(3))])
    zoo.torch("protocol4_shared.pth", hazards, pickle_protocol=4)
    zoo.torch("protocol1.pth", parallel.state_dict(), pickle_protocol=1)
    many = {f"module.{'long' * 20}{i}": torch.tensor(i) for i in range(1500)}
    zoo.torch("protocol4_frames.pth", many, pickle_protocol=4)


def streams(zoo):
    """The format before PyTorch 1.6."""
    parallel, legacy = nn.DataParallel(network()), {"_use_new_zipfile_serialization": False}
    zoo.torch("legacy.pth", parallel.state_dict(), **legacy)
    for protocol in (1, 4):
        zoo.torch(f"legacy_protocol{protocol}.pth", parallel.state_dict(), pickle_protocol=protocol, **legacy)
    table = torch.arange(24.0).reshape(4, 6)
    views = {"module.row": table[1], "module.t": table.t(), "module.whole": table, "module.tie": table, "module.none": torch.empty(0)}
    zoo.torch("legacy_views.pth", {"epoch": 3, "state_dict": views}, at=["state_dict"], **legacy)


def objects(zoo):
    """Files whose keys are attributes of pickled objects or of code, so that they cannot change."""
    zoo.torch("whole_module.pth", nn.DataParallel(network()), at=[])
    zoo.torch("whole_module_inside.pth", {"model": nn.DataParallel(network()), "epoch": 1}, at=[])
    zoo.torch("whole_module_legacy.pth", nn.DataParallel(network()), at=[], _use_new_zipfile_serialization=False)
    script = torch.jit.script(nn.Sequential(collections.OrderedDict(module=nn.Linear(3, 4))))
    torch.jit.save(script, zoo.path("scripted.pt", at=[]))


def safetensors_files(zoo):
    flat = {f"module.{key}": value for key, value in network().state_dict().items()}
    save_file(flat, zoo.path("network.safetensors"), metadata={"format": "pt", "note": "module. is kept here"})
    save_file(flat, zoo.path("no_metadata.safetensors"))
    unheld = ("complex128", "complex32")
    dtypes = {f"module.{name}": value for name, value in every_dtype().items() if name not in unheld}
    save_file(dtypes, zoo.path("dtypes.safetensors"))
    save_file({}, zoo.path("empty.safetensors", at=[]))
    rows = [("module.b", "F32", [2], b"\1\0\0\0\2\0\0\0"), ("module.é\"\\\n", "U8", [3], b"abc"), ("module.a", "BOOL", [], b"\1"),
            ("module.none", "F64", [0, 3], b""), ("module.a b", "I16", [1], b"\7\0")]
    write_safetensors(zoo.path("odd_order.safetensors"), rows, [3, 0, 4, 2, 1], {"z": "1", "module.b": "kept"})
    rows = [("module.a", "F32", [1], b"\0\0\0\0"), ("a", "F32", [1], b"\1\0\0\0")]
    write_safetensors(zoo.path("collision.safetensors"), rows, [1, 0], {})


def write_safetensors(path, rows, order, metadata):
    """A file whose header is in another order than its data, with the metadata last."""
    at, places = 0, {}
    for row in order:
        places[row] = [at, at + len(rows[row][3])]
        at += len(rows[row][3])
    header = {name: {"dtype": dtype, "shape": shape, "data_offsets": places[i]} for i, (name, dtype, shape, _) in enumerate(rows)}
    if metadata:
        header["__metadata__"] = metadata
    text = json.dumps(header, indent=1).encode() + b"   "
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(rows[row][3] for row in order))


def npz_files(zoo):
    flat = {f"module.{key}": value.numpy() for key, value in network().state_dict().items()}
    np.savez(zoo.path("network.npz"), **flat)
    np.savez_compressed(zoo.path("compressed.npz"), **flat)
    np.savez(zoo.path("orders.npz"), **{
        "module.fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "module.big_endian": np.arange(5, dtype=">f4"),
        "module.big_complex": np.arange(3, dtype=">c16"), "module.scalar": np.float32(2), "module.empty": np.zeros((0, 3)),
        "module.fortran_big": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)), "module/slash": np.ones(2), "module.é": np.ones(1)})
    plain = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool complex64 complex128".split()
    np.savez(zoo.path("dtypes.npz"), **{f"module.{name}": np.arange(6).reshape(2, 3).astype(name) for name in plain})
    records = np.zeros(3, dtype=[("x", "<f4"), ("y", "<i2", (2,))])
    np.savez_compressed(zoo.path("carried.npz"), **{
        "module.record": records, "module.text": np.array(["ab", "c"]), "module.bytes": np.array([b"ab", b"c"]), "module.w": np.ones(3),
        "module.object": np.array([{"a": 1}, None], dtype=object), "module.date": np.array(["2020-01-01"], dtype="datetime64[D]")})
    np.savez(zoo.path("collision.npz"), **{"module.a": np.zeros(2), "a": np.ones(2)})
    with zipfile.ZipFile(zoo.path("by_zipfile.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
        for number, version in enumerate([(1, 0), (2, 0), (3, 0)]):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.arange(4.0) + number, version=version)
            archive.writestr(f"module.v{number}.npy", buffer.getvalue())
