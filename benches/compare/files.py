"""The files that are measured, written once."""

import json
import os
import shutil
import struct
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from tensors import Work, count

HERE = Path(__file__).resolve().parent

#: The tensors of a block of a language model; its layers have 16-bit numbers.
HIDDEN, INNER = 4096, 11008
BLOCK = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
    "input_layernorm": (HIDDEN,),
    "post_attention_layernorm": (HIDDEN,),
}


class Missing(Exception):
    """Something is not installed here, or not permitted."""


class Files:
    """Files in a folder, and file systems in files."""

    def __init__(self, folder: Path, gib: float):
        self.folder, self.gib = folder, gib
        self.mounted: dict[str, Path] = {}

    def __enter__(self) -> "Files":
        return self

    def clear(self) -> None:
        """Removes what was written."""
        for folder in (self.folder, *self.mounted.values()):
            for path in folder.glob("out-*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def __exit__(self, *_) -> None:
        self.clear()
        for system, folder in self.mounted.items():
            subprocess.run(["umount", folder], check=True)
            image(self.folder, system).unlink()

    @cached_property
    def python(self) -> Path:
        """An interpreter that has PyTorch, NumPy and safetensors."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "statedict"
        named = os.environ.get("STATEDICT_PYTHON")
        found = [Path(named)] if named else [*sorted(cache.glob("python-*/bin/python")), Path(sys.executable)]
        imports = "import torch, numpy, safetensors.torch"
        for python in found:
            if python.exists() and quietly([python, "-c", imports]):
                return python
        raise Missing("no Python with PyTorch, NumPy and safetensors")

    def peer(self, module: str, *run: str) -> list:
        """How a tool of others is run, which is a module of this Python or of the one that
        STATEDICT_PEERS names."""
        python = Path(os.environ.get("STATEDICT_PEERS") or self.python)
        if not quietly([python, "-c", f"import {module}"]):
            raise Missing(f"{module.split('.')[0]} is not installed (STATEDICT_PEERS names a Python that has it)")
        return [python, *(run or ("-m", module))]

    def large(self, extension: str) -> Path:
        """A model of the size asked for, as the libraries write it."""
        per_block = 2 * sum(count(shape) for shape in BLOCK.values())
        blocks = max(1, int(self.gib * 2**30 / per_block))
        tensors = {f"module.model.layers.{i}.{name}.weight": shape for i in range(blocks) for name, shape in BLOCK.items()}
        return self.file(f"large-{self.gib:g}", tensors, extension)

    def worked(self, work: Work, name: str) -> tuple[Path, Path]:
        """A model of the size asked for, and a plan of what is made of it."""
        plan = self.folder / f"{name}-{self.gib:g}.json"
        work.write_plan(plan, self.gib)
        return self.file(f"{name}-{self.gib:g}", work.shapes(self.gib), "safetensors"), plan

    def many(self, tensors: int, extension: str) -> Path:
        """A file of so many small tensors."""
        names = list(BLOCK)
        key = lambda i: f"module.model.layers.{i // len(names)}.{names[i % len(names)]}.weight"
        return self.file(f"many-{tensors}", {key(i): (16,) for i in range(tensors)}, extension)

    def of_trainer(self, kind: str) -> Path:
        """The folder that a trainer writes of a model of the size asked for."""
        path = self.folder / f"{kind}-{self.gib:g}"
        if not path.exists():
            make = [self.python, HERE / "make_folder.py", kind]
            whole(path, lambda partial: subprocess.run([*make, partial, str(self.gib)], check=True, capture_output=True))
        return path

    def in_two_types(self) -> tuple[Path, Path]:
        """The same numbers in 32 bits and in bfloat16, so many bytes of the former."""
        wide, narrow = (self.folder / f"{dtype}-{self.gib:g}.safetensors" for dtype in ("float32", "bfloat16"))
        if not (wide.exists() and narrow.exists()):
            make = [self.python, HERE / "make_types.py", str(self.gib)]
            whole(narrow, lambda partial: subprocess.run([*make, wide, partial], check=True))
        return wide, narrow

    def file(self, stem: str, tensors: dict, extension: str) -> Path:
        path, origin = self.folder / f"{stem}.{extension}", self.folder / f"{stem}.safetensors"
        if not origin.exists():
            whole(origin, lambda partial: write(partial, tensors))
        if not path.exists():
            make = lambda partial: subprocess.run([self.python, HERE / "make.py", origin, partial], check=True)
            whole(path, make)
        return path

    def free(self, name: str) -> Path:
        """A place for what is written."""
        return self.folder / f"out-{name}"

    def on(self, system: str, source: Path) -> Path:
        """The same file on another file system."""
        there = self.mount(system) / source.name
        if not there.exists():
            shutil.copyfile(source, there)
        return there

    def mount(self, system: str) -> Path:
        if system not in self.mounted:
            if not shutil.which(f"mkfs.{system}"):
                raise Missing(f"mkfs.{system} is not installed")
            disk, folder = image(self.folder, system), self.folder / system
            folder.mkdir(exist_ok=True)
            with open(disk, "wb") as empty:
                empty.truncate(int((5 * self.gib + 1) * 2**30))
            if not quietly([f"mkfs.{system}", disk]) or not quietly(["mount", "-o", "loop", disk, folder]):
                disk.unlink()
                raise Missing(f"no {system} can be mounted")
            self.mounted[system] = folder
        return self.mounted[system]


def image(folder: Path, system: str) -> Path:
    return folder / f"{system}.img"


def quietly(command) -> bool:
    """Runs a command and says whether it went well."""
    return subprocess.run(command, capture_output=True).returncode == 0


def whole(path: Path, write) -> None:
    """Writes a file under another name, so that one that is there is whole."""
    partial = path.with_name(f"partial-{path.name}")
    write(partial)
    partial.rename(path)


def write(path: Path, tensors: dict) -> None:
    """A safetensors file without room for a longer header, as its library writes it."""
    header, end = {}, 0
    for key, shape in tensors.items():
        start, end = end, end + 2 * count(shape)
        header[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    noise = os.urandom(1 << 20)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        while end > 0:
            end -= out.write(noise[: min(end, len(noise))])
