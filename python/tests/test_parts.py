"""Jobs in parts, planned by the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import statedict as sd

STATEDICT = [sys.executable, "-m", "statedict"]


@pytest.fixture
def job() -> str:
    """A job of three parts, with what one machine makes of the same in `one`."""
    words = ["convert", "lenet.pth", "--shard-size", "60KB"]
    subprocess.run([*STATEDICT, *words, "one"], check=True)
    planned = [*words, "out", "--plan-parts", "3", "--job", "job.json"]
    subprocess.run([*STATEDICT, *planned], check=True)
    return "job.json"


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_parts_and_their_end_are_what_one_machine_writes(job: str) -> None:
    first = sd.run_part(job, 1)
    assert (first.part, first.parts, first.found) == (1, 3, []) and first.written
    assert sd.run_part(job, 1).found == first.written
    with pytest.raises(sd.CheckpointError, match="part 2 is not done") as caught:
        sd.finish(job)
    assert caught.value.kind == "refused"
    sd.run_part(job, 2)
    sd.run_part(job, 3)
    assert sd.finish(job).index == "model.safetensors.index.json"
    assert contents("out") == contents("one")


def test_ray_does_a_part_again_whose_worker_was_killed(job: str, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: not run")
    import statedict._parts
    import statedict.ray

    once = tmp_path / "killed"

    def run_part(job: str, part: int) -> sd.PartResult:
        if part == 2 and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return sd.run_part(job, part)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(statedict._parts, "run_part", run_part)
            result = statedict.ray.run(job)
    finally:
        ray.shutdown()
    assert once.exists(), "a worker was killed"
    assert result.files == len(contents("one")) - 1, "all but the index"
    assert contents("out") == contents("one")


def test_nothing_imports_ray_before_it_is_needed() -> None:
    code = "import sys, statedict.ray; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
