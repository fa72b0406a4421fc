"""Files into files: checking, converting, renaming, recipes."""

from __future__ import annotations

import warnings

from . import _statedict
from ._arguments import casts, existing, rules, size
from ._arguments import metadata as checked_metadata
from ._arguments import path as as_text
from ._errors import UnsafeError
from ._progress import Follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._arguments import DType, Progress, Rules, Size, AnyPath


class StateDictWarning(UserWarning):
    """Something was done, and not all of it as one may expect."""


class Finding:
    """One thing that `check` found."""

    __slots__ = ("name", "verdict", "what", "where", "why")

    def __init__(self, verdict: str, where: str, what: str, why: str, name: str | None) -> None:
        self.verdict: str = verdict
        """`dangerous`, `malformed` or `unknown`; `safe` for a note."""
        self.where: str = where
        self.what: str = what
        self.why: str = why
        self.name: str | None = name
        """The class or function that it is about, if it is about one."""

    def __repr__(self) -> str:
        return f"Finding({self.verdict}: {self.where}: {self.what}: {self.why})"


class FileCheck:
    """What was found of one file."""

    __slots__ = ("findings", "notes", "path", "verdict")

    def __init__(
        self, path: str, verdict: str, findings: list[Finding], notes: list[Finding]
    ) -> None:
        self.path: str = path
        self.verdict: str = verdict
        self.findings: list[Finding] = findings
        self.notes: list[Finding] = notes

    def __repr__(self) -> str:
        return f"FileCheck({self.path!r}, {self.verdict})"


_WORST = ("safe", "unknown", "malformed", "dangerous")


class CheckResult:
    """What was found of a file, or of all files of a folder."""

    __slots__ = ("files",)

    def __init__(self, files: list[FileCheck]) -> None:
        self.files: list[FileCheck] = files

    @property
    def verdict(self) -> str:
        """`safe`, `unknown`, `malformed` or `dangerous`; the worst of the files'."""
        return max((file.verdict for file in self.files), key=_WORST.index, default="safe")

    @property
    def findings(self) -> list[Finding]:
        """What speaks against the files, the worst first."""
        found = [finding for file in self.files for finding in file.findings]
        return sorted(found, key=lambda finding: -_WORST.index(finding.verdict))

    def raise_for_verdict(self) -> None:
        """Raises `UnsafeError` unless the verdict is `safe`."""
        for file in self.files:
            if file.verdict != "safe":
                lines = [f"{it.where}: {it.what}: {it.why}" for it in file.findings[:8]]
                lines = [f"{file.path}: {file.verdict}", *lines]
                message = "\n  ".join(_statedict.printable(line) for line in lines)
                raise UnsafeError(message, kind=file.verdict, path=file.path)

    def __repr__(self) -> str:
        files = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        return f"CheckResult({self.verdict}, {files})"


def check(path: AnyPath, *, allow: Iterable[str] = (), progress: Progress = None) -> CheckResult:
    """Checks a file, or the files of a folder: is it whole, and what would unpickling it run?

    Nothing is run. `allow` has full names of classes to take for safe; known harm stays harm.

    >>> result = sd.check("lenet.pth")
    >>> result.verdict
    'safe'
    """
    with Follow(progress, "check") as follow:
        found = _statedict.check(existing(path), list(allow), follow)
    files = []
    for name, verdict, findings, notes in found:
        rows = [Finding(*row) for row in findings], [Finding(*row) for row in notes]
        files.append(FileCheck(name, verdict, *rows))
    return CheckResult(files)


class FileResult:
    """What was done to a file, or would be."""

    __slots__ = ("bytes", "counts", "files", "notes", "output", "plan_json")

    def __init__(
        self,
        counts: list[tuple[str, int]],
        output: str | None,
        bytes: int,
        files: int,
        notes: list[tuple[str, bool]],
        plan_json: str,
    ) -> None:
        self.counts: dict[str, int] = dict(counts)
        """How many keys were `renamed`, `unchanged`, `dropped`; tensors `regrouped`, `made`, `cast`."""
        self.output: str | None = output
        """The file that was written; none if nothing was."""
        self.bytes: int = bytes
        """Bytes that were written, or would be."""
        self.files: int = files
        self.notes: list[str] = [note for note, _ in notes]
        """What was not done, or not wholly."""
        self.plan_json: str = plan_json
        """The plan, as `apply` reads it from a file."""

    @property
    def renamed(self) -> int:
        """How many keys got another name."""
        return self.counts["renamed"]

    @property
    def dropped(self) -> int:
        """How many keys were taken out."""
        return self.counts["dropped"]

    def __repr__(self) -> str:
        some = ", ".join(f"{number} {what}" for what, number in self.counts.items() if number)
        return f"FileResult({self.output!r}: {some or 'nothing changed'})"


