"""What else the machine does while something is measured: nothing, other work, or keeping files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from files import Files

#: Of the memory, what is left to programs when it is full of cached files.
FULL = 0.97


@contextmanager
def busy(asked: bool) -> Iterator[None]:
    """Two processes that do nothing but count, if asked for."""
    count = [sys.executable, "-c", "while True: pass"]
    counting = [subprocess.Popen(count) for _ in range(2)] if asked else []
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def fill_memory(files: Files, reads: list[Path]) -> None:
    """Reads a file of holes that is as long as the memory, and then what is to be in the cache."""
    holes = files.folder / "holes"
    length = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * FULL)
    with open(holes, "wb") as file:
        file.truncate(length)
    for path in [holes, *reads, *reads]:
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
