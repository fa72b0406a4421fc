"""Trains with DeepSpeed's tensor parallelism and saves, for `fixtures/folders`.

    python tensor_parallel.py ../fixtures/folders [NAME...]

Run by hand, in an environment with deepspeed, transformers and torch (0.19.8, 5.x and 2.15 wrote what is
there); four processes on the CPU, two of them ranks of tensor parallelism.  The truth, which goes to
`truth.jsonl`, is what DeepSpeed's own converter makes of a save, or the layers themselves gather.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import socket
import sys
import tempfile

os.environ.update(CUDA_VISIBLE_DEVICES="", DS_ACCELERATOR="cpu", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")

import torch
import torch.multiprocessing

WORLD = 4
TAG = "global_step2"
MOMENTS = ("exp_avg", "exp_avg_sq")
DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}

# Name: the stage of ZeRO, whether there are biases, and whether the head is the embedding.
SAVES = {
    "zero0-tp2": (0, False, True),
    "zero1-tp2": (1, True, True),
    "zero3-tp2": (3, True, True),
}


def row(at, key, tensor):
    tensor = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(tensor.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
    return {"at": at, "key": key, "dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "sha256": digest}


def model(has_biases, is_tied):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=21, hidden_size=16, intermediate_size=12, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, attention_bias=has_biases, mlp_bias=has_biases, tie_word_embeddings=is_tied)
    return LlamaForCausalLM(config)


def gathered(module):
    """The model's parameters, whole, by the names that come first."""
    from deepspeed.module_inject.layers import GatherReplacedLayerParams

    rows, seen = [], set()
    for path, layer in module.named_modules():
        parameters = list(layer.named_parameters(recurse=False))
        if not parameters:
            continue
        with GatherReplacedLayerParams([it for _, it in parameters], layer):
            for name, parameter in parameters:
                if id(parameter) not in seen:
                    rows.append(row("", f"{path}.{name}", parameter))
                    seen.add(id(parameter))
    return rows


def converted(folder):
    """What DeepSpeed's converter makes of a save."""
    from deepspeed.checkpoint import ds_to_universal

    rows = []
    with tempfile.TemporaryDirectory() as out:
        ds_to_universal.main(argparse.Namespace(
            input_folder=str(folder), output_folder=out, num_extract_workers=1, num_merge_workers=1,
            keep_temp_folder=False, strict=True, inject_missing_state=False))
        for path in sorted(pathlib.Path(out, "zero").iterdir()):
            for name in ("fp32", *MOMENTS):
                file = path / f"{name}.pt"
                # Without moments it is no parameter, but a name of one.
                if path.is_dir() and (path / "exp_avg.pt").exists() and file.exists():
                    tensor = torch.load(file, weights_only=False)["param"]
                    place = ("", path.name) if name == "fp32" else (f"optimizer/{path.name}", name)
                    rows.append(row(*place, tensor))
    return rows


def train(root, name):
    import deepspeed

    stage, has_biases, is_tied = SAVES[name]
    parallel = {"autotp_size": 2}
    if is_tied and stage < 3:
        # Embedding and head are then one tensor, which is cut.
        parallel["vocab_parallel_lm_head"] = True
    config = {
        "train_micro_batch_size_per_gpu": 1,
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-2, "torch_adam": True}},
        "zero_optimization": {"stage": stage},
        "tensor_parallel": parallel,
        "bf16": {"enabled": stage > 0},
    }
    net = model(has_biases, is_tied)
    engine, *_ = deepspeed.initialize(model=net, model_parameters=net.parameters(), config=config)
    from deepspeed.utils import groups

    for step in range(2):
        torch.manual_seed(100 * step + groups.get_data_parallel_rank())
        words = torch.randint(0, 21, (1, 9))
        engine.backward(engine(input_ids=words, labels=words).loss)
        engine.step()
    folder = pathlib.Path(root, name)
    engine.save_checkpoint(str(folder), tag=TAG)
    whole = gathered(engine.module) if stage == 0 else None
    torch.distributed.barrier()
    if torch.distributed.get_rank() == 0:
        for script in folder.glob("zero_to_*.py"):
            script.unlink()
        line = {"file": name, "tensors": whole or converted(folder / TAG)}
        (folder.parent / f"{name}.json").write_text(json.dumps(line) + "\n")
    torch.distributed.barrier()


def run(rank, root, port, names):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD), MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=str(port))
    import deepspeed.ops

    # Not worth a compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("gloo")
    for name in names:
        train(root, name)


def main(folder, *names):
    names = names or tuple(SAVES)
    truth = pathlib.Path(folder, "truth.jsonl")
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    for name in names:
        shutil.rmtree(pathlib.Path(folder, name), ignore_errors=True)
    torch.multiprocessing.spawn(run, (folder, port, names), nprocs=WORLD)
    lines = [line for line in truth.read_text().splitlines() if json.loads(line)["file"] not in names]
    for name in names:
        line = pathlib.Path(folder, f"{name}.json")
        lines.append(line.read_text().strip())
        line.unlink()
    truth.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
