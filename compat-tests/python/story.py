"""The classic article's case: a network trained under nn.DataParallel is to be used without it."""

import safetensors.torch
import torch
from torch import nn

from same import difference
from zoo import LeNet


def answer(request):
    return CHAPTERS[request["chapter"]](request["folder"])


def train_on_many(folder):
    """Saves what a training script saves, and beside it an input with the outputs it gives."""
    torch.manual_seed(7)
    net = nn.DataParallel(LeNet())
    images = torch.randn(4, 3, 32, 32)
    torch.save(net.state_dict(), f"{folder}/parallel.pth")
    torch.save(net.module.state_dict(), f"{folder}/expected.pth")
    torch.save({"images": images, "outputs": net.module(images).detach()}, f"{folder}/memory.pth")


def load_bare(folder, name="parallel.pth"):
    """Loads a checkpoint into the bare network; gives PyTorch's complaint, or None."""
    net = LeNet()
    try:
        net.load_state_dict(torch.load(f"{folder}/{name}", weights_only=True), strict=True)
    except RuntimeError as complaint:
        return str(complaint)
    memory = torch.load(f"{folder}/memory.pth", weights_only=True)
    return None if torch.equal(net(memory["images"]), memory["outputs"]) else "other outputs"


def load_parallel(folder):
    """Loads `again.pth` into the wrapped network; gives PyTorch's complaint, or None."""
    net = nn.DataParallel(LeNet())
    try:
        net.load_state_dict(torch.load(f"{folder}/again.pth", weights_only=True), strict=True)
    except RuntimeError as complaint:
        return str(complaint)
    memory = torch.load(f"{folder}/memory.pth", weights_only=True)
    return None if torch.equal(net.module(memory["images"]), memory["outputs"]) else "other outputs"


def compare(folder, expected, actual):
    """How two checkpoints differ, keys, order, tensors and `_metadata`; or None."""
    read = lambda name: torch.load(f"{folder}/{name}", weights_only=True)
    return difference(read(expected), read(actual))


def consumed(folder):
    """What PyTorch's own prefix function makes of the checkpoint."""
    values = torch.load(f"{folder}/parallel.pth", weights_only=True)
    nn.modules.utils.consume_prefix_in_state_dict_if_present(values, "module.")
    torch.save(values, f"{folder}/consumed.pth")


class Tied(nn.Module):
    """A language model in miniature: one tensor under two keys."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


def save_tied(folder):
    """Saves as Hugging Face does: one key is written, the other is recorded in the metadata."""
    safetensors.torch.save_model(nn.DataParallel(Tied()), f"{folder}/tied.safetensors")


def load_tied(folder):
    """Loads `bare.safetensors` into the bare model; gives the complaint, or None."""
    try:
        safetensors.torch.load_model(Tied(), f"{folder}/bare.safetensors", strict=True)
    except RuntimeError as complaint:
        return str(complaint)
    with safetensors.safe_open(f"{folder}/bare.safetensors", "pt") as file:
        return difference({"head.weight": "embed.weight"}, file.metadata())


CHAPTERS = {
    "save tied": save_tied,
    "load tied": load_tied,
    "train on many": train_on_many,
    "load bare": load_bare,
    "load stripped": lambda folder: load_bare(folder, "single.pth"),
    "load unwrapped": lambda folder: load_bare(folder, "unwrapped.pth"),
    "load parallel": load_parallel,
    "compare stripped": lambda folder: compare(folder, "expected.pth", "single.pth"),
    "compare unwrapped": lambda folder: compare(folder, "expected.pth", "unwrapped.pth"),
    "compare added": lambda folder: compare(folder, "parallel.pth", "again.pth"),
    "compare consumed": lambda folder: consumed(folder) or compare(folder, "consumed.pth", "single.pth"),
}
