"""Writes the honest files of trainers in `fixtures/trainers`, and a manifest that says what each is.

    python trainers.py ../fixtures/trainers

Run by hand, in an environment with the libraries of `LIBRARIES`; a library that is missing is
said, and its files are left as they are.  The versions are in the manifest.  What needs a library
too large to be here (ultralytics, fairseq, deepspeed …) is written from classes of the same names
that hold the same things, and says `-like`.

Kinds in the manifest: `admitted` is what weights-only loading loads; `inert` what it refuses, and
which does nothing; `unknown` what it refuses since it does not know a class; `scripted` TorchScript,
which it never loads.
"""

import argparse
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import functools
import importlib
import importlib.metadata
import io
import os
import pathlib
import pickle
import random
import shutil
import sys
import tempfile
import types
import unittest.mock
import uuid
import warnings

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_DISABLED"] = "true"
warnings.filterwarnings("ignore")

import numpy as np
import torch
from torch import nn

LIBRARIES = "torch numpy lightning transformers accelerate mmengine-lite omegaconf peft torchao".split()
LARGEST = 100_000


def invented(path, base=object, **members):
    """A class that says it is in a module which is not here."""
    module, name = path.rsplit(".", 1)
    for end in range(1, len(module.split(".")) + 1):
        part = ".".join(module.split(".")[:end])
        sys.modules.setdefault(part, types.ModuleType(part))
    made = type(name, (base,), {"__module__": module, **members})
    setattr(sys.modules[module], name, made)
    return made


def filled(path, **state):
    thing = invented(path)()
    thing.__dict__.update(state)
    return thing


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def trained():
    """A net with an optimizer that has made a step."""
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    model(torch.randn(8, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    return model, optimizer, scheduler


def checkpoint(**more):
    model, optimizer, scheduler = trained()
    state = {"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    return state | more


FILES = {}


def file(name, kind, library, what):
    """Registers a function that gives what `torch.save` writes, or the bytes of the file."""
    def register(make):
        assert name not in FILES, name
        FILES[name] = (kind, library, what, make)
        return make
    return register


def several(library):
    """Registers a function that gives many files: name -> (kind, what, content)."""
    def register(make):
        FILES[f"({make.__name__})"] = (None, library, None, make)
        return make
    return register


@contextlib.contextmanager
def fixed_folder(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    yield path
    shutil.rmtree(path)


# Lightning

def lightning_checkpoint(hyperparameters=None, **extras):
    import lightning
    import logging
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Net(lightning.LightningModule):
        def __init__(self, hyper=None):
            super().__init__()
            if hyper is not None:
                self.save_hyperparameters(hyper)
            self.net = net()

        def training_step(self, batch, number):
            return self.net(batch[0]).sum()

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)]

        def on_save_checkpoint(self, checkpoint):
            checkpoint.update(extras)

    # The callback's state has its folder in it.
    with fixed_folder("/tmp/checkpoints") as folder:
        saver = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=folder, filename="best", save_last=True)
        early = lightning.pytorch.callbacks.EarlyStopping("loss", strict=False, check_on_train_epoch_end=True)
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 3)), 4)
        trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", logger=False, callbacks=[saver, early],
                                    enable_progress_bar=False, enable_model_summary=False)
        trainer.fit(Net(hyperparameters), data)
        return pathlib.Path(folder, "best.ckpt").read_bytes()


file("lightning.ckpt", "admitted", "lightning", "Trainer with ModelCheckpoint and EarlyStopping")(lambda: lightning_checkpoint())
file("lightning-hyper.ckpt", "admitted", "lightning", "save_hyperparameters of a dict")(
    lambda: lightning_checkpoint({"lr": 0.1, "layers": [1, 2], "name": "net"}))
file("lightning-namespace.ckpt", "admitted", "lightning", "save_hyperparameters of an argparse.Namespace, which becomes a dict")(
    lambda: lightning_checkpoint(argparse.Namespace(lr=0.1, steps=10)))


@file("lightning-omegaconf.ckpt", "unknown", "lightning", "save_hyperparameters of an omegaconf.DictConfig")
def lightning_omegaconf():
    from omegaconf import OmegaConf
    return lightning_checkpoint(OmegaConf.create({"model": {"width": 4}, "lr": 0.1}))


@file("lightning-1.ckpt", "unknown", "lightning-like", "Lightning 1.x keys a callback's state by its class")
def lightning_1():
    saver = invented("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")
    hyper = invented("pytorch_lightning.utilities.parsing.AttributeDict", dict)
    callbacks = {saver: {"best_model_score": torch.tensor(0.5), "best_model_path": "/c/best.ckpt"}}
    return checkpoint(callbacks=callbacks, hyper_parameters=hyper(lr=0.1), **{"pytorch-lightning_version": "1.2.3"})


