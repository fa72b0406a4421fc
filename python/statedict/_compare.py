"""What differs between state dicts and files, and figures of what is in them."""

from __future__ import annotations

import os
from contextlib import contextmanager

from . import _statedict
from ._arguments import existing, rules
from ._checkpoint import Checkpoint
from ._progress import Follow
from ._save import save_file
from ._sides import is_path, state_of
from ._tensors import is_tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._arguments import Progress, Rules
    from ._sides import State


class Deviation:
    """How far the elements of two tensors are apart."""

    __slots__ = ("count", "max_abs", "max_rel", "nan", "of")

    def __init__(
        self, count: int, of: int, max_abs: float | None, max_rel: float | None, nan: int
    ) -> None:
        self.count: int = count
        """Elements that differ."""
        self.of: int = of
        """Elements that were compared."""
        self.max_abs: float | None = max_abs
        self.max_rel: float | None = max_rel
        self.nan: int = nan
        """Elements that are NaN on one side alone."""

    def __repr__(self) -> str:
        return f"Deviation({self.count} of {self.of}, max_abs={self.max_abs})"


class DiffResult:
    """What differs between `a` and `b`."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.same: bool = found["same"]
        """True if nothing does."""
        self.common: int = found["common"]
        """How many keys both have."""
        self.removed: list[str] = found["removed"]
        """Keys that only `a` has."""
        self.added: list[str] = found["added"]
        """Keys that only `b` has."""
        self.renamed: list[tuple[str, str]] = found["renamed"]
        """Keys of `a` whose elements `b` has under another key."""
        self.dtypes: list[tuple[str, str, str]] = found["dtypes"]
        self.shapes: list[tuple[str, list[int], list[int]]] = found["shapes"]
        self.layouts: list[tuple[str, str | None, str | None]] = found["layouts"]
        self.values: dict[str, Deviation] = {key: Deviation(*far) for key, far in found["values"]}
        """Tensors with other elements."""
        self.metadata: list[tuple[str, str | None, str | None]] = found["metadata"]
        self.payload: list[str] = found["payload"]
        """Paths of what else differs."""
        self.not_compared: list[tuple[str, str]] = found["not_compared"]
        """What could not be compared, and why."""
        self.rename: str | None = found["rename"]
        """The rule that renames the keys of `a` as they are in `b`, if one does."""

    def rows(self) -> list[dict[str, Any]]:
        """What differs, one thing in each row."""
        rows: list[dict[str, Any]]
        rows = [{"key": key, "change": "removed"} for key in self.removed]
        rows += [{"key": key, "change": "added"} for key in self.added]
        rows += [{"key": a, "change": "renamed", "a": a, "b": b} for a, b in self.renamed]
        for change, listed in (
            ("dtype", self.dtypes), ("shape", self.shapes), ("layout", self.layouts),
            ("metadata", self.metadata),
        ):  # fmt: skip
            rows += [{"key": key, "change": change, "a": a, "b": b} for key, a, b in listed]
        for key, far in self.values.items():
            figures = {name: getattr(far, name) for name in Deviation.__slots__}
            rows.append({"key": key, "change": "values", **figures})
        rows += [{"key": path, "change": "payload"} for path in self.payload]
        return rows

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame`."""
        import pandas

        columns = ["key", "change", "a", "b", "count", "of", "max_abs", "max_rel", "nan"]
        return pandas.DataFrame(self.rows(), columns=columns)

    def __repr__(self) -> str:
        if self.same:
            return f"DiffResult(same, {self.common} keys)"
        counts = {name: len(getattr(self, name)) for name in (
            "removed", "added", "renamed", "dtypes", "shapes", "layouts", "values", "metadata",
            "payload",
        )}  # fmt: skip
        some = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        return f"DiffResult({some})"


