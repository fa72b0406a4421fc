"""PyTorch loads a distributed checkpoint that the command wrote, alone and on several ranks.

`load_dcp.py make FILE` saves tensors of many types with `torch.save`; `load_dcp.py load FILE FOLDER...`
holds what is loaded of the folders against them and prints a JSON list of what was compared: the folder,
the number of ranks, how the targets were spread over them, and the number of tensors.
"""

import json
import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard


def raw(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def compare(found, wanted, what):
    for name, tensor in wanted.items():
        other = found[name]
        assert other.dtype == tensor.dtype and other.shape == tensor.shape, (what, name)
        assert torch.equal(raw(other), raw(tensor)), (what, name)
    return len(wanted)


def alone(folder, wanted):
    target = {name: torch.zeros(t.shape).to(t.dtype) for name, t in wanted.items()}
    dcp.load(target, checkpoint_id=folder, no_dist=True)
    count = compare(target, wanted, folder)
    with tempfile.TemporaryDirectory() as root:
        dcp_to_torch_save(folder, root + "/all.pt")
        converted = torch.load(root + "/all.pt", weights_only=True)
    assert set(converted) == set(wanted), set(converted) ^ set(wanted)
    compare(converted, wanted, "converted")
    return [[folder, 1, "alone", count]]


def part(tensor, placement):
    """What this rank has of a tensor; collectives, which do not know all types, are not asked."""
    if isinstance(placement, Replicate):
        return tensor
    parts = tensor.chunk(dist.get_world_size(), placement.dim)
    if dist.get_rank() < len(parts):
        return parts[dist.get_rank()]
    return tensor.narrow(placement.dim, tensor.shape[placement.dim], 0)


def spread(mesh, folder, wanted, wanted_placement):
    target, local = {}, {}
    for name, tensor in wanted.items():
        is_too_flat = isinstance(wanted_placement, Shard) and tensor.dim() <= wanted_placement.dim
        placement = Replicate() if is_too_flat else wanted_placement
        local[name] = part(tensor, placement)
        zeros = torch.zeros(local[name].shape).to(tensor.dtype)
        whole = torch.empty(tensor.shape, device="meta")
        target[name] = DTensor.from_local(
            zeros, mesh, [placement], run_check=False, shape=whole.shape, stride=whole.stride()
        )
    dcp.load(target, checkpoint_id=folder)
    found = {name: tensor.to_local() for name, tensor in target.items()}
    how = str(wanted_placement)
    return [folder, dist.get_world_size(), how, compare(found, local, how)]


def sharded_model(mesh, folder, wanted):
    """A model of FSDP2, whose layers are named as in the checkpoint."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 7), torch.nn.Linear(7, 3))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    target = get_model_state_dict(model)
    dcp.load(target, checkpoint_id=folder)
    found = {name: tensor.full_tensor() for name, tensor in target.items()}
    wanted = {name: wanted[name] for name in target}
    return [folder, dist.get_world_size(), "fully_shard", compare(found, wanted, "fully_shard")]


def rank(number, world, store, source, folders, answer):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=number, world_size=world)
    torch.set_num_threads(1)
    wanted = torch.load(source, weights_only=True)
    mesh = init_device_mesh("cpu", (world,))
    lines = []
    for folder in folders:
        lines += [spread(mesh, folder, wanted, it) for it in (Shard(0), Shard(1), Replicate())]
        lines.append(sharded_model(mesh, folder, wanted))
    if number == 0:
        with open(answer, "w") as out:
            json.dump(lines, out)
    dist.destroy_process_group()


def make(file):
    torch.manual_seed(1)
    weights = {"0.weight": (7, 4), "0.bias": (7,), "1.weight": (3, 7), "1.bias": (3,)}
    tensors = {name: torch.randn(shape) for name, shape in weights.items()}
    for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2):
        tensors[f"as.{dtype}"] = torch.randn(5, 3).to(dtype)
    for dtype in (torch.complex64, torch.complex128, torch.float64):
        tensors[f"as.{dtype}"] = torch.randn(2, 3, 2, dtype=dtype).permute(2, 0, 1)
    for dtype in (torch.int64, torch.int8, torch.uint8, torch.uint16, torch.bool):
        tensors[f"as.{dtype}"] = torch.tensor([[1, 0], [1, 1], [0, 1]]).to(dtype)
    tensors |= {"0-d": torch.tensor(3), "0-d float": torch.tensor(2.5), "empty": torch.zeros(0, 5)}
    tensors |= {"non-ascii.\u00fc": torch.randn(2), "tied": tensors["0.weight"]}
    torch.save(tensors, file)


def main(action, source, *folders):
    if action == "make":
        return make(source)
    wanted = torch.load(source, weights_only=True)
    lines = [line for folder in folders for line in alone(folder, wanted)]
    for world in (2, 4):
        with tempfile.TemporaryDirectory() as root:
            args = (world, root + "/store", source, folders, root + "/answer")
            mp.start_processes(rank, args, nprocs=world, start_method="fork")
            with open(root + "/answer") as answer:
                lines += json.load(answer)
    print(json.dumps(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
