"""Jobs in parts on a cluster of Ray: `statedict.ray.run("job.json")`.

Everything else of this package works without Ray, which is imported when a job is run.
"""

from __future__ import annotations

import json
import os
from importlib import import_module

from . import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._arguments import AnyPath

__all__ = ["run"]


def run(job: AnyPath, **options: Any) -> _parts.FinishResult:
    """Does all parts of a job, one task for each, and finishes it.

    The job file, the input and the output folder must be where the job file says, on every node. Ray
    does the part of a worker that died again. `options` are those of `ray.remote` for a part:
    `num_cpus`, `memory`, `max_retries`. A cluster is used that `ray.init` finds, or the one that is
    connected already.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise ImportError("Ray is not installed: pip install 'statedict[ray]'") from error
    path = os.path.abspath(job)
    with open(path, encoding="utf-8") as file:
        parts = [part["part"] for part in json.load(file)["parts"] if part["writes"]]
    is_own = not ray.is_initialized()
    if is_own:
        ray.init()
    try:
        task = ray.remote(**{"max_retries": 3, **options})
        ray.get([task(_parts.run_part).remote(path, part) for part in parts])
        finished: _parts.FinishResult = ray.get(task(_parts.finish).remote(path))
        return finished
    finally:
        if is_own:
            ray.shutdown()
