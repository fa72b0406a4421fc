"""A network that PyTorch saved under `nn.DataParallel`, in a folder of each test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import statedict as sd

LENET = Path(__file__).parents[2] / "cli" / "examples" / "lenet-dataparallel.pth"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that tests and examples work in, with `wrapped.pth` and `lenet.pth`."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(LENET, "dataparallel.pth")
    sd.rename_file("dataparallel.pth", "unwrap", output="lenet.pth")
    return tmp_path
