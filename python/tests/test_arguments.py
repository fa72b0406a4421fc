"""What callers may give, and what they are told of what they may not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

import statedict as sd

sd_any = cast(Any, sd)


class Text(str):
    pass


@pytest.mark.parametrize("kind", [str, Text, Path, str.encode])
def test_paths_of_every_kind(kind: Any, folder: Path) -> None:
    wrapped, new = kind("dataparallel.pth"), kind("new.safetensors")
    assert len(sd.open(wrapped)) == len(sd.load_file(wrapped)) == 10
    assert sd.rename_file(wrapped, "unwrap", output=new).output == "new.safetensors"
    assert sd.convert(new, kind("new.npz"), dtype=torch.float16).counts["cast"] == 10
    assert sd.diff(wrapped, new).rename == "strip:module."
    assert sd.check(new).verdict == "safe" and len(sd.stats(new, "fc3.*")) == 2
    assert sd.fit(wrapped, new)[1].renamed["module.fc3.bias"] == "fc3.bias"
    sd.save_file(sd.load_file(new), kind("again.pth"))
    assert sd.open(new).path == "new.safetensors"


def test_a_checkpoint_is_used_with_with() -> None:
    with sd.open("lenet.pth") as opened:
        bias = opened["fc3.bias"]
    assert bias.shape == (10,) and opened["fc3.bias"].equal(bias)


def test_checkpoints_are_compared_by_identity() -> None:
    opened = sd.open("lenet.pth")
    assert opened == opened and opened != sd.open("lenet.pth")
    assert len({opened, pickle.loads(pickle.dumps(opened))}) == 2


def test_a_path_in_the_file_that_leads_nowhere_is_an_error_at_once() -> None:
    with pytest.raises(sd.CheckpointError, match="no state dict at 'model'"):
        sd.open("lenet.pth", at="model")


@pytest.mark.parametrize("rule", [3, {"a": "b"}, b"a -> b", [3], str.upper])
def test_what_is_no_rule_is_a_type_error(rule: Any) -> None:
    with pytest.raises(TypeError, match="expected a rule such as"):
        sd.rename({"a": 1}, rule)


def test_what_is_no_state_dict_is_a_type_error() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"found Linear; give its state_dict\(\)"):
        sd_any.save_file(model, "a.pth")
    with pytest.raises(TypeError, match="expected a dict of tensors, found list"):
        sd_any.save_file([torch.ones(2)], "a.pth")
    with pytest.raises(TypeError, match="expected a module to load into, found dict"):
        sd.open("lenet.pth").load_into({})
    with pytest.raises(TypeError, match="init: expected a dict"):
        sd_any.fit({}, model, init="zeros")
    with pytest.raises(TypeError, match="metadata: expected a dict"):
        sd_any.save_file({}, "a.safetensors", metadata=3)
    with pytest.raises(TypeError, match="progress: expected a bool or a function"):
        sd_any.load_file("lenet.pth", progress="yes")
    with pytest.raises(TypeError, match="expected an error or its text"):
        sd_any.explain(3)
    with pytest.raises(TypeError, match="NoneType"):
        sd_any.convert("lenet.pth", None)


def test_sizes_are_numbers_or_texts() -> None:
    state = {f"a{i}": torch.ones(1000) for i in range(4)}
    sizes: list[float | str] = [8000, 8e3, "8kB", "0.008MB", " 8 KB "]
    for number, size in enumerate(sizes):
        sd.save_file(state, f"{number}.safetensors", max_shard_size=size)
        assert Path(f"{number}.safetensors.index.json").exists() or len(
            list(Path().glob(f"{number}-*-of-*.safetensors"))
        )
    bad_sizes: list[Any] = [0, -1, float("inf"), float("nan"), "5XB", "", "GB"]
    for bad in bad_sizes:
        with pytest.raises(ValueError, match="cannot parse size"):
            sd.save_file(state, "bad.safetensors", max_shard_size=bad)


def test_a_missing_file_or_folder_is_the_systems_error_wherever_it_is_named() -> None:
    state = {"a": torch.ones(2)}
    for missing in (
        lambda: sd.apply("nowhere.toml", "lenet.pth"),
        lambda: sd.save_file(state, "nowhere/a.pth"),
        lambda: sd.convert("lenet.pth", "nowhere/a.npz"),
        lambda: sd.diff("lenet.pth", "nowhere.pth"),
        lambda: sd.open("nowhere.pth"),
        lambda: sd.finish("nowhere.json"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            missing()
        assert "nowhere" in caught.value.filename


def test_hints_name_arguments() -> None:
    with pytest.raises(sd.CheckpointError) as caught:
        sd.save_file({"a": torch.ones(2, dtype=torch.bfloat16)}, "a.npz")
    assert "--" not in str(caught.value) and "float32" in str(caught.value)
    torch.save({"model": {"w": torch.ones(2)}, "ema": {"w": torch.ones(2)}}, "two.pth")
    with pytest.raises(sd.CheckpointError) as caught:
        len(sd.open("two.pth"))
    assert "at=" in str(caught.value) and "--" not in str(caught.value)


def test_what_a_file_says_does_not_steer_a_terminal() -> None:
    key = "a\x1b[2J\u202eb.w"
    torch.save({key: torch.ones(2), "c.w": torch.ones(2)}, "a.pth")
    shown = r"a\u{1b}[2J\u{202e}b.w"
    assert shown in sd.open("a.pth").summary()
    with pytest.raises(sd.CollisionError) as caught:
        sd.rename_file("a.pth", "{x}.w -> w")
    assert shown in str(caught.value)
    assert caught.value.collisions == [("w", [key, "c.w"])]


def test_what_is_beside_the_tensors_is_named_as_it_is() -> None:
    torch.save({"state_dict": {"w": torch.ones(2)}, "sizes": {(1, 2): 3}}, "a.pth")
    payload = sd.open("a.pth").payload
    assert repr(payload["state_dict"]["w"]) == "<a tensor, F32 [2]>"
    assert payload["sizes"] == {"(1, 2)": 3}


def test_errors_are_explained_without_the_file_if_it_cannot_be_read() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError) as caught, sd.explaining("nowhere.pth"):
        model.load_state_dict({f"module.{key}": it for key, it in model.state_dict().items()})
    assert "unwrap" in caught.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as other, sd.explaining("lenet.pth"):
        raise ZeroDivisionError
    assert not hasattr(other.value, "__notes__")
