"""The command that is measured."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def built() -> Path:
    """The release binary, built."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "statedict"], cwd=ROOT, check=True)
    return ROOT / "target/release/statedict"