def convert(
    path: AnyPath,
    output: AnyPath,
    *,
    dtype: DType | Mapping[str, DType] | None = None,
    at: str | None = None,
    max_shard_size: Size | None = None,
    metadata: Mapping[str, str] | None = None,
    ties: str = "each",
    alone: bool = False,
    protocol: int | None = None,
    strict: bool = False,
    weights_only: bool = False,
    overwrite: bool = False,
    progress: Progress = None,
) -> FileResult:
    """Writes a checkpoint in another format, which the extension of `output` names.

    `dtype` casts floating-point tensors: one type for all, or types by patterns of keys. With
    `max_shard_size`, `output` is a folder of shards with an index.

    >>> sd.convert("lenet.pth", "half.safetensors", dtype="bfloat16").counts["cast"]
    10
    """
    options = _options(
        at=at, casts=casts(dtype), max_shard_size=size(max_shard_size), ties=ties, alone=alone,
        protocol=protocol, weights_only=weights_only, overwrite=overwrite,
        metadata=checked_metadata(metadata), choices=_choices(strict=strict, allow_unchanged=True),
    )  # fmt: skip
    return _run(path, as_text(output), options, progress)


def rename_file(
    path: AnyPath,
    *rule: Rules,
    output: AnyPath | None = None,
    in_place: bool = False,
    at: str | None = None,
    dtype: DType | Mapping[str, DType] | None = None,
    sizes: Mapping[str, int] | None = None,
    metadata: Mapping[str, str] | None = None,
    strict: bool = False,
    only: bool = False,
    allow_unchanged: bool = False,
    alone: bool = False,
    overwrite: bool = False,
    save_plan: AnyPath | None = None,
    progress: Progress = None,
) -> FileResult:
    """Renames the keys of a file, by rules that are given together.

    With neither `output` nor `in_place` nothing is written: the result says what would be.

    >>> sd.rename_file("lenet.pth", "add:module", output="wrapped.pth").renamed
    10
    >>> sd.rename_file("wrapped.pth", "strip:module", in_place=True).renamed
    10
    """
    given = [text for one in rule for text in rules(one)]
    options = _options(
        at=at, rules=given, in_place=in_place, casts=casts(dtype), alone=alone,
        sizes=list((sizes or {}).items()), overwrite=overwrite, save_plan=_optional(save_plan),
        metadata=checked_metadata(metadata),
        choices=_choices(strict=strict, only=only, allow_unchanged=allow_unchanged),
    )  # fmt: skip
    return _run(path, output, options, progress)


def apply(
    recipe: AnyPath,
    path: AnyPath,
    output: AnyPath | None = None,
    *,
    in_place: bool = False,
    inverse: bool = False,
    at: str | None = None,
    dtype: DType | Mapping[str, DType] | None = None,
    sizes: Mapping[str, int] | None = None,
    config: AnyPath | None = None,
    max_shard_size: Size | None = None,
    strict: bool = False,
    only: bool = False,
    allow_unchanged: bool = False,
    overwrite: bool = False,
    save_plan: AnyPath | None = None,
    progress: Progress = None,
) -> FileResult:
    """Applies a recipe (TOML), a saved plan (JSON), or a recipe of the library (`hf-to-meta:llama`).

    >>> with open("recipe.toml", "w") as file:
    ...     _ = file.write('[[stage]]\\nadd = "backbone"\\n')
    >>> sd.apply("recipe.toml", "lenet.pth", "backbone.pth").renamed
    10
    """
    options = _options(
        at=at, recipe=as_text(recipe), inverse=inverse, in_place=in_place, casts=casts(dtype),
        sizes=list((sizes or {}).items()), config=_optional(config), max_shard_size=size(max_shard_size),
        overwrite=overwrite, save_plan=_optional(save_plan),
        choices=_choices(strict=strict, only=only, allow_unchanged=allow_unchanged),
    )  # fmt: skip
    return _run(path, output, options, progress)


def _optional(path: AnyPath | None) -> str | None:
    return None if path is None else as_text(path)


def _choices(
    *, strict: bool = False, only: bool = False, allow_unchanged: bool = False
) -> dict[str, bool]:
    return {"strict": strict, "only": only, "allow_unchanged": allow_unchanged}


def _options(**given: Any) -> dict[str, Any]:
    """All that can be asked of a file, so far as it is not given as it is by default."""
    usual: dict[str, Any] = {
        "at": None, "rules": [], "recipe": None, "inverse": False, "sizes": [], "config": None,
        "in_place": False, "casts": [], "ties": "each", "alone": False, "protocol": None,
        "max_shard_size": None, "metadata": [], "weights_only": False, "overwrite": False,
        "save_plan": None,
    }  # fmt: skip
    if given.get("ties", "each") not in ("each", "one"):
        raise ValueError(f"ties: expected 'each' or 'one', found {given['ties']!r}")
    if given.get("protocol") not in (None, 2):
        raise ValueError(f"protocol: expected 2, found {given['protocol']!r}")
    return {**usual, **given}


def _run(
    path: AnyPath, output: AnyPath | None, options: dict[str, Any], progress: Progress
) -> FileResult:
    if options["in_place"] and output is not None:
        raise ValueError("output and in_place exclude each other")
    request = {**options, "path": as_text(path), "output": _optional(output)}
    with Follow(progress, "write") as follow:
        done = _statedict.rename_file(request, follow)
    result = FileResult(*done)
    for note, is_loud in done[4]:
        if is_loud and result.output is not None:
            warnings.warn(note, StateDictWarning, stacklevel=3)
    return result