# transformers

@several("transformers")
def transformers_trainer():
    import transformers
    transformers.logging.set_verbosity_error()
    config = transformers.BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=8, max_position_embeddings=8)
    torch.manual_seed(1)
    model = transformers.BertForSequenceClassification(config)
    rows = [{"input_ids": [1, 2, 3], "attention_mask": [1, 1, 1], "labels": 0}] * 4
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(output_dir="out", max_steps=1, save_steps=1, report_to=[], use_cpu=True,
                                                   per_device_train_batch_size=2, disable_tqdm=True)
        here = os.getcwd()
        os.chdir(folder)
        try:
            transformers.Trainer(model, arguments, train_dataset=rows).train()
        finally:
            os.chdir(here)
        saved = pathlib.Path(folder, "out", "checkpoint-1")
        read = lambda name: (saved / name).read_bytes()
        yield "transformers/training_args.bin", "unknown", "TrainingArguments", read("training_args.bin")
        yield "transformers/optimizer.pt", "admitted", "AdamW of Trainer", read("optimizer.pt")
        yield "transformers/scheduler.pt", "admitted", "scheduler of Trainer", read("scheduler.pt")
        yield "transformers/rng_state.pth", "inert", "random states of Python, NumPy and PyTorch", read("rng_state.pth")
        yield "transformers/model.safetensors", "admitted", "save_pretrained", read("model.safetensors")
    yield "transformers/pytorch_model.bin", "admitted", "state dict of BERT", model.state_dict()
    yield "transformers/model.pt", "unknown", "BERT with its classes and configuration", model
    yield "transformers/config.pt", "unknown", "a BertConfig", {"config": config, "epoch": 1}


@several("accelerate")
def accelerate_state():
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True)
    model, optimizer, scheduler = trained()
    accelerator.prepare(model, optimizer, scheduler)
    with tempfile.TemporaryDirectory() as folder:
        accelerator.save_state(folder, safe_serialization=False)
        for name, kind, what in [
            ("pytorch_model.bin", "admitted", "model"), ("optimizer.bin", "admitted", "optimizer"),
            ("scheduler.bin", "admitted", "scheduler"), ("random_states_0.pkl", "inert", "random states"),
        ]:
            yield f"accelerate/{name}", kind, f"save_state: {what}", pathlib.Path(folder, name).read_bytes()


# mmengine

@file("mmengine.pth", "unknown", "mmengine-lite", "Runner with CheckpointHook: message_hub holds HistoryBuffers")
def mmengine_runner():
    from mmengine.hooks import CheckpointHook  # noqa: F401, registers what the runner needs
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Net(BaseModel):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, inputs, mode="tensor"):
            return {"loss": self.net(inputs).sum()}

    with fixed_folder("/tmp/work_dirs") as folder:
        runner = Runner(Net(), folder, train_dataloader={"dataset": [{"inputs": row} for row in torch.randn(4, 3)], "batch_size": 2, "num_workers": 0,
                        "sampler": {"type": "DefaultSampler", "shuffle": False}, "collate_fn": {"type": "default_collate"}},
                        train_cfg={"by_epoch": True, "max_epochs": 1}, optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
                        log_level="ERROR", experiment_name="run")
        runner.train()
        return pathlib.Path(folder, "epoch_1.pth").read_bytes()


@file("mmengine-buffer.pth", "unknown", "mmengine-lite", "a HistoryBuffer in a message_hub")
def mmengine_buffer():
    from mmengine.logging import HistoryBuffer
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    return checkpoint(meta={"epoch": 1, "cfg": "model = dict()", "seed": 1}, message_hub={"log_scalars": {"train/loss": buffer}})


# Others that are here

@file("omegaconf.pt", "unknown", "omegaconf", "a configuration with lists and a missing value")
def omegaconf_file():
    from omegaconf import OmegaConf
    return checkpoint(cfg=OmegaConf.create({"a": [1, {"b": "???"}], "c": "${a}"}))


@file("omegaconf-plain.pt", "admitted", "omegaconf", "a configuration as plain containers")
def omegaconf_plain():
    from omegaconf import OmegaConf
    return checkpoint(cfg=OmegaConf.to_container(OmegaConf.create({"a": [1, {"b": 2}]})))


