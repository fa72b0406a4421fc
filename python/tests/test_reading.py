"""What is read is what PyTorch, NumPy and safetensors read."""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import safetensors.torch
import torch

import statedict as sd

FLOATS = ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"]
OTHERS = ["int8", "uint8", "int16", "int32", "int64", "bool", "complex64", "complex128"]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit, whatever NaN is."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    a, b = a.resolve_conj().resolve_neg(), b.resolve_conj().resolve_neg()
    bits = [it.contiguous().reshape(-1).view(torch.uint8) for it in (a, b) if it.numel()]
    return not bits or torch.equal(*bits)


def every_dtype() -> dict[str, torch.Tensor]:
    numbers = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4) - 7
    made = {name: numbers.to(getattr(torch, name)) for name in FLOATS + OTHERS}
    made["empty"] = torch.empty(0, 3)
    made["number"] = torch.tensor(2.5)
    return made


def strange_views() -> dict[str, torch.Tensor]:
    base = torch.arange(60, dtype=torch.float32).reshape(5, 12)
    numbers = torch.complex(base, -base)
    return {
        "base": base,
        "transposed": base.t(),
        "part": base[1:4, 2:9:3],
        "expanded": base[:, :1].expand(5, 7),
        "conjugated": numbers.conj(),
        # Of a storage of its own: PyTorch saves no storage under two types.
        "negated": torch.complex(base, -base).conj().imag,
    }


def check(path: str, expected: dict[str, torch.Tensor]) -> None:
    for mmap in (True, False):
        state = sd.load_file(path, mmap=mmap)
        assert list(state) == list(expected)
        opened = sd.open(path, mmap=mmap)
        for key, tensor in expected.items():
            assert same(state[key], tensor), (key, mmap)
            assert same(opened[key], tensor), (key, mmap)


def test_every_type_of_a_pth() -> None:
    torch.save(every_dtype(), "a.pth")
    check("a.pth", torch.load("a.pth"))


def test_every_type_of_a_safetensors() -> None:
    plain = {k: v for k, v in every_dtype().items() if k != "complex128"}
    safetensors.torch.save_file(plain, "a.safetensors")
    loaded = safetensors.torch.load_file("a.safetensors")
    assert set(loaded) == set(plain)
    check("a.safetensors", {key: loaded[key] for key in sd.open("a.safetensors")})


def test_views_of_a_pth_are_views() -> None:
    torch.save(strange_views(), "a.pth")
    check("a.pth", torch.load("a.pth"))
    state = sd.load_file("a.pth")
    assert state["transposed"].data_ptr() == state["base"].data_ptr()
    state = sd.load_file("a.pth", mmap=False)
    assert state["transposed"].data_ptr() == state["base"].data_ptr()


def test_a_legacy_file() -> None:
    known = {key: it for key, it in every_dtype().items() if "float8" not in key}
    torch.save(known, "a.pth", _use_new_zipfile_serialization=False)
    check("a.pth", torch.load("a.pth"))


def test_ties_stay_one() -> None:
    shared = torch.rand(3, 4)
    torch.save({"a": shared, "b": shared, "row": shared[1]}, "a.pth")
    for mmap in (True, False):
        state = sd.load_file("a.pth", mmap=mmap)
        storages = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
        assert len(storages) == 1
        state["a"][1, 1] = 77.0
        assert state["row"][1] == 77.0


def test_changes_do_not_reach_the_file() -> None:
    before = Path("lenet.pth").read_bytes()
    state = sd.load_file("lenet.pth")
    for tensor in state.values():
        tensor.add_(1)
    assert Path("lenet.pth").read_bytes() == before


def test_a_saved_part_has_its_own_size() -> None:
    state = sd.load_file("lenet.pth")
    torch.save(state["fc3.bias"], "bias.pth")
    assert Path("bias.pth").stat().st_size < 3000


