"""State dicts of JAX's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import statedict as sd

jax: Any = pytest.importorskip("jax", reason="JAX is not installed")


def array(*shape: int) -> Any:
    size = int(np.prod(shape))
    return jax.numpy.arange(size, dtype=jax.numpy.float32).reshape(shape)


def test_arrays_are_moved() -> None:
    one, other = array(3), array(2, 2)
    state = sd.rename({"params.a": one, "params.b": other}, "strip:params")
    assert state["a"] is one and state["b"] is other
    assert sd.unwrap({"module.a": one})["a"] is one


def test_rules_of_tensors_make_arrays() -> None:
    whole = array(6, 4)
    rule = "qkv.kernel[(p o) i] -> {p=q,k,v}.kernel[i o]"
    state = sd.rename({"qkv.kernel": whole}, rule)
    assert isinstance(state["k.kernel"], jax.Array)
    assert np.array_equal(state["k.kernel"], np.asarray(whole)[2:4].T)
    back = sd.rename(state, "{p=q,k,v}.kernel[i o] -> qkv.kernel[(p o) i]")
    assert np.array_equal(back["qkv.kernel"], whole)


def test_a_state_dict_is_fitted() -> None:
    source = {"module.first.w": array(4, 8), "module.second.w": array(8, 2)}
    target = {"layers.0.w": array(4, 8), "layers.1.w": array(8, 2)}
    state, plan = sd.fit(source, target)
    assert state["layers.0.w"] is source["module.first.w"]
    assert plan.renamed == {
        "module.first.w": "layers.0.w",
        "module.second.w": "layers.1.w",
    }
    state, plan = sd.fit(source, {**target, "head.w": array(2, 3)}, init={"head.*": "ones"})
    assert isinstance(state["head.w"], jax.Array) and state["head.w"].tolist() == [[1] * 3] * 2
    assert plan.made == ["head.w"]
    half = {key: value.astype(jax.numpy.bfloat16) for key, value in source.items()}
    state, _ = sd.fit(half, target, cast=True)
    assert state["layers.1.w"].dtype == jax.numpy.float32


def test_arrays_are_saved_compared_and_measured() -> None:
    state = {"a": array(3), "half": array(4).astype(jax.numpy.bfloat16), "number": array()}
    sd.save_file(state, "a.safetensors")
    opened = sd.open("a.safetensors", framework="np")
    for key, value in state.items():
        read = jax.numpy.asarray(opened[key])
        assert read.dtype == value.dtype and read.shape == value.shape
        assert np.array_equal(read, value)
    assert sd.diff(state, "a.safetensors").same
    assert sd.stats(state, "a")[0].max == 2
