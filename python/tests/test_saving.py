"""What is saved is what PyTorch, NumPy and safetensors load."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

import statedict as sd
from test_reading import every_dtype, same, strange_views


def test_every_type_goes_to_a_pth_and_back() -> None:
    tensors = {**every_dtype(), **strange_views()}
    sd.save_file(tensors, "a.pth")
    loaded = torch.load("a.pth")
    assert list(loaded) == list(tensors)
    assert all(same(loaded[key], tensor) for key, tensor in tensors.items())


def test_every_type_goes_to_safetensors() -> None:
    tensors = {**every_dtype(), **strange_views()}
    del tensors["complex128"]
    sd.save_file(tensors, "a.safetensors", metadata={"step": "12"})
    loaded = safetensors.torch.load_file("a.safetensors")
    assert all(same(loaded[key], tensor) for key, tensor in tensors.items())
    with safetensors.safe_open("a.safetensors", "pt") as opened:
        assert opened.metadata()["step"] == "12"


def test_arrays_go_to_npz() -> None:
    tensors: dict[str, Any] = {
        "a": np.arange(6.0).reshape(2, 3).T,
        "b": torch.ones(3),
        "c": np.ones(2, ">i4"),
    }
    sd.save_file(tensors, "a.npz")
    loaded = np.load("a.npz")
    assert all(np.array_equal(loaded[key], tensor) for key, tensor in tensors.items())


def test_ties_and_metadata_are_kept_in_a_pth() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    model.add_module("2", model[0])
    sd.save_file(model.state_dict(), "a.pth")
    loaded: Any = torch.load("a.pth")
    assert loaded["0.weight"].data_ptr() == loaded["2.weight"].data_ptr()
    assert loaded._metadata["1"] == {"version": 2}
    assert list(loaded) == list(model.state_dict())


def test_a_lazily_conjugated_view_is_no_tie() -> None:
    numbers = torch.complex(torch.ones(3), torch.ones(3))
    sd.save_file({"a": numbers, "b": numbers.conj()}, "a.pth")
    loaded = torch.load("a.pth")
    assert torch.equal(loaded["b"], numbers.conj())


def test_a_file_that_is_there_is_replaced_only_when_asked() -> None:
    sd.save_file({"a": torch.ones(2)}, "a.pth")
    with pytest.raises(FileExistsError):
        sd.save_file({"a": torch.zeros(2)}, "a.pth")
    assert torch.load("a.pth")["a"].sum() == 2
    sd.save_file({"a": torch.zeros(2)}, "a.pth", overwrite=True)
    assert torch.load("a.pth")["a"].sum() == 0


def test_a_file_is_saved_over_the_one_its_tensors_look_at() -> None:
    state = sd.load_file("lenet.pth")
    sd.save_file(state, "lenet.pth", overwrite=True)
    assert all(same(torch.load("lenet.pth")[key], tensor) for key, tensor in state.items())


def test_large_states_go_to_shards(folder: Path) -> None:
    tensors = {f"layer.{i}": torch.full((100,), float(i)) for i in range(10)}
    sd.save_file(tensors, "new.safetensors", max_shard_size="1KB")
    index = json.loads(Path("new.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(tensors)
    assert "new-00001-of-00005.safetensors" in index["weight_map"].values()
    loaded = sd.load_file("new.safetensors.index.json")
    assert all(torch.equal(loaded[key], tensor) for key, tensor in tensors.items())


def test_small_states_are_one_file_though_shards_are_allowed() -> None:
    sd.save_file({"a": torch.ones(2)}, "new.safetensors", max_shard_size="5GB")
    assert safetensors.torch.load_file("new.safetensors")["a"].sum() == 2


def test_a_folder_is_given_the_usual_names() -> None:
    sd.save_file({"a": torch.ones(2)}, "out", max_shard_size="5GB")
    assert [path.name for path in Path("out").iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ({"a": 3}, TypeError),
        ({1: torch.ones(2)}, TypeError),
        ({"a": torch.eye(2).to_sparse()}, sd.CheckpointError),
        ({"a": torch.empty(2, device="meta")}, sd.CheckpointError),
        ({"a": np.array([object()])}, sd.CheckpointError),
    ],
)
def test_what_is_no_tensor_is_refused(tensors: Any, error: type[Exception], folder: Path) -> None:
    with pytest.raises(error):
        sd.save_file(tensors, "new.pth")
    assert not Path("new.pth").exists()


def test_metadata_is_text() -> None:
    with pytest.raises(TypeError, match="metadata 'step'"):
        sd.save_file({"a": torch.ones(2)}, "a.safetensors", {"step": 12})  # type: ignore[dict-item]
    with pytest.raises(sd.CheckpointError, match="npz cannot store metadata"):
        sd.save_file({"a": torch.ones(2)}, "a.npz", {"step": "12"})


def test_an_unknown_extension_is_an_error() -> None:
    with pytest.raises(sd.CheckpointError, match="unknown file extension"):
        sd.save_file({"a": torch.ones(2)}, "a.xyz")


def test_a_stopped_save_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = sorted(folder.iterdir()), threading.Event()

    def slow(key: str, value: torch.Tensor) -> Any:
        def read(offset: int, length: int) -> bytes:
            asked.wait()
            return bytes(length)

        return value.nbytes, read

    def stop(done: int, total: int) -> None:
        asked.set()
        raise KeyboardInterrupt

    monkeypatch.setattr("statedict._save.reader", slow)
    with pytest.raises(KeyboardInterrupt):
        sd.save_file({"a": torch.ones(1000)}, "a.pth", progress=stop)
    assert sorted(folder.iterdir()) == before
