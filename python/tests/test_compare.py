"""Differences and figures, of files and of what is in memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import statedict as sd


def test_files_and_dicts_and_modules_are_compared() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    torch.save(model.state_dict(), "a.pth")
    sides: list[Any] = ["a.pth", sd.open("a.pth"), model, model.state_dict(), sd.load_file("a.pth")]
    for a in sides:
        for b in sides:
            assert sd.diff(a, b).same, (a, b)


def test_what_differs_is_listed() -> None:
    a = {"w": torch.zeros(4), "t": torch.ones(2), "s": torch.ones(2), "old": torch.rand(3)}
    b = {"w": torch.tensor([0, 0, 3.0, 0]), "t": torch.ones(2).half(), "s": torch.ones(3)}
    b["new"], b["extra"] = a["old"], torch.ones(7)
    found = sd.diff(a, b)
    assert not found.same
    assert (found.removed, found.added, found.renamed) == ([], ["extra"], [("old", "new")])
    assert (found.dtypes, found.shapes) == ([("t", "F32", "F16")], [("s", [2], [3])])
    assert (found.values["w"].count, found.values["w"].max_abs) == (1, 3.0)
    assert len(found.rows()) == 5


def test_differences_are_a_table() -> None:
    pytest.importorskip("pandas")
    table = sd.diff({"a": torch.ones(2)}, {"a": torch.zeros(2), "b": torch.ones(1)}).to_pandas()
    assert table["change"].tolist() == ["added", "values"]
    assert table["count"].tolist()[1] == 2


def test_keys_alone_are_compared_without_reading() -> None:
    assert sd.diff({"a": torch.ones(2)}, {"a": torch.zeros(2)}, depth="keys").same
    with pytest.raises(sd.CheckpointError, match="depth='all of it'"):
        sd.diff("lenet.pth", "lenet.pth", depth="all of it")


def test_what_is_beside_the_tensors_is_compared_of_files() -> None:
    for epoch in (1, 2):
        torch.save({"state_dict": {"w": torch.ones(2)}, "epoch": epoch}, f"{epoch}.pth")
    assert sd.diff("1.pth", "2.pth").payload == ["epoch"]
    assert sd.diff("1.pth", "2.pth", depth="weights").same


def test_figures_are_pytorchs() -> None:
    tensor = torch.randn(1000)
    tensor[3], tensor[4] = float("nan"), 0.0
    torch.save({"w": tensor, "n": torch.ones(3, dtype=torch.int64)}, "a.pth")
    for side in ("a.pth", {"w": tensor}, sd.open("a.pth")):
        [found] = sd.stats(side, "w")
        finite = tensor[torch.isfinite(tensor)].double()
        assert (found.count, found.nan, found.zeros) == (1000, 1, 1)
        assert found.mean == pytest.approx(finite.mean().item())
        assert found.max == finite.max().item()
    assert [it.key for it in sd.stats("a.pth")] == ["w", "n"]
    with pytest.raises(sd.CheckpointError):
        sd.stats("a.pth", "nothing.**")


def test_figures_are_a_table() -> None:
    pytest.importorskip("pandas")
    assert sd.stats("lenet.pth").to_pandas()["nan"].sum() == 0
