"""Writes the folders that trainers write, of random numbers, as PyTorch and DeepSpeed write them.

usage: make_folder.py dcp|hub|zero3 OUT GIB

dcp    four ranks, each with some rows of every tensor, by torch.distributed.checkpoint
hub    the same, by its writer for the hub: pieces of a safetensors
zero3  ZeRO stage 3: the 32-bit numbers of four ranks, each a part of every tensor, without Adam's moments
"""

import os
import sys
from collections import OrderedDict
from pathlib import Path

import torch

RANKS, WIDTH, WORDS = 4, 2048, 32000

Shapes = dict[str, tuple[int, ...]]


def shapes(gib: float) -> Shapes:
    """The tensors of a language model that has so many bytes of 32-bit numbers."""
    named: Shapes = {"model.embed_tokens.weight": (WORDS, WIDTH), "lm_head.weight": (WORDS, WIDTH)}
    layer = {
        "self_attn.qkv_proj": (3 * WIDTH, WIDTH),
        "self_attn.o_proj": (WIDTH, WIDTH),
        "mlp.up_proj": (2 * WIDTH, WIDTH),
        "mlp.down_proj": (WIDTH, 2 * WIDTH),
        "norm": (WIDTH,),
    }
    left = gib * 2**30 / 4 - 2 * WORDS * WIDTH
    each = sum(torch.Size(shape).numel() for shape in layer.values())
    for i in range(max(1, round(left / each))):
        named |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    return named


def numbers(count: int) -> torch.Tensor:
    return torch.empty(count).normal_()


def save_rank(rank: int, kind: str, out: str, gib: float) -> None:
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, zeros

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29537", "RANK": str(rank), "WORLD_SIZE": str(RANKS)}
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (RANKS,))
    state = {key: zeros(*shape, device_mesh=mesh, placements=[Shard(0)]) for key, shape in shapes(gib).items()}
    for tensor in state.values():
        tensor.to_local().normal_()
    if kind == "hub":
        from torch.distributed.checkpoint import HuggingFaceStorageWriter

        dcp.save(state, storage_writer=HuggingFaceStorageWriter(out, save_distributed=True))
    else:
        dcp.save({"model": state}, checkpoint_id=out)
    dist.destroy_process_group()


def save_zero(out: Path, gib: float) -> None:
    named = shapes(gib)
    config = {"zero_optimization": {"stage": 3}}
    said = {
        "buffer_names": [],
        "param_shapes": [OrderedDict((key, torch.Size(shape)) for key, shape in named.items())],
        "frozen_param_shapes": OrderedDict(),
        "frozen_param_fragments": OrderedDict(),
        "shared_params": {},
        "ds_config": config,
        "ds_version": "0.19.8",
        "dp_world_size": RANKS,
        "mp_world_size": 1,
        "module": OrderedDict((key, torch.empty(0, dtype=torch.bfloat16)) for key in named),
    }
    folder = out / "global_step1"
    folder.mkdir(parents=True)
    (out / "latest").write_text("global_step1")
    # Every rank has as much of each tensor; the last is filled up.
    count = sum(-(-torch.Size(shape).numel() // RANKS) for shape in named.values())
    for rank in range(RANKS):
        torch.save(said, folder / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
        optimizer = {
            "zero_stage": 3,
            "partition_count": RANKS,
            "optimizer_state_dict": {"state": {}, "param_groups": []},
            "fp32_flat_groups": [numbers(count)],
        }
        states = {"optimizer_state_dict": optimizer, "ds_config": config, "ds_version": "0.19.8"}
        torch.save(states, folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")


if __name__ == "__main__":
    kind, out, gib = sys.argv[1:]
    if kind == "zero3":
        save_zero(Path(out), float(gib))
    else:
        torch.multiprocessing.spawn(save_rank, args=(kind, out, float(gib)), nprocs=RANKS)