def test_big_endian_elements() -> None:
    torch.save({"a": torch.arange(5.0), "b": torch.arange(5, dtype=torch.int64)}, "little.pth")
    with zipfile.ZipFile("little.pth") as old, zipfile.ZipFile("big.pth", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            if name.endswith("data/0"):
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            if name.endswith("data/1"):
                data = np.frombuffer(data, "<i8").astype(">i8").tobytes()
            new.writestr(name, data)
    check("big.pth", torch.load("little.pth"))


def test_deflated_arrays() -> None:
    arrays: dict[str, Any] = {
        "a": np.arange(1000.0).reshape(10, 100),
        "f": np.asfortranarray(np.ones((3, 4))),
    }
    np.savez_compressed("a.npz", **arrays)
    check("a.npz", {key: torch.from_numpy(value.copy()) for key, value in arrays.items()})
    state = sd.load_file("a.npz", framework="np")
    assert all(np.array_equal(state[key], value) for key, value in arrays.items())


@pytest.mark.filterwarnings("error")
def test_plain_types_of_numpy_need_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    plain = {key: it for key, it in every_dtype().items() if "float8" not in key}
    torch.save({key: it for key, it in plain.items() if key != "bfloat16"}, "a.pth")
    state = sd.load_file("a.pth", framework="np")
    assert state["bool"].dtype == bool and state["complex64"].dtype == np.complex64


def test_a_file_that_pytorch_refuses_loads_as_tensors() -> None:
    class Settings:
        pass

    globals()["Settings"] = Settings
    Settings.__qualname__ = "Settings"
    torch.save({"state_dict": {"w": torch.ones(2)}, "settings": Settings()}, "a.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load("a.pth")
    assert torch.equal(sd.load_file("a.pth")["w"], torch.ones(2))


def test_arrays_of_numpy_look_at_the_file() -> None:
    state = sd.load_file("lenet.pth", framework="np")
    for key, tensor in torch.load("lenet.pth").items():
        assert np.array_equal(state[key], tensor.numpy())
    assert not state["fc1.weight"].flags.owndata


def test_bfloat16_is_of_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    torch.save({"a": torch.arange(6.0).to(torch.bfloat16)}, "a.pth")
    array = sd.open("a.pth", framework="np")["a"]
    assert array.dtype == ml_dtypes.bfloat16
    assert array.astype(np.float32).tolist() == [0, 1, 2, 3, 4, 5]


def test_metadata_of_modules_is_kept() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    own = cast(Any, model.state_dict())
    torch.save(own, "a.pth")
    state: Any = sd.load_file("a.pth")
    assert state._metadata == own._metadata
    assert type(state) is OrderedDict
    model.load_state_dict(state)


def test_parts_of_tensors() -> None:
    whole = torch.arange(60).reshape(3, 4, 5)
    torch.save({"a": whole}, "a.pth")
    np.savez_compressed("a.npz", a=whole.numpy())
    indices: list[Any] = [
        0, -1, slice(1, 3), slice(None, None, 2), (1, 2), (slice(None), 1, slice(1, 4)),
        (..., 0), None, torch.tensor([2, 0]), whole[:, 0, 0] > 10, (slice(2, 1),), (),
    ]  # fmt: skip
    for path in ("a.pth", "a.npz"):
        part = sd.open(path).get_slice("a")
        assert part.get_shape() == [3, 4, 5] and part.get_dtype() == "I64"
        for index in indices:
            assert torch.equal(part[index], whole[index]), (path, index)
        for index in (3, -4, (0, 0, 0, 0), "x"):
            with pytest.raises((IndexError, TypeError)):
                part[index]


def test_an_unknown_key_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="did you mean 'fc3.weight'"):
        sd.open("lenet.pth")["fc3.wieght"]
    assert sd.open("lenet.pth").get("nothing") is None
    assert "fc3.weight" in sd.open("lenet.pth")


def test_several_state_dicts_are_listed() -> None:
    torch.save({"ema": {"w": torch.ones(2)}, "model": {"w": torch.zeros(2)}}, "a.pth")
    opened = sd.open("a.pth")
    with pytest.raises(sd.CheckpointError) as caught:
        list(opened)
    assert caught.value.hint is not None and "at=" in caught.value.hint
    assert sd.open("a.pth", at="ema")["w"].tolist() == [1, 1]
    assert repr(sd.open("a.pth", at="ema")).endswith("at='ema'>")


def test_payload_is_what_is_beside_the_tensors() -> None:
    import argparse

    args = argparse.Namespace(lr=0.1, names=["a", "b"])
    payload: dict[Any, Any] = {
        "epoch": 3,
        "args": args,
        "big": 2**70,
        "raw": b"\x00\x01",
        "none": None,
        "yes": True,
    }
    torch.save({**payload, "state_dict": {"w": torch.ones(2)}, 7: "seven"}, "a.pth")
    found = sd.open("a.pth").payload
    assert found["epoch"] == 3 and found["args"] == {"lr": 0.1, "names": ["a", "b"]}
    assert (found["big"], found["raw"], found["none"], found["yes"]) == (
        2**70,
        b"\x00\x01",
        None,
        True,
    )
    assert found[7] == "seven"
    assert isinstance(found["state_dict"]["w"], sd.Opaque)
    assert sd.open("lenet.pth", framework="np").metadata() == {}


def test_it_is_used_by_threads() -> None:
    opened, expected = sd.open("lenet.pth", mmap=False), torch.load("lenet.pth")
    wrong: list[str] = []

    def work() -> None:
        for _ in range(20):
            wrong.extend(key for key in opened if not same(opened[key], expected[key]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_it_is_used_after_a_fork() -> None:
    opened = sd.open("lenet.pth", mmap=False)
    expected = opened["fc3.bias"].tolist()
    child = os.fork()
    if child == 0:
        os._exit(0 if opened["fc3.bias"].tolist() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_an_open_checkpoint_is_pickled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sd.open("lenet.pth", mmap=False)
    again = pickle.dumps(opened)
    monkeypatch.chdir(folder.parent)
    assert same(pickle.loads(again)["fc3.bias"], opened["fc3.bias"])


class Keys(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, checkpoint: sd.Checkpoint) -> None:
        self.checkpoint, self.keys = checkpoint, list(checkpoint)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> torch.Tensor:
        first: torch.Tensor = self.checkpoint[self.keys[index]].flatten()[0]
        return first


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_data_loader_read_it(start: str) -> None:
    data = Keys(sd.open("lenet.pth"))
    expected = [tensor.flatten()[0] for tensor in torch.load("lenet.pth").values()]
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, num_workers=2, multiprocessing_context=start
    )
    assert list(loader) == expected


def test_meta_tensors_are_not_read() -> None:
    state = sd.load_file("lenet.pth", device="meta")
    assert all(tensor.is_meta for tensor in state.values())
    assert state["fc3.weight"].shape == (10, 84)


def test_tensors_without_elements_are_named() -> None:
    torch.save({"s": torch.eye(3).to_sparse(), "w": torch.ones(2)}, "a.pth")
    opened = sd.open("a.pth")
    assert opened.info("s").layout == "sparse_coo"
    assert opened["w"].tolist() == [1, 1]
    for load in (lambda: opened["s"], lambda: sd.load_file("a.pth")):
        with pytest.raises(sd.CheckpointError, match="sparse_coo") as caught:
            load()
        assert caught.value.kind == "unsupported"


def test_notebooks_show_keys_as_text() -> None:
    torch.save({"<script>alert(1)</script>": torch.ones(2)}, "a.pth")
    shown = sd.open("a.pth")._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_a_summary_groups_what_is_alike() -> None:
    state = {f"blocks.{i}.{n}": torch.ones(2, 3) for i in range(12) for n in ("q", "k")}
    torch.save(state, "a.pth")
    lines = sd.open("a.pth").summary().splitlines()
    assert lines[0] == "a.pth: pth, 24 tensors, 144 parameters, 576 bytes"
    assert lines[1:] == [
        "  blocks.{0..11}.q  F32  [2, 3]  (12 keys)",
        "  blocks.{0..11}.k  F32  [2, 3]  (12 keys)",
    ]


def test_an_unknown_framework_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown framework 'tf'"):
        sd.open("lenet.pth", framework="tf")["fc3.bias"]


def test_progress_of_copies_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    sd.load_file("lenet.pth", mmap=False, progress=lambda *it: seen.append(it))
    assert seen[-1][0] == seen[-1][1] == sum(t.nbytes for t in torch.load("lenet.pth").values())


def test_reading_what_is_in_memory_is_pytorchs() -> None:
    with pytest.raises(TypeError):
        sd.open(io.BytesIO())  # type: ignore[arg-type]
