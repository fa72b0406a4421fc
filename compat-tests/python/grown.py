"""Models that grew or were renamed: tied rows, channels, parametrizations, averages without dots."""

import collections
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")


class Tied(nn.Module):
    """An embedding that is the head too, and a convolution."""

    def __init__(self, words, channels):
        super().__init__()
        self.embed = nn.Embedding(words, 4)
        self.conv_in = nn.Conv2d(channels, 3, 3)
        self.head = nn.Linear(4, words, bias=False)
        self.head.weight = self.embed.weight


def normed(new):
    """Layers whose weights are normed, by the old functions or by parametrizations."""
    torch.manual_seed(0)
    weight_norm = nn.utils.parametrizations.weight_norm if new else nn.utils.weight_norm
    spectral_norm = nn.utils.parametrizations.spectral_norm if new else nn.utils.spectral_norm
    parts = [weight_norm(nn.Conv1d(4, 6, 3)), weight_norm(nn.Linear(5, 5)), spectral_norm(nn.Linear(5, 5))]
    return nn.Sequential(*parts, weight_norm(nn.Linear(5, 5)))


def blocks():
    """A model whose names have dots and numbers."""
    block = lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    inner = nn.ModuleDict({"input_blocks": nn.ModuleList([block() for _ in range(3)]), "out": block()})
    return nn.ModuleDict({"diffusion_model": inner})


def answer(request):
    return CHAPTERS[request["chapter"]](request["folder"])


def save(folder):
    """Saves each model as it was, and as it is now."""
    torch.manual_seed(5)
    for name, words, channels in [("small", 6, 4), ("large", 9, 9), ("little", 5, 1)]:
        torch.save(Tied(words, channels).state_dict(), f"{folder}/{name}.pth")
    for name, new in [("old", False), ("new", True)]:
        torch.save(normed(new).state_dict(), f"{folder}/{name}.pth")
    model = blocks()
    # As LitEma keeps them: module names hold no dots.
    average = {"model_ema.decay": torch.tensor(0.99)}
    for key, value in model.named_parameters():
        average["model_ema." + key.replace(".", "")] = torch.randn_like(value)
    torch.save(average, f"{folder}/average.pth")
    torch.save(model.state_dict(), f"{folder}/blocks.pth")


def load(folder, name):
    return torch.load(f"{folder}/{name}.pth", weights_only=True)


def resized(folder, name, words, channels):
    """What is not as it was, of a tied model that was resized to another."""
    old, new = load(folder, "small"), load(folder, name)
    model = Tied(words, channels)
    model.load_state_dict(new)
    rows, kept = min(6, words), min(4, channels)
    right = {
        "tied": new["embed.weight"].data_ptr() == new["head.weight"].data_ptr(),
        "rows": torch.equal(new["embed.weight"][:rows], old["embed.weight"][:rows]),
        "new rows": not new["embed.weight"][rows:].any(),
        "channels": torch.equal(new["conv_in.weight"][:, :kept], old["conv_in.weight"][:, :kept]),
        "new channels": not new["conv_in.weight"][:, kept:].any(),
    }
    return [what for what, is_so in right.items() if not is_so]


def judge(folder):
    """What is wrong with the files that were made."""
    wrong = resized(folder, "grown", 9, 9) + resized(folder, "shrunk", 5, 1)
    for name, source, new in [("renewed", "old", True), ("aged", "new", False)]:
        one, other = normed(new), normed(not new)
        one.load_state_dict(load(folder, name))
        other.load_state_dict(load(folder, source))
        one.eval(), other.eval()
        given = torch.randn(2, 4, 7)
        if not torch.allclose(one(given), other(given), atol=1e-6):
            wrong.append(name)
    model, average = blocks(), load(folder, "average")
    model.load_state_dict(load(folder, "averaged"))
    names = {key: "model_ema." + key.replace(".", "") for key in model.state_dict()}
    wrong += [key for key, value in model.state_dict().items() if not torch.equal(value, average[names[key]])]
    return wrong


CHAPTERS = {"save": save, "judge": judge}
