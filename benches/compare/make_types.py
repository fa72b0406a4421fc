"""Writes the same numbers in 32 bits and in bfloat16.

usage: make_types.py GIB WIDE.safetensors NARROW.safetensors
"""

import sys

import torch
from safetensors.torch import save_file

gib, wide, narrow = sys.argv[1:]
layers = max(1, round(float(gib) * 2**30 / (4 * 4096 * 4096)))
state = {f"layers.{i}.weight": torch.empty(4096, 4096).normal_() for i in range(layers)}
save_file(state, wide)
save_file({key: tensor.bfloat16() for key, tensor in state.items()}, narrow)
