"""Errors of loading say what they mean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import statedict as sd
from test_package import run

BARE = ["conv1", "conv2", "fc1", "fc2", "fc3"]


class Lenet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)


def explained(path: str | None = "dataparallel.pth") -> str:
    with pytest.raises(RuntimeError) as caught, sd.explaining(path):
        Lenet().load_state_dict(torch.load("dataparallel.pth"))
    [note] = caught.value.__notes__
    return note


def test_the_error_carries_a_fix_that_was_tried() -> None:
    note = explained()
    assert "DataParallel" in note
    assert "fix (verified on dataparallel.pth, all 10 missing keys found):" in note


def test_the_fix_is_a_call_that_fixes_it() -> None:
    call = explained().splitlines()[-1].strip()
    exec(f"import statedict\n{call}", {})
    [output] = [path for path in Path().glob("dataparallel-*.pth")]
    Lenet().load_state_dict(torch.load(output))


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError) as caught, sd.explaining("lenet.pth"):
        1 / 0
    assert not getattr(caught.value, "__notes__", [])


def test_a_file_that_is_not_there_hides_no_error() -> None:
    with pytest.raises(RuntimeError), sd.explaining("nowhere.pth"):
        Lenet().load_state_dict(torch.load("dataparallel.pth"))


def test_an_error_is_explained_once() -> None:
    with pytest.raises(RuntimeError) as caught, sd.explaining(), sd.explaining():
        Lenet().load_state_dict(torch.load("dataparallel.pth"))
    assert len(caught.value.__notes__) == 1


def test_an_unknown_text_is_not_explained() -> None:
    assert sd.explain("it does not work") is None


RAISES = (
    "raise RuntimeError('Error(s) in loading state_dict for Net: "
    'Missing key(s) in state_dict: "fc.w". Unexpected key(s) in state_dict: "module.fc.w". \')'
)


def test_the_hook_explains_what_nobody_catches() -> None:
    found = run("-c", f"import statedict as sd; sd.install_excepthook(); {RAISES}")
    assert found.returncode == 1
    assert (
        "RuntimeError" in found.stderr and 'statedict.rename_file("CKPT", "unwrap"' in found.stderr
    )


def test_the_hook_explains_in_ipython() -> None:
    pytest.importorskip("IPython")
    code = f"import statedict as sd; sd.install_excepthook()\n{RAISES}"
    Path("code.ipy").write_text(code)
    home = str(Path(sd.__file__).parents[1])
    words = [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", "code.ipy"]
    environment = {"PYTHONPATH": home, "HOME": ".", "PATH": "/usr/bin"}
    found = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert 'statedict.rename_file("CKPT", "unwrap"' in found.stdout + found.stderr
