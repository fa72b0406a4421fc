"""What is compared, and the figures that statedict is to reach."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import tensors
from files import HERE, Files

#: What is measured, and what makes it ready; it raises `Missing` where it cannot be measured.
Work = tuple[str, Callable]

#: How the command sft is run by Python.
SFT = ("-c", "from sft.cli import _entry; _entry()")

#: How ckptkit is, which says what is in a checkpoint.
CKPTKIT = ("-c", "from ckptkit.cli import main; main()")


@dataclass
class Case:
    """A command, another that does the same, and what has to be done before each run of one."""

    ours: list
    reach: str
    beside: str = ""
    other: list | None = None
    before_ours: Callable[[], None] = lambda: None
    before_other: Callable[[], None] = lambda: None
    #: It writes a file and does not only print.
    writes: bool = True
    #: What both read, which is in the page cache when they start.
    reads: list[Path] = field(default_factory=list)


class Cases:
    def __init__(self, binary: Path, files: Files):
        self.binary, self.files = binary, files

    def all(self) -> Iterator[Work]:
        for extension in ("pth", "safetensors", "npz"):
            yield f"`strip -i` of a {extension}", with_(self.strip_in_place, extension)
        yield "`add -i` of a safetensors without room", self.add_in_place
        for extension in ("pth", "safetensors", "npz"):
            yield f"`strip -o` of a {extension}", with_(self.strip, extension)
        for system in ("xfs", "btrfs"):
            for extension in ("pth", "safetensors", "npz"):
                yield f"`strip -o` of a {extension} on {system}", with_(self.strip_on, system, extension)
        yield "pth to safetensors", with_(self.convert, "pth", "safetensors", "≤ 0.90 × cp")
        yield "npz to safetensors", with_(self.convert, "npz", "safetensors", "≤ 0.90 × cp")
        yield "safetensors to pth", with_(self.convert, "safetensors", "pth", "≤ 1.1 × cp")
        yield "experts stacked", with_(self.put_together, tensors.experts(), "experts", "≤ 1.3 × cp")
        yield "GPT-2 matrices transposed", with_(self.put_together, tensors.transposes(), "transposes", "≤ 2 × cp")
        yield "Llama's rotary order", with_(self.put_together, tensors.rotary(), "rotary", "≤ 1.3 × cp")
        yield "Llama's rotary order, beside Python", self.rotary_by_hand
        for extension in ("pth", "safetensors", "npz"):
            yield f"`ls` of a {extension}", with_(self.list_large, extension)
        yield "`ls` of a pth, beside ckptkit", self.list_by_peer
        for number in (1_000, 10_000, 100_000):
            for extension in ("pth", "safetensors", "npz"):
                yield f"`ls` of {number:,} tensors, {extension}", with_(self.list_many, number, extension)
                yield f"`strip -i` of {number:,} tensors, {extension}", with_(self.strip_many, number, extension)
        yield "`strip -o` of a safetensors, beside sft", self.strip_by_peer
        yield "DCP to safetensors", with_(self.joined, "dcp", "≤ 1.2")
        yield "DCP to safetensors, beside PyTorch", self.joined_by_torch
        yield "ZeRO-3 to safetensors", with_(self.joined, "zero3", "≤ 1.5")
        yield "ZeRO-3 to safetensors, beside DeepSpeed", self.joined_by_deepspeed
        yield "pieces of the hub to one safetensors", with_(self.joined, "hub", "≤ 1.2")
        yield "`strip -i` of a DCP folder", self.rename_folder
        yield "`diff` of two equal safetensors", self.differ
        yield "`diff` of bfloat16 and 32 bits", self.differ_in_type
        yield "`stats` of a safetensors", self.stats
        yield "`stats` of a safetensors, beside sft", self.stats_by_peer
        yield "`view` of 100,000 tensors", self.view
        yield "`check` of a pth", self.check

    def rename_in_place(self, extension: str) -> Case:
        source, out = self.files.large(extension), self.files.free(f"strip.{extension}")
        return Case(
            ours=[self.binary, "strip", "module", out, "-i"],
            before_ours=lambda: shutil.copyfile(source, out),
            reach="1/1,000",
            reads=[source],
        )

    def strip_in_place(self, extension: str) -> Case:
        made = self.files.free(f"by-hand.{extension}")
        return replace(
            self.rename_in_place(extension),
            beside="Python",
            other=self.by_hand(extension, self.files.large(extension), made),
            before_other=lambda: remove(made),
        )

    def add_in_place(self) -> Case:
        source, out = self.files.large("safetensors"), self.files.free("add.safetensors")
        return Case(
            ours=[self.binary, "add", "model", out, "-i"],
            before_ours=lambda: shutil.copyfile(source, out),
            reach="1/5 on ext4",
            **self.beside_copy(source),
        )

    def strip(self, extension: str) -> Case:
        source, out = self.files.large(extension), self.files.free(f"strip.{extension}")
        return Case(
            ours=[self.binary, "strip", "module", source, "-o", out],
            before_ours=lambda: remove(out),
            reach="≤ 0.85",
            **self.beside_copy(source),
        )

    def strip_on(self, system: str, extension: str) -> Case:
        source = self.files.on(system, self.files.large(extension))
        out, copied = (source.with_name(f"out-{name}.{extension}") for name in ("strip", "copied"))
        return Case(
            ours=[self.binary, "strip", "module", source, "-o", out],
            before_ours=lambda: remove(out),
            beside="`cp --reflink`",
            other=["sh", "-c", 'cp --reflink=always "$1" "$2" && sync "$2"', "sh", source, copied],
            before_other=lambda: remove(copied),
            reach="≤ 100 ms",
            reads=[source],
        )

    def convert(self, from_: str, to: str, reach: str) -> Case:
        source, out = self.files.large(from_), self.files.free(f"converted.{to}")
        return Case(
            ours=[self.binary, "convert", source, out],
            before_ours=lambda: remove(out),
            reach=reach,
            **self.beside_copy(source),
        )

    def put_together(self, work: tensors.Work, name: str, reach: str) -> Case:
        source, plan = self.files.worked(work, name)
        return Case(ours=self.applied(source, plan, name), reach=reach, **self.anew(name), **self.beside_copy(source))

    def rotary_by_hand(self) -> Case:
        """As transformers' conversion of Llama does it, with the same tensors."""
        source, plan = self.files.worked(tensors.rotary(), "rotary")
        made = self.files.free("by-hand.safetensors")
        return Case(
            ours=self.applied(source, plan, "rotary"),
            beside="Python",
            other=self.by_hand("rotary", source, made),
            before_other=lambda: remove(made),
            reach="",
            reads=[source],
            **self.anew("rotary"),
        )

    def applied(self, source: Path, plan: Path, name: str) -> list:
        return [self.binary, "apply", plan, source, "-o", self.out(name)]

    def anew(self, name: str) -> dict:
        return {"before_ours": lambda: remove(self.out(name))}

    def out(self, name: str) -> Path:
        return self.files.free(f"{name}.safetensors")

    def check(self) -> Case:
        source = self.files.large("pth")
        return Case(
            ours=[self.binary, "check", source],
            reach="≤ 1.2",
            writes=False,
            **self.beside_two_readers(source),
        )

    def list_large(self, extension: str) -> Case:
        return self.listing(extension, self.files.large(extension), "≤ 10 ms")

    def list_by_peer(self) -> Case:
        source = self.files.large("pth")
        tool = self.files.peer("ckptkit.cli", *CKPTKIT)
        return replace(self.list_large("pth"), beside="ckptkit", other=[*tool, "info", source], reads=[source], reach="")

    def list_many(self, tensors: int, extension: str) -> Case:
        return self.listing(extension, self.files.many(tensors, extension), "≤ 1 s" if tensors == 100_000 else "")

    def listing(self, extension: str, source: Path, reach: str) -> Case:
        python = {"beside": "Python", "other": self.by_hand("ls", source)} if extension == "pth" else {}
        return Case(ours=[self.binary, "ls", source], reach=reach, writes=False, **python)

    def strip_many(self, tensors: int, extension: str) -> Case:
        source, out = self.files.many(tensors, extension), self.files.free(f"many.{extension}")
        return Case(
            ours=[self.binary, "strip", "module", out, "-i"],
            before_ours=lambda: shutil.copyfile(source, out),
            reach="≤ 1 s" if tensors == 100_000 else "",
        )

    def differ(self) -> Case:
        source, out = self.files.large("safetensors"), self.files.free("equal.safetensors")
        shutil.copyfile(source, out)
        return Case(
            ours=[self.binary, "diff", source, out],
            beside="`cmp`",
            other=["cmp", source, out],
            reach="≤ 0.4",
            writes=False,
            reads=[source, out],
        )

    def differ_in_type(self) -> Case:
        wide, narrow = self.files.in_two_types()
        out = self.files.free("equal.safetensors")
        shutil.copyfile(wide, out)
        return Case(
            # They differ, within what bfloat16 rounds.
            ours=[self.binary, "diff", narrow, wide, "--rtol", "0.01"],
            beside="`cmp` of the longer",
            other=["cmp", wide, out],
            reach="≤ 2",
            writes=False,
            reads=[wide, narrow, out],
        )

    def stats(self) -> Case:
        _, narrow = self.files.in_two_types()
        return Case(
            ours=[self.binary, "stats", narrow],
            reach="≤ 1.5",
            writes=False,
            **self.beside_two_readers(narrow),
        )

    def stats_by_peer(self) -> Case:
        _, narrow = self.files.in_two_types()
        return Case(
            ours=[self.binary, "stats", narrow],
            beside="sft",
            other=[*self.files.peer("sft.cli", *SFT), "stat", narrow],
            reach="≤ 1/20",
            writes=False,
            reads=[narrow],
        )

    def view(self) -> Case:
        source, out = self.files.many(100_000, "safetensors"), self.files.free("page.html")
        return Case(
            ours=[self.binary, "view", source, "-o", out],
            before_ours=lambda: remove(out),
            reach="≤ 1 s, 300 kB",
        )

    def strip_by_peer(self) -> Case:
        source, made = self.files.large("safetensors"), self.files.free("by-peer.safetensors")
        rename = [*self.files.peer("sft.cli", *SFT), "rename", source, "--sub", r"^module\.", "--sub", "", "-o", made]
        return replace(self.strip("safetensors"), beside="sft", other=rename, before_other=lambda: remove(made), reach="")

    def joined(self, kind: str, reach: str) -> Case:
        """Beside a copy of what the folder's files hold."""
        source, copied = self.files.of_trainer(kind), self.files.free("copied")
        copy = 'cp -r --reflink=never "$1" "$2" && sync -f "$2"'
        return Case(
            ours=[self.binary, "convert", source, self.out(kind)],
            beside="`cp`, `sync`",
            other=["sh", "-c", copy, "sh", source, copied],
            before_other=lambda: shutil.rmtree(copied, ignore_errors=True),
            reach=reach,
            reads=sorted(path for path in source.rglob("*") if path.is_file()),
            **self.anew(kind),
        )

    def joined_by_torch(self) -> Case:
        source, made = self.files.of_trainer("dcp"), self.files.free("by-peer.pth")
        tool = "torch.distributed.checkpoint.format_utils"
        other = [self.files.python, "-m", tool, "dcp_to_torch", source, made]
        joined, ready = self.joined("dcp", "≤ 1/4"), lambda: remove(made)
        return replace(joined, beside="`dcp_to_torch`", other=other, before_other=ready)

    def joined_by_deepspeed(self) -> Case:
        source, made = self.files.of_trainer("zero3"), self.files.free("by-peer")
        tool = self.files.peer("deepspeed.utils.zero_to_fp32")
        other = [*tool, source, made, "--safe_serialization"]
        joined, ready = self.joined("zero3", "≤ 1/3"), lambda: shutil.rmtree(made, ignore_errors=True)
        return replace(joined, beside="`zero_to_fp32`", other=other, before_other=ready)

    def rename_folder(self) -> Case:
        source, out = self.files.of_trainer("dcp"), self.files.free("strip")

        def anew() -> None:
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(source, out, copy_function=os.link)
            # What is edited is no other name of what is kept.
            (out / ".metadata").unlink()
            shutil.copyfile(source / ".metadata", out / ".metadata")

        return Case(ours=[self.binary, "strip", "model", out, "-i"], before_ours=anew, reach="≤ 50 ms")

    def beside_two_readers(self, source: Path) -> dict:
        """What reads a file on two processors and does nothing with it."""
        half = source.stat().st_size // 2
        both = 'head -c "$2" "$1" >/dev/null & tail -c "+$2" "$1" >/dev/null; wait'
        return {
            "beside": "`cat` by two",
            "other": ["sh", "-c", both, "sh", source, str(half)],
            "reads": [source],
        }

    def by_hand(self, mode: str, source: Path, *out: Path) -> list:
        return [self.files.python, HERE / "by_hand.py", mode, source, *out]

    def beside_copy(self, source: Path) -> dict:
        """A copy that is on the disk when it ends, as what statedict writes is."""
        out = self.files.free("copied")
        copy = 'cp --reflink=never "$1" "$2" && sync "$2"'
        return {
            "beside": "`cp`, `sync`",
            "other": ["sh", "-c", copy, "sh", source, out],
            "before_other": lambda: remove(out),
            "reads": [source],
        }


def with_(function: Callable, *arguments) -> Callable[[], Case]:
    return lambda: function(*arguments)


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
