"""The package itself: what importing it does, and the command in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import statedict as sd


def run(*words: str) -> subprocess.CompletedProcess[str]:
    home = str(Path(sd.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": home}
    command = [sys.executable, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_importing_it_imports_no_framework() -> None:
    names = "torch numpy pandas ml_dtypes typing re dataclasses inspect"
    code = f"""
import sys
before = set(sys.modules)
import statedict
print([name for name in {names.split()} if name in set(sys.modules) - before])
"""
    assert run("-c", code).stdout == "[]\n"


def test_every_name_is_there() -> None:
    for name in sd.__all__:
        assert getattr(sd, name) is not None
        assert name in dir(sd)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", sd.__version__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(sd, "no_such_name")


def test_every_public_thing_is_documented() -> None:
    for name in sd.__all__:
        assert name == "__version__" or getattr(sd, name).__doc__, name
