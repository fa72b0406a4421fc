"""The examples of docstrings and of the README do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import statedict as sd

README = Path(__file__).parents[1] / "README.md"
MODULES = [info.name for info in pkgutil.iter_modules(sd.__path__) if info.name != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name: str) -> None:
    module = importlib.import_module(f"statedict.{name}")
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    for example in finder.find(module, globs={"sd": sd}):
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore::statedict.StateDictWarning")
def test_the_readme_runs_from_top_to_bottom() -> None:
    known: dict[str, object] = {}
    for block in blocks():
        exec(compile(block, str(README), "exec"), known)
