"""Ranks of tensor and pipeline parallelism as Megatron-LM wrote them before Megatron-Core: a model in
dicts within dicts.

`megatron.py save FOLDER` prints what was cut: a JSON object of paths with the SHA-256 of the elements.
"""

import hashlib
import json
import os
import sys
from argparse import Namespace

import torch

RANKS, STAGES = 2, 2

# Along which dimension each is cut; none for what every rank has.
EMBEDDING = {
    ("word_embeddings", "weight"): ((8, 4), 0),
    ("position_embeddings", "weight"): ((5, 4), None),
}
LAYER = {
    "input_layernorm.weight": ((4,), None),
    "self_attention.query_key_value.weight": ((12, 4), 0),
    "self_attention.query_key_value.bias": ((12,), 0),
    "self_attention.dense.weight": ((4, 4), 1),
    "self_attention.dense.bias": ((4,), None),
    "mlp.dense_h_to_4h.weight": ((16, 4), 0),
    "mlp.dense_4h_to_h.weight": ((4, 16), 1),
}
HEAD = {"dense.weight": ((4, 4), None), "bias": ((8,), 0)}


def model():
    """Paths with whole tensors, along which dimension they are cut, and in which stage they are."""
    torch.manual_seed(7)
    embedding = {("language_model", "embedding", *path): what for path, what in EMBEDDING.items()}
    for path, (shape, dim) in embedding.items():
        yield path, torch.randn(shape), dim, 0, path
    for layer in range(4):
        stage, local = divmod(layer, 2)
        for name, (shape, dim) in LAYER.items():
            at = ("language_model", "encoder")
            here = (*at, f"layers.{local}.{name}")
            yield (*at, f"layers.{layer}.{name}"), torch.randn(shape), dim, stage, here
    for name, (shape, dim) in HEAD.items():
        yield ("lm_head", name), torch.randn(shape), dim, 1, ("lm_head", name)


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def main(folder):
    states = {(rank, stage): {} for rank in range(RANKS) for stage in range(STAGES)}
    digests = {}
    for path, whole, dim, stage, here in model():
        digests["/".join(path)] = digest(whole)
        for rank in range(RANKS):
            share = whole if dim is None else whole.chunk(RANKS, dim)[rank].clone()
            place = states[rank, stage]
            for step in here[:-1]:
                place = place.setdefault(step, {})
            place[here[-1]] = share
    args = Namespace(tensor_model_parallel_size=RANKS, pipeline_model_parallel_size=STAGES)
    for (rank, stage), state in states.items():
        at = os.path.join(folder, "iter_0000100", f"mp_rank_{rank:02}_{stage:03}")
        os.makedirs(at)
        saved = {"args": args, "checkpoint_version": 3.0, "iteration": 100, "model": state}
        torch.save(saved, os.path.join(at, "model_optim_rng.pt"))
    with open(os.path.join(folder, "latest_checkpointed_iteration.txt"), "w") as latest:
        latest.write("100")
    print(json.dumps(digests))


main(sys.argv[2])
