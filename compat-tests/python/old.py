"""What an old PyTorch reads from files: their names on standard input, a line of JSON for each out.

Runs under whatever Python has that PyTorch, so it uses nothing else.
"""

import hashlib
import json
import sys

import torch


def walk(value, at, rows):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, child in items:
        if isinstance(child, torch.Tensor):
            rows.append([at, str(key), list(child.shape), digest(child)])
        else:
            walk(child, f"{at}/{key}" if at else str(key), rows)
    return rows


def digest(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    raw = bytes(flat.view(torch.uint8).tolist()) if flat.numel() else b""
    return hashlib.sha256(raw).hexdigest()


def read(path):
    try:
        return {"rows": walk(torch.load(path, map_location="cpu"), "", [])}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}


print(json.dumps({"version": torch.__version__}))
for line in sys.stdin:
    print(json.dumps(read(line.rstrip("\n"))), flush=True)
