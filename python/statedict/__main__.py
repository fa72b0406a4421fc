"""`python -m statedict`: the command of the same name, without Python."""

from __future__ import annotations

import os
import sys


def command() -> str:
    """Where the command of this very package is."""
    import sysconfig

    name = "statedict.exe" if os.name == "nt" else "statedict"
    schemes = [sysconfig.get_path("scripts")]
    if hasattr(sysconfig, "get_preferred_scheme"):
        user = sysconfig.get_preferred_scheme("user")
        schemes.append(sysconfig.get_path("scripts", scheme=user))
    # Of an installation into a folder of its own (`pip install --target`).
    schemes.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "bin"))
    for folder in schemes:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"the command is not installed: no '{name}' in {', '.join(schemes)}")


def main() -> int:
    """Becomes the command."""
    words = [command(), *sys.argv[1:]]
    if os.name == "nt":
        import subprocess

        return subprocess.run(words).returncode
    os.execv(words[0], words)


if __name__ == "__main__":
    sys.exit(main())
