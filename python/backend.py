"""Builds the package: maturin makes the module, and the command goes beside it.

`STATEDICT_COMMAND` names a command that is built already.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import maturin
from maturin import (  # noqa: F401
    build_sdist,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

HERE = Path(__file__).parent
SCRIPTS = HERE / "data" / "scripts"


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    put_command()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def put_command():
    name = "statedict.exe" if sys.platform == "win32" else "statedict"
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    shutil.copy2(os.environ.get("STATEDICT_COMMAND") or built(name), SCRIPTS / name)


def built(name):
    """The command, stripped: nobody debugs it in a wheel."""
    root = workspace()
    build = ["cargo", "build", "--release", "--package", "statedict", "--bin", "statedict"]
    environment = dict(os.environ, CARGO_PROFILE_RELEASE_STRIP="symbols")
    subprocess.run(build, cwd=root, env=environment, check=True)
    described = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    found = subprocess.run(described, cwd=root, check=True, stdout=subprocess.PIPE)
    return Path(json.loads(found.stdout)["target_directory"]) / "release" / name


def workspace():
    """The folder of the workspace: above this one, or in a source distribution this one."""
    return next(folder for folder in (HERE.parent, HERE) if (folder / "Cargo.lock").is_file())
