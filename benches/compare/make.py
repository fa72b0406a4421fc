"""Writes the tensors of a safetensors file as PyTorch and NumPy write them.

usage: make.py IN.safetensors OUT.pth|OUT.npz
"""

import sys

import numpy as np
import torch
from safetensors.torch import load_file

source, out = sys.argv[1:]
state = load_file(source)
if out.endswith(".npz"):
    np.savez(out, **{key: tensor.numpy() for key, tensor in state.items()})
else:
    torch.save(state, out)
