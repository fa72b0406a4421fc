"""A trained network's tensors are to start another one off: other names, a head of another size."""

import collections

import safetensors.torch
import torch
from torch import nn


def network(classes, depth=3, width=16):
    """The network as it is now."""
    block = lambda: nn.Sequential(nn.Conv2d(width, width, 3), nn.BatchNorm2d(width))
    parts = [("conv", nn.Conv2d(3, width, 3)), ("bn", nn.BatchNorm2d(width))]
    parts += [("layers", nn.Sequential(*[block() for _ in range(depth)]))]
    return nn.Sequential(collections.OrderedDict(parts + [("myFc", nn.Linear(width, classes))]))


def trained(depth=3):
    """What was saved of the network as it was: under nn.DataParallel, with names of its own."""
    own = network(1000, depth).state_dict()
    name = lambda key: key.replace("layers", "module.blocks").replace("conv", "module.stem")
    saved = collections.OrderedDict((name(key), torch.randn(value.shape).to(value.dtype)) for key, value in own.items())
    saved._metadata = {name(key): value for key, value in own._metadata.items()}
    return saved


def my_own_load(net, saved):
    """The classic snippet: copies by position all but the last two, and draws a new head."""
    own = net.state_dict()
    for (key, _), (_, value) in list(zip(own.items(), saved.items()))[:-2]:
        own[key] = value
    own["myFc.weight"] = torch.empty(200, 16).normal_(0, 0.02)
    own["myFc.bias"] = torch.zeros(200)
    net.load_state_dict(own)
    return net


def answer(request):
    return CHAPTERS[request["chapter"]](request["folder"])


def save(folder):
    """Saves the trained network, its sister with more layers, and what they are to fit into."""
    torch.manual_seed(3)
    saved = trained()
    torch.save(saved, f"{folder}/trained.pth")
    torch.save({"epoch": 3, "state_dict": saved}, f"{folder}/trainer.pth")
    torch.save(trained(depth=5), f"{folder}/sister.pth")
    old = collections.OrderedDict((key, value) for key, value in saved.items() if "num_batches" not in key)
    torch.save(old, f"{folder}/old.pth")
    half = collections.OrderedDict((key, value.half() if value.is_floating_point() else value) for key, value in saved.items())
    torch.save(half, f"{folder}/half.pth")
    torch.save(network(200).state_dict(), f"{folder}/model.pth")
    torch.save(network(1000).state_dict(), f"{folder}/same.pth")
    torch.save(my_own_load(network(200), saved).state_dict(), f"{folder}/snippet.pth")


def judge(folder):
    """How `out.pth` differs from what the snippet makes; of the head, mean and deviation."""
    out, snippet = (torch.load(f"{folder}/{name}", weights_only=True) for name in ("out.pth", "snippet.pth"))
    net = network(200)
    net.load_state_dict(out, strict=True)
    if list(out) != list(snippet):
        return "other keys, or in another order"
    for key, value in snippet.items():
        if out[key].dtype != value.dtype or out[key].shape != value.shape:
            return f"{key}: {out[key].dtype} {out[key].shape}"
        if not key.startswith("myFc") and not torch.equal(out[key], value):
            return f"{key} has other elements"
    weight = net.myFc.weight
    return {"mean": weight.mean().item(), "deviation": weight.std().item(), "bias": net.myFc.bias.abs().max().item()}


def load(folder, classes=1000, depth=3):
    """Loads `out.pth` strictly; gives the complaint, or None."""
    return complaint(network(classes, depth), torch.load(f"{folder}/out.pth", weights_only=True))


def load_safetensors(folder):
    return complaint(network(200), safetensors.torch.load_file(f"{folder}/out.safetensors"))


def load_versions(folder):
    """Loads `out.pth`, which must have the versions of modules that the network itself saves."""
    out = torch.load(f"{folder}/out.pth", weights_only=True)
    own = network(1000).state_dict()._metadata
    if getattr(out, "_metadata", None) != own:
        return f"{getattr(out, '_metadata', None)}\nexpected {own}"
    return complaint(network(1000), out)


def complaint(net, values):
    try:
        net.load_state_dict(values, strict=True)
    except RuntimeError as error:
        return str(error)


CHAPTERS = {
    "save": save,
    "judge": judge,
    "load": lambda folder: load(folder, classes=200),
    "load same": load_versions,
    "load sister": lambda folder: load(folder, depth=5),
    "load safetensors": load_safetensors,
}
