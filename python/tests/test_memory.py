"""State dicts in memory are renamed and fitted as files are."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

import statedict as sd
from test_reading import same


def test_keys_alone_are_moved() -> None:
    tensor, other = torch.ones(2), object()
    state = sd.rename({"module.a": tensor, "module.b": other}, "strip:module")
    assert state["a"] is tensor and state["b"] is other


def test_arrays_of_numpy_are_moved() -> None:
    array = np.ones(3)
    assert sd.rename({"a.w": array}, "a.{r..} -> b.{r..}")["b.w"] is array


def test_a_swap_sees_the_old_keys_and_keeps_the_order() -> None:
    rules = ["a.{r..} -> b.{r..}", "b.{r..} -> a.{r..}"]
    assert list(sd.rename({"a.w": 1, "b.w": 2, "c": 3}, rules).items()) == [
        ("b.w", 1),
        ("a.w", 2),
        ("c", 3),
    ]


def test_only_leaves_out_and_strict_refuses() -> None:
    state = {"a.w": 1, "b": 2}
    assert sd.rename(state, "strip:a", only=True) == {"w": 1}
    with pytest.raises(sd.CheckpointError, match="no rule recognises key 'b'"):
        sd.rename(state, "strip:a", strict=True)


def test_meeting_keys_that_are_one_tensor_are_called_a_tie() -> None:
    tensor = torch.ones(2)
    with pytest.raises(sd.CollisionError, match="a tie") as caught:
        sd.rename({"a.w": tensor, "b.w": tensor}, "a.{r..} -> b.{r..}")
    assert caught.value.collisions == [("b.w", ["a.w", "b.w"])]
    with pytest.raises(sd.CollisionError, match="different tensors"):
        sd.rename({"a.w": tensor, "b.w": torch.ones(2)}, "a.{r..} -> b.{r..}")


def test_metadata_follows_the_keys() -> None:
    model = nn.DataParallel(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
    plain = cast(Any, model.module.state_dict())
    unwrapped = sd.unwrap(cast(Any, model).state_dict())
    assert unwrapped._metadata == plain._metadata
    assert isinstance(unwrapped, OrderedDict)
    wrapped = sd.rename(plain, "add:module")
    assert wrapped._metadata == cast(Any, model.state_dict())._metadata
    model.module.load_state_dict(unwrapped)


def test_nothing_to_unwrap_is_fine_unless_said_otherwise() -> None:
    assert sd.unwrap({"a": 1}) == {"a": 1}
    with pytest.raises(sd.CheckpointError, match="no key has a wrapper segment"):
        sd.unwrap({"a": 1}, allow_unchanged=False)


QKV = "blocks.{i}.qkv.{t}[(p o) ..] -> layers.{i}.{p=q,k,v}.{t}[o ..]"


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_rules_of_tensors_are_views(kind: str) -> None:
    weight: Any = torch.arange(24.0).reshape(6, 4)
    bias: Any = torch.arange(6.0)
    if kind == "numpy":
        weight, bias = weight.numpy(), bias.numpy()
    state = {"blocks.0.qkv.weight": weight, "blocks.0.qkv.bias": bias, "step": 3}
    new = sd.rename(state, QKV)
    assert new["layers.0.k.weight"].tolist() == weight[2:4].tolist()
    assert new["layers.0.v.bias"].tolist() == [4.0, 5.0]
    assert new["step"] == 3
    weight[2, 0] = 77.0
    assert new["layers.0.k.weight"][0, 0] == 77.0
    back = sd.rename(new, "layers.{i}.{p=q,k,v}.{t}[o ..] -> blocks.{i}.qkv.{t}[(p o) ..]")
    assert back["blocks.0.qkv.weight"].tolist() == weight.tolist()


def test_arrays_of_the_array_api_are_known() -> None:
    xp = pytest.importorskip("array_api_strict")
    whole, other = xp.reshape(xp.arange(24, dtype=xp.float32), (6, 4)), xp.ones(3)
    state = {"blocks.0.qkv.weight": whole, "x": other}
    new = sd.rename(state, QKV, "x -> y")
    assert new["y"] is other
    assert np.array_equal(np.asarray(new["layers.0.k.weight"]), np.asarray(whole)[2:4])
    turned = sd.rename({"f.w": whole}, "f.w[o i] -> f.k[i o]")["f.k"]
    assert np.array_equal(np.asarray(turned), np.asarray(whole).T)
    back = sd.rename(new, "layers.{i}.{p=q,k,v}.{t}[o ..] -> blocks.{i}.qkv.{t}[(p o) ..]")
    assert np.array_equal(np.asarray(back["blocks.0.qkv.weight"]), np.asarray(whole))
    sd.save_file(state, "a.safetensors")
    assert np.array_equal(sd.open("a.safetensors", framework="np")["x"], np.ones(3))


def test_rules_in_memory_make_what_they_make_of_files() -> None:
    state = {"blocks.0.qkv.weight": torch.rand(6, 4), "fc.weight": torch.rand(3, 5)}
    rules = [QKV, "fc.weight[o i] -> fc.kernel[i o]"]
    torch.save(state, "a.pth")
    sd.rename_file("a.pth", rules, output="b.pth")
    expected, found = torch.load("b.pth"), sd.rename(state, rules)
    assert list(found) == list(expected)
    assert all(same(found[key], tensor) for key, tensor in expected.items())


def test_what_is_calculated_is_what_it_is_of_files() -> None:
    state = {"a.weight_v": torch.rand(3, 4), "a.weight_g": torch.rand(3, 1)}
    torch.save(state, "a.pth")
    rule = "fold-weight-norm"
    sd.rename_file("a.pth", rule, output="b.pth")
    found, expected = sd.rename(state, rule), torch.load("b.pth")
    assert all(same(found[key], tensor) for key, tensor in expected.items())


def test_files_modules_and_checkpoints_are_state_dicts() -> None:
    assert list(sd.unwrap("dataparallel.pth")) == list(torch.load("lenet.pth"))
    assert list(sd.unwrap(sd.open("dataparallel.pth"))) == list(torch.load("lenet.pth"))
    assert list(sd.rename(nn.Linear(2, 2), "add:fc")) == ["fc.weight", "fc.bias"]
    with pytest.raises(TypeError, match="expected a state dict"):
        sd.rename(cast(Any, 3), "unwrap")
    with pytest.raises(TypeError, match="expected a str, found int"):
        sd.rename({1: 2}, "unwrap")


class Net(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 6))
        self.head = nn.Linear(6, classes)


def renamed_net(classes: int) -> dict[str, torch.Tensor]:
    names = {"body.0": "module.first", "body.1": "module.second", "head": "module.head"}
    state = Net(classes).state_dict()
    pairs = (key.rsplit(".", 1) for key in state)
    return {f"{names[path]}.{leaf}": state[f"{path}.{leaf}"] for path, leaf in pairs}


def test_a_state_dict_is_fitted_into_a_model() -> None:
    state, model = renamed_net(3), Net(3)
    fitted, plan = sd.fit(state, model)
    model.load_state_dict(fitted)
    assert plan.renamed["module.first.weight"] == "body.0.weight"
    assert fitted["body.0.weight"] is state["module.first.weight"]
    again = plan.apply(state)
    assert list(again) == list(fitted)


def test_what_is_missing_is_made() -> None:
    state, model = renamed_net(3), Net(5)
    with pytest.raises(sd.CheckpointError, match=r"file has \[3, 6\], target wants \[5, 6\]"):
        sd.fit(state, model)
    fitted, plan = sd.fit(state, model, init={"head.**": "normal(0,0.02)"})
    model.load_state_dict(fitted)
    assert sorted(plan.made) == ["head.bias", "head.weight"]
    assert 0 < fitted["head.weight"].std() < 0.1
    again, _ = sd.fit(state, model, init={"head.**": "normal(0,0.02)"})
    assert torch.equal(again["head.weight"], fitted["head.weight"])
    other, _ = sd.fit(state, model, init={"head.**": "normal(0,0.02)"}, seed=1)
    assert not torch.equal(other["head.weight"], fitted["head.weight"])
    kept, _ = sd.fit(state, model, init={"head.**": "target"})
    assert torch.equal(kept["head.weight"], model.head.weight)


def test_what_is_made_in_memory_is_what_is_made_in_files() -> None:
    state, model = renamed_net(3), Net(5)
    torch.save(state, "a.pth")
    fitted, plan = sd.fit(state, model, init={"head.**": "normal(0,0.5)"})
    plan.save("plan.json")
    sd.apply("plan.json", "a.pth", "b.pth")
    written = torch.load("b.pth")
    assert all(same(written[key], tensor) for key, tensor in fitted.items())
    with pytest.raises(FileExistsError):
        plan.save("plan.json")


def test_rows_are_kept_where_there_are_more() -> None:
    state, model = renamed_net(3), Net(5)
    fitted, _ = sd.fit(state, model, resize={"head.*": "rows"}, init={"head.**": "zeros"})
    assert torch.equal(fitted["head.weight"][:3], state["module.head.weight"])
    assert fitted["head.weight"][3:].abs().sum() == 0


def test_types_are_cast_only_when_asked() -> None:
    state = {key: tensor.half() for key, tensor in renamed_net(3).items()}
    with pytest.raises(sd.CheckpointError, match="file has F16, target wants F32"):
        sd.fit(state, Net(3))
    fitted, _ = sd.fit(state, Net(3), cast=True)
    assert fitted["head.bias"].dtype == torch.float32


def test_models_without_memory_are_fitted_into() -> None:
    with torch.device("meta"):
        model = Net(3)
    fitted, _ = sd.fit(renamed_net(3), model)
    model.load_state_dict(fitted, assign=True)
    assert not model.head.weight.is_meta


def test_a_bad_option_is_an_error() -> None:
    for options in ({"by": "magic"}, {"init": {"a": "magic"}}, {"resize": {"a": "?"}}):
        with pytest.raises(sd.CheckpointError):
            sd.fit(renamed_net(3), Net(3), **options)


def test_a_file_is_loaded_into_a_module() -> None:
    torch.save(renamed_net(3), "a.pth")
    rules = ["module.first.{r} -> body.0.{r}", "module.second.{r} -> body.1.{r}"]
    rules.append("module.head.{r} -> head.{r}")
    for device in ("cpu", "meta"):
        with torch.device(device):
            model = Net(3)
        found = sd.open("a.pth").load_into(model, rename=rules, assign=device == "meta")
        assert found.missing_keys == []
        assert torch.equal(model.head.weight, torch.load("a.pth")["module.head.weight"])


def test_nothing_is_copied_into_a_model_without_memory() -> None:
    with torch.device("meta"):
        model = nn.Linear(84, 10)
    rules = ["fc3.{r} -> {r}", "drop:conv*.* fc*.*"]
    with pytest.raises(ValueError, match="no memory for 'weight' .* assign=True"):
        sd.open("lenet.pth").load_into(model, rename=rules)


def test_what_does_not_load_is_explained() -> None:
    with pytest.raises(RuntimeError) as caught:
        sd.open("dataparallel.pth").load_into(nn.Linear(2, 2))
    assert "statedict" in caught.value.__notes__[0]


def test_a_hundred_thousand_keys_are_renamed() -> None:
    state = {f"module.blocks.{i}.w": i for i in range(100_000)}
    new = sd.rename(state, "module.blocks.{i}.{r..} -> layers.{i+1}.{r..}")
    assert new["layers.100000.w"] == 99_999 and len(new) == 100_000
