"""What is calculated and filled in, as PyTorch itself does it."""

import json
import warnings

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrize

warnings.simplefilter("ignore")


def answer(request):
    return CHAPTERS[request["chapter"]](request["folder"])


def scales(rows, columns, dtype):
    return (torch.rand(rows, columns) * 0.01 + 1e-4).to(dtype)


def save(folder):
    """Saves models before and, by PyTorch's own means, after."""
    torch.manual_seed(3)
    before, after = {}, {}
    for name, rows, columns, dtype in [
        ("q.weight", 256, 384, torch.float8_e4m3fn),
        ("kv.weight", 300, 200, torch.float8_e4m3fn),
        ("o.weight", 128, 130, torch.float8_e5m2),
    ]:
        weight = (torch.randn(rows, columns) * 50).to(dtype)
        scale = scales(-(-rows // 128), -(-columns // 128), torch.float32)
        before[name], before[f"{name}_scale_inv"] = weight, scale
        after[name] = by_blocks(weight, scale, 128).to(torch.bfloat16)
    for name, dtype in [("rows.weight", torch.int8), ("one.weight", torch.float8_e4m3fn)]:
        weight = torch.randint(-127, 128, (24, 40)).to(dtype)
        scale = torch.rand(24, 1) * 0.01 if dtype == torch.int8 else torch.tensor(0.0123)
        before[name], before[f"{name}_scale"] = weight, scale
        after[name] = (weight.float() * scale).to(torch.bfloat16)
    before["norm.weight"] = after["norm.weight"] = torch.randn(200).to(torch.bfloat16)
    save_file(before, f"{folder}/quantized.safetensors")
    save_file(after, f"{folder}/numbers.safetensors")
    with open(f"{folder}/config.json", "w") as config:
        json.dump({"quantization_config": {"weight_block_size": [128, 128]}}, config)
    for name, weight_norm in [
        ("old", nn.utils.weight_norm),
        ("new", nn.utils.parametrizations.weight_norm),
    ]:
        model = normed(weight_norm)
        torch.save(model.state_dict(), f"{folder}/normed-{name}.pth")
        for module in model[:3]:
            if name == "old":
                nn.utils.remove_weight_norm(module)
            else:
                parametrize.remove_parametrizations(module, "weight")
        torch.save(model.state_dict(), f"{folder}/folded-{name}.pth")
    # Gemma keeps its norms as what is added to 1.
    gemma = {f"layers.{i}.norm.weight": torch.randn(64).mul(0.1) for i in range(2)}
    gemma["layers.0.half.weight"] = torch.randn(64).mul(0.1).to(torch.bfloat16)
    gemma["embed.weight"] = torch.randn(4, 8)
    save_file(gemma, f"{folder}/gemma.safetensors")
    moved = {key: value if "embed" in key else value + 1 for key, value in gemma.items()}
    moved["embed.weight"] = gemma["embed.weight"] * 8**0.5
    save_file(moved, f"{folder}/moved.safetensors")
    attention = {f"h.{i}.k.weight": torch.randn(6, 4).half() for i in range(2)}
    torch.save(attention, f"{folder}/attention.pth")
    filled = dict(attention)
    for i in range(2):
        filled[f"h.{i}.k.bias"] = torch.zeros(6).half()
        filled[f"h.{i}.mask"] = torch.tril(torch.ones(5, 5)).view(1, 1, 5, 5).bool()
        filled[f"h.{i}.low"] = torch.tensor(-1e4).half()
    filled["position_ids"] = torch.arange(7).expand(1, -1).contiguous()
    filled["steps"] = torch.arange(300).float().expand(2, -1).contiguous()
    torch.save(filled, f"{folder}/filled.pth")


def by_blocks(weight, scale, block):
    """As DeepSeek's weight_dequant does it: in 32 bits."""
    out = weight.float()
    for row in range(0, weight.shape[0], block):
        for column in range(0, weight.shape[1], block):
            part = scale[row // block, column // block]
            out[row : row + block, column : column + block] *= part
    return out


def normed(weight_norm):
    torch.manual_seed(9)
    model = nn.Sequential(
        weight_norm(nn.Conv1d(8, 16, 3)),
        weight_norm(nn.Linear(16, 4), dim=1),
        weight_norm(nn.ConvTranspose1d(4, 6, 2), dim=None),
        nn.Linear(4, 4),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def load(path):
    if path.endswith(".safetensors"):
        return load_file(path)
    return torch.load(path, weights_only=True)


# The largest relative difference from PyTorch's weight norms, which are summed up in 32 bits.
BOUND = 1e-6


def judge(folder):
    """What is not as PyTorch has it."""
    wrong = []
    for made, expected, bound in [
        ("dequantised.safetensors", "numbers.safetensors", 0),
        ("without-old.pth", "folded-old.pth", BOUND),
        ("without-new.pth", "folded-new.pth", BOUND),
        ("plus.safetensors", "moved.safetensors", 0),
        ("with.pth", "filled.pth", 0),
        ("taken.pth", "attention.pth", 0),
    ]:
        made, expected = load(f"{folder}/{made}"), load(f"{folder}/{expected}")
        if set(made) != set(expected):
            wrong.append(sorted(set(made) ^ set(expected)))
            continue
        for key, tensor in expected.items():
            ours = made[key]
            if ours.dtype != tensor.dtype or ours.shape != tensor.shape:
                wrong.append([key, str(ours.dtype), list(ours.shape)])
            elif bound == 0 and not torch.equal(ours, tensor):
                wrong.append([key, (ours.float() - tensor.float()).abs().max().item()])
            elif bound and not torch.allclose(ours, tensor, rtol=bound, atol=0):
                wrong.append([key, ((ours - tensor).abs() / tensor.abs()).max().item()])
    return wrong


CHAPTERS = {"save": save, "judge": judge}