def lora():
    import peft
    import transformers
    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    torch.manual_seed(1)
    return peft.get_peft_model(transformers.GPT2LMHeadModel(config), peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))


@several("peft")
def peft_adapters():
    import peft
    model = lora()
    yield "peft/adapter_model.bin", "admitted", "LoRA adapter", peft.get_peft_model_state_dict(model)
    yield "peft/config.pt", "unknown", "adapter with its LoraConfig", {"config": model.peft_config["default"]}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        yield "peft/adapter_model.safetensors", "admitted", "save_pretrained", pathlib.Path(folder, "adapter_model.safetensors").read_bytes()


@file("torchao.pt", "unknown", "torchao", "a state dict of int8 weights, tensors of torchao's class")
def torchao_file():
    from torchao.quantization import Int8WeightOnlyConfig, quantize_
    model = nn.Sequential(nn.Linear(32, 32))
    quantize_(model, Int8WeightOnlyConfig())
    return model.state_dict()


# What the trainers of others write

file("timm-like.pth.tar", "inert", "timm-like", "args as argparse.Namespace, EMA, scaler")(lambda: checkpoint(
    arch="resnet18", args=argparse.Namespace(lr=0.05, opt="sgd", mean=(0.5, 0.5), amp=True), version=2, metric=71.5,
    state_dict_ema=net().state_dict(), amp_scaler={"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}))
file("whisper-like.pt", "admitted", "whisper-like", "dims and model_state_dict")(lambda: {
    "dims": {"n_mels": 80, "n_vocab": 51865}, "model_state_dict": {key: value.half() for key, value in net().state_dict().items()}})
file("nanogpt-like.pt", "admitted", "nanoGPT-like", "model_args and config beside the model")(lambda: checkpoint(
    model_args={"n_layer": 1, "bias": False, "dropout": 0.0}, iter_num=10, best_val_loss=torch.tensor(1.5), config={"device": "cuda", "compile": True}))
file("sentence-transformers-like.bin", "admitted", "sentence-transformers-like", "2_Dense/pytorch_model.bin")(
    lambda: collections.OrderedDict(**{"linear.weight": torch.randn(4, 3), "linear.bias": torch.zeros(4)}))


@file("ultralytics-like.pt", "unknown", "ultralytics-like", "the whole model in half precision, and train_args")
def ultralytics_like():
    for path in ["ultralytics.nn.modules.conv.Conv", "ultralytics.nn.modules.head.Detect"]:
        invented(path, nn.Module)
    from_module = sys.modules["ultralytics.nn.modules.conv"].Conv
    model = invented("ultralytics.nn.tasks.DetectionModel", nn.Module)()
    block = from_module()
    block.conv, block.bn, block.act = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU()
    head = sys.modules["ultralytics.nn.modules.head"].Detect()
    head.stride, head.anchors = torch.tensor([8.0]), torch.empty(0)
    model.model = nn.Sequential(block, head)
    model.names, model.yaml = {0: "person"}, {"nc": 1, "backbone": [[-1, 1, "Conv", [64, 3, 2]]]}
    return {"epoch": -1, "best_fitness": None, "model": model.half(), "ema": None, "updates": None, "optimizer": None,
            "train_args": {"task": "detect", "imgsz": 640}, "date": "2024-01-01T00:00:00", "version": "8.2.0"}


@file("yolov5-like.pt", "unknown", "yolov5-like", "the whole model of classes in models.yolo and models.common")
def yolov5_like():
    model = invented("models.yolo.Model", nn.Module)()
    model.model = nn.Sequential(invented("models.common.Conv", nn.Module)())
    model.stride, model.hyp = torch.tensor([8.0, 16.0]), {"lr0": 0.01}
    return {"epoch": 299, "best_fitness": np.array([0.5]), "model": model, "opt": {"batch": 16}, "git": {"commit": "abc"}, "date": "2024-01-01"}


file("fairseq-like.pt", "inert", "fairseq-like", "args as argparse.Namespace")(lambda: {
    "args": argparse.Namespace(arch="transformer", criterion="cross_entropy"), "cfg": None, "model": net().state_dict(),
    "optimizer_history": [{"criterion_name": "CrossEntropy", "num_updates": 100}], "extra_state": {"epoch": 1}, "last_optimizer_state": None})
file("fairseq-cfg-like.pt", "unknown", "fairseq-like", "a configuration of its own dataclasses and enums")(lambda: {
    "cfg": filled("fairseq.dataclass.configs.FairseqConfig", common=filled("fairseq.dataclass.configs.CommonConfig", seed=1)),
    "model": net().state_dict()})
file("detectron2-like.pth", "admitted", "detectron2-like", "model, iteration and trainer hooks")(lambda: {
    "model": net().state_dict(), "iteration": 89999, "trainer": {"iteration": 89999, "hooks": {"LRScheduler": {"last_epoch": 9}}}})
file("detectron2-like.pkl", "inert", "detectron2-like", "a plain pickle of NumPy arrays, as model zoos have them")(lambda: pickle.dumps(
    {"model": {"conv1.weight": np.ones((2, 3), np.float32)}, "__author__": "torchvision", "matching_heuristics": True}, protocol=2))


@file("yacs-like.pth", "unknown", "yacs-like", "a CfgNode, a dict with attributes")
def yacs_like():
    node = invented("yacs.config.CfgNode", dict)
    cfg = node(MODEL=node(DEPTH=50), LR=0.1)
    cfg.__dict__.update({"__immutable__": True, "__deprecated_keys__": set()})
    return checkpoint(cfg=cfg)


file("deepspeed-model-like.pt", "admitted", "deepspeed-like", "mp_rank_00_model_states.pt: module and shapes")(lambda: {
    "module": net().state_dict(), "param_shapes": [collections.OrderedDict((key, value.shape) for key, value in net().state_dict().items())],
    "shared_params": {}, "frozen_param_shapes": None, "dp_world_size": 1, "ds_config": {"zero_optimization": {"stage": 2}}, "ds_version": "0.14.0"})
file("deepspeed-optim-like.pt", "unknown", "deepspeed-like", "optim_states.pt: a LossScaler and an enum of its own")(lambda: {
    "optimizer_state_dict": {"loss_scaler": filled("deepspeed.runtime.fp16.loss_scaler.LossScaler", cur_scale=1.0, dynamic=False),
                             "zero_stage": invented("deepspeed.runtime.zero.config.ZeroStageEnum", str)("2"),
                             "single_partition_of_fp32_groups": [torch.zeros(8)]}, "ds_version": "0.14.0"})


# Python's own

Level = enum.Enum("Level", {"LOW": 1, "HIGH": 2}, module="project.levels")
Rank = enum.IntEnum("Rank", {"A": 1}, module="project.levels")
sys.modules["project"] = types.ModuleType("project")
sys.modules["project.levels"] = types.ModuleType("project.levels")
sys.modules["project.levels"].Level, sys.modules["project.levels"].Rank = Level, Rank


@dataclasses.dataclass
class Settings:
    lr: float = 0.1
    sizes: tuple = (1, 2)


Settings.__module__, Settings.__qualname__ = "project.settings", "Settings"
sys.modules["project.settings"] = types.ModuleType("project.settings")
sys.modules["project.settings"].Settings = Settings
Point = collections.namedtuple("Point", "x y", module="project.settings")
sys.modules["project.settings"].Point = Point

file("enum.pt", "unknown", "own", "an enum of one's own")(lambda: checkpoint(level=Level.HIGH, rank=Rank.A))
file("dataclass.pt", "unknown", "own", "a dataclass of one's own")(lambda: checkpoint(settings=Settings()))
file("namedtuple.pt", "unknown", "own", "a namedtuple of one's own")(lambda: checkpoint(point=Point(1, 2)))
file("rng.pt", "inert", "numpy", "random states of Python, NumPy and PyTorch")(lambda: {
    "python": random.Random(1).getstate(), "numpy": np.random.RandomState(1).get_state(), "torch": torch.manual_seed(1).get_state()})
file("generator.pt", "unknown", "numpy", "a random generator of NumPy as an object")(lambda: {"generator": np.random.default_rng(1)})
file("numpy-scalars.pt", "inert", "numpy", "numbers and arrays of NumPy beside the model")(lambda: checkpoint(
    loss=np.float64(0.5), step=np.int64(7), best=np.float32(1.0), history=np.arange(4.0), names=np.array(["a", "bc"])))
file("datetime.pt", "inert", "python", "dates and times")(lambda: checkpoint(
    date=datetime.datetime(2024, 1, 2, 3, 4, 5), took=datetime.timedelta(seconds=90), day=datetime.date(2024, 1, 2)))
file("pathlib.pt", "inert", "python", "paths")(lambda: checkpoint(data=pathlib.PurePosixPath("/data/train"), here=pathlib.PosixPath("run/1")))
file("collections.pt", "inert", "python", "Counter, defaultdict and deque")(lambda: checkpoint(
    counts=collections.Counter("abca"), lists=collections.defaultdict(list, a=[1]), last=collections.deque([1.0, 2.0], maxlen=9)))
file("counter.pt", "admitted", "python", "a Counter and sets")(lambda: checkpoint(counts=collections.Counter("abca"), seen={1, 2}, z=1 + 2j, raw=bytearray(b"ab")))
file("simple.pt", "inert", "python", "SimpleNamespace, Decimal, frozenset, range and slice")(lambda: checkpoint(
    run=types.SimpleNamespace(name="a"), price=decimal.Decimal("1.5"), fixed=frozenset({1}), steps=range(3), part=slice(1, 2)))
file("uuid.pt", "inert", "python", "a UUID")(lambda: checkpoint(run=uuid.UUID(int=1)))
file("partial.pt", "unknown", "python", "functools.partial of an activation")(lambda: checkpoint(norm=functools.partial(nn.LayerNorm, eps=1e-6)))
file("lambda-lr.pt", "admitted", "torch", "the state of a LambdaLR")(lambda: {
    "scheduler": torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD(net().parameters(), 0.1), len_of_epoch).state_dict()})


def len_of_epoch(epoch):
    return 0.95 ** epoch


file("transformer.pt", "inert", "torch", "a whole nn.Transformer, with torch.nn.functional.relu")(
    lambda: nn.Transformer(d_model=4, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=4))
file("sequential.pt", "inert", "torch", "a whole nn.Sequential")(net)
file("sequential-legacy.pt", "inert", "torch", "a whole nn.Sequential, as before PyTorch 1.6")(lambda: legacy(net()))
file("optimizer.pt", "unknown", "torch", "an optimizer as an object")(lambda: {"optimizer": trained()[1]})
file("resnet-like.pt", "unknown", "torchvision-like", "a whole model of torchvision's class")(lambda: invented_model("torchvision.models.resnet.ResNet"))
file("scripted.pt", "scripted", "torch", "TorchScript")(lambda: scripted())
file("features.pt", "admitted", "torch", "dtypes, devices, sizes and layouts as values")(lambda: checkpoint(
    dtype=torch.bfloat16, device=torch.device("cpu"), size=torch.Size([1, 2]), layout=torch.sparse_coo, tied=[torch.ones(2)] * 2))
file("legacy.pth", "admitted", "torch", "a checkpoint as before PyTorch 1.6")(lambda: legacy(checkpoint()))


def legacy(value):
    out = io.BytesIO()
    # Whole modules take their source along, with its path on this machine; without it they say so.
    with unittest.mock.patch("torch.serialization.get_source_lines_and_file", side_effect=OSError):
        torch.save(value, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


def invented_model(path):
    model = invented(path, nn.Module)()
    model.conv1, model.fc = nn.Conv2d(3, 2, 3), nn.Linear(2, 2)
    return model


def scripted():
    out = io.BytesIO()
    torch.jit.save(torch.jit.script(net().eval()), out)
    return out.getvalue()


@file("sklearn-like.joblib", "unknown", "sklearn-like", "an estimator in a plain pickle of protocol 4")
def sklearn_like():
    return pickle.dumps(filled("sklearn.linear_model._logistic.LogisticRegression", C=1.0, coef_=np.ones((1, 2)), classes_=np.arange(2)), protocol=4)


@file("allennlp-like.th", "unknown", "allennlp-like", "a vocabulary of its own class")
def allennlp_like():
    return {"model": net().state_dict(), "vocab": filled("allennlp.data.vocabulary.Vocabulary", _retained_counter={"tokens": {"the": 3}})}


# Writing

def content(made):
    if isinstance(made, bytes):
        return made
    out = io.BytesIO()
    torch.save(made, out)
    return out.getvalue()


def version(library):
    name = library.removesuffix("-like")
    try:
        return f"{library} {importlib.metadata.version(library)}"
    except importlib.metadata.PackageNotFoundError:
        return library if name != library or library not in LIBRARIES else None


def rows(folder):
    for name, (kind, library, what, make) in FILES.items():
        if not version({"python": "torch", "own": "torch"}.get(library, library)):
            print(f"skipped: {name} needs {library}", file=sys.stderr)
            continue
        made = [(name, kind, what, make())] if kind else make()
        for name, kind, what, value in made:
            data = content(value)
            assert len(data) < LARGEST, (name, len(data))
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            by = f"Python {sys.version.split()[0]}" if library in ("python", "own") else version(library)
            yield f"{name}\t{kind}\t{by}\t{what}"


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file\tkind\tmade by\twhat", *rows(folder)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
