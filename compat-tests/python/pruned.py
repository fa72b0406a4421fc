"""Trainers' files, and whether what is left of one is the same."""

import collections
import os
import random

import numpy as np
import torch

import truth


def model():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 4))


def trained():
    net = model()
    optimizer = torch.optim.AdamW(net.parameters())
    for _ in range(2):
        net(torch.randn(5, 8)).sum().backward()
        optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    return net, optimizer, scheduler


def generate(request):
    """Writes files; what each should have left, with what is to be kept."""
    net, optimizer, scheduler = trained()
    plain, ema = net.state_dict(), {key: value.clone() for key, value in net.state_dict().items()}
    shared = "cpu"
    lightning = {
        "epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.1.0", "state_dict": plain,
        "loops": {"fit_loop": {"state_dict": {}}}, "callbacks": {"ModelCheckpoint": {"best": torch.tensor(0.5)}},
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [scheduler.state_dict()],
        "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.1, "name": shared},
    }
    backwards = {
        "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "rng": torch.get_rng_state(),
        "numpy_rng": np.random.get_state(), "python_rng": random.getstate(), "loss": torch.tensor(1.0),
        "model": plain, "model_ema": ema, "best": shared, "args": {"device": shared},
    }
    tied = collections.OrderedDict(optimizer=optimizer.state_dict(), tied=plain["0.weight"], model=plain)
    files = []

    def save(name, value, left, keep=(), **options):
        torch.save(value, os.path.join(request["folder"], name), **options)
        files.append({"file": name, "left": list(left), "keep": list(keep)})

    save("lightning.ckpt", lightning, ["state_dict"])
    save("kept.ckpt", lightning, ["epoch", "state_dict", "hyper_parameters"], ["epoch", "hyper_parameters"])
    save("backwards.pth", backwards, ["model", "model_ema"])
    save("legacy.pth", backwards, ["model", "model_ema"], _use_new_zipfile_serialization=False)
    save("protocol4.pth", backwards, ["model", "model_ema", "args"], ["args"], pickle_protocol=4)
    save("ordered.pth", tied, ["model"])
    return files


def judge(request):
    """None if the new file has what should be left of the old one, and nothing else."""
    old, new = truth.load(request["input"]), truth.load(request["output"])
    if type(new) is not type(old) or list(new) != request["left"]:
        return f"{type(new).__name__} of {list(new)}"
    for key in request["left"]:
        if not same(old[key], new[key]):
            return f"another {key}"
    if os.path.getsize(request["output"]) >= os.path.getsize(request["input"]):
        return "it is not smaller"
    return None


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b
