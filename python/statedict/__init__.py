"""Open, rename, match, convert and check model checkpoints: PyTorch, safetensors, NumPy.

Nothing in a file is run, nothing is lost, and neither PyTorch nor NumPy is imported before a tensor
of theirs is asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._checkpoint import (
        Checkpoint,
        Opaque,
        Slice,
        TensorInfo,
        load_file,
        open,
    )
    from ._compare import (
        Deviation,
        DiffResult,
        StatsResult,
        TensorStats,
        diff,
        stats,
    )
    from ._errors import (
        CheckpointError,
        CollisionError,
        MalformedError,
        UnsafeError,
    )
    from ._explain import (
        explain,
        explaining,
        install_excepthook,
    )
    from ._jobs import (
        CheckResult,
        FileCheck,
        FileResult,
        Finding,
        StateDictWarning,
        apply,
        check,
        convert,
        rename_file,
    )
    from ._memory import (
        Plan,
        fit,
        load_into,
        rename,
        unwrap,
    )
    from ._parts import (
        FinishResult,
        PartResult,
        finish,
        run_part,
    )
    from ._save import (
        save_file,
    )
    from ._statedict import VERSION as __version__

__all__ = [
    "CheckResult",
    "Checkpoint",
    "CheckpointError",
    "CollisionError",
    "Deviation",
    "DiffResult",
    "FileCheck",
    "FileResult",
    "Finding",
    "FinishResult",
    "MalformedError",
    "Opaque",
    "PartResult",
    "Plan",
    "Slice",
    "StateDictWarning",
    "StatsResult",
    "TensorInfo",
    "TensorStats",
    "UnsafeError",
    "__version__",
    "apply",
    "check",
    "convert",
    "diff",
    "explain",
    "explaining",
    "finish",
    "fit",
    "install_excepthook",
    "load_file",
    "load_into",
    "open",
    "rename",
    "rename_file",
    "run_part",
    "save_file",
    "stats",
    "unwrap",
]

# The files in which names are; each is loaded when one of its names is asked for.
_PLACES = {
    "_checkpoint": {"Checkpoint", "Opaque", "Slice", "TensorInfo", "load_file", "open"},
    "_compare": {"Deviation", "DiffResult", "StatsResult", "TensorStats", "diff", "stats"},
    "_errors": {"CheckpointError", "CollisionError", "MalformedError", "UnsafeError"},
    "_explain": {"explain", "explaining", "install_excepthook"},
    "_jobs": {"CheckResult", "FileCheck", "FileResult", "Finding", "StateDictWarning", "apply", "check", "convert", "rename_file"},
    "_memory": {"Plan", "fit", "load_into", "rename", "unwrap"},
    "_parts": {"FinishResult", "PartResult", "finish", "run_part"},
    "_save": {"save_file"},
}  # fmt: skip


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        return import_module("._statedict", __name__).VERSION
    place = next((place for place, names in _PLACES.items() if name in names), None)
    if place is None:
        raise AttributeError(f"module 'statedict' has no attribute {name!r}")
    value = getattr(import_module("." + place, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    hidden = {"TYPE_CHECKING", "annotations"}
    return sorted({*globals(), *__all__} - hidden)