def diff(
    a: State,
    b: State,
    *,
    at: str | None = None,
    at_b: str | None = None,
    depth: str | None = None,
    progress: Progress = None,
) -> DiffResult:
    """Compares files, state dicts and modules, in any pair: keys, types, shapes, and every element.

    `depth` is `keys`, `weights` or `all`, which is usual where both are files: what is beside the
    tensors, too. What is in memory is compared from a temporary file.

    >>> state = sd.load_file("lenet.pth")
    >>> state["fc3.bias"][0] += 1
    >>> found = sd.diff("lenet.pth", state)
    >>> found.same, found.values["fc3.bias"].count
    (False, 1)
    >>> sd.diff("dataparallel.pth", "lenet.pth").rename
    'strip:module.'
    """
    if depth is None:
        depth = "all" if _is_file(a) and _is_file(b) else "weights"
    with _in_file(a, at) as first, _in_file(b, at_b) as second:
        with Follow(progress, "compare") as follow:
            return DiffResult(_statedict.diff(first, second, depth, follow))


def _is_file(side: State) -> bool:
    return is_path(side) or isinstance(side, Checkpoint)


@contextmanager
def _in_file(side: State, at: str | None) -> Iterator[tuple[str, str | None]]:
    """A file that has this state dict, and its path there."""
    if isinstance(side, Checkpoint):
        path, own, *_ = side._arguments
        yield path, own if at is None else at
    elif is_path(side):
        yield existing(side), at
    else:
        from tempfile import TemporaryDirectory

        state = {key: value for key, value in state_of(side, at).items() if is_tensor(value)}
        with TemporaryDirectory(prefix="statedict-") as folder:
            path = os.path.join(folder, "memory.pth")
            save_file(state, path)
            yield path, None


class TensorStats:
    """Figures of one tensor's elements; of finite ones, but for the counts."""

    __slots__ = (
        "absmax", "at", "count", "dtype", "histogram", "inf", "key", "l2", "max", "mean", "min",
        "nan", "shape", "std", "why", "zeros",
    )  # fmt: skip

    def __init__(self, row: dict[str, Any]) -> None:
        found = row["found"]
        numbers = found["numbers"] if found else [None] * 6
        self.at: str = row["at"]
        self.key: str = row["key"]
        self.dtype: str = row["dtype"]
        self.shape: tuple[int, ...] = tuple(row["shape"])
        self.count: int = row["count"]
        """How many elements it has."""
        self.zeros: int | None = found["zeros"] if found else None
        self.nan: int | None = found["nan"] if found else None
        self.inf: int | None = found["inf"] if found else None
        self.mean: float | None = numbers[0]
        self.std: float | None = numbers[1]
        self.min: float | None = numbers[2]
        self.max: float | None = numbers[3]
        self.absmax: float | None = numbers[4]
        self.l2: float | None = numbers[5]
        self.histogram: tuple[float, float, list[int]] | None = (
            found["histogram"] if found else None
        )
        """Where it starts, how wide a bin is, and how many elements are in each."""
        self.why: str | None = row["why"]
        """Why there are no figures, if there are none."""

    def __repr__(self) -> str:
        return f"TensorStats({self.key!r}, mean={self.mean}, std={self.std})"


class StatsResult(list["TensorStats"]):
    """Figures of tensors, in file order."""

    def to_pandas(self) -> Any:
        """The figures as a `pandas.DataFrame`, histograms left out."""
        import pandas

        columns = [
            "at", "key", "dtype", "shape", "count", "mean", "std", "min", "max", "absmax", "l2",
            "zeros", "nan", "inf",
        ]  # fmt: skip
        rows = [{name: getattr(it, name) for name in columns} for it in self]
        return pandas.DataFrame(rows, columns=columns)


def stats(
    path: State, *pattern: Rules, at: str | None = None, progress: Progress = None
) -> StatsResult:
    """Figures of the tensors whose keys match a pattern, or of all: mean, deviation, extremes, NaN.

    >>> [figures] = sd.stats("lenet.pth", "fc3.bias")
    >>> figures.count, figures.nan
    (10, 0)
    """
    patterns = [text for one in pattern for text in rules(one)]
    with _in_file(path, at) as (file, own):
        with Follow(progress, "read") as follow:
            rows = _statedict.stats(file, patterns, own, follow)
    return StatsResult(TensorStats(row) for row in rows)
