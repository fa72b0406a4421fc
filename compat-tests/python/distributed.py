"""A distributed checkpoint that PyTorch saves, or loads after it was renamed.

`distributed.py save FOLDER` prints what was saved; `distributed.py load FOLDER` what is loaded: a JSON
object of names with the SHA-256 of their elements.
"""

import hashlib
import json
import sys

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save


def digest(tensor):
    raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()


def model():
    torch.manual_seed(7)
    return {
        "layers.0.weight": torch.randn(6, 4),
        "layers.0.bias": torch.randn(6).to(torch.bfloat16),
        "layers.1.weight": torch.randn(4, 6).T,
        "steps": torch.tensor(3),
        "empty": torch.zeros(0, 5),
    }


def main(action, folder):
    if action == "save":
        tensors = model()
        optim = {"state": {name: {"step": torch.tensor(2.0)} for name in tensors}}
        dcp.save({"model": tensors, "optim": optim, "epoch": 5}, checkpoint_id=folder)
    else:
        dcp_to_torch_save(folder, folder + ".pt")
        tensors = torch.load(folder + ".pt", weights_only=False)["model"]
    print(json.dumps({name: digest(tensor) for name, tensor in tensors.items()}))


main(*sys.argv[1:])
