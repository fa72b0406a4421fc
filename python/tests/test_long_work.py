"""Long work stops when it is asked to, and many openings leave nothing behind."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import statedict as sd


def test_ctrl_c_stops_a_save_that_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, interrupted = sorted(folder.iterdir()), threading.Event()

    def handler(number: int, frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def slow(key: str, value: torch.Tensor) -> Any:
        def read(offset: int, length: int) -> bytes:
            _thread.interrupt_main()
            interrupted.wait()
            return bytes(length)

        return value.nbytes, read

    monkeypatch.setattr("statedict._save.reader", slow)
    old = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            sd.save_file({"a": torch.ones(1000)}, "a.pth")
    finally:
        signal.signal(signal.SIGINT, old)
    assert sorted(folder.iterdir()) == before


def test_other_threads_run_while_a_file_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()

    def other() -> None:
        asked.wait()
        answered.set()

    def slow(key: str, value: torch.Tensor) -> Any:
        def read(offset: int, length: int) -> bytes:
            asked.set()
            answered.wait()
            return bytes(length)

        return value.nbytes, read

    monkeypatch.setattr("statedict._save.reader", slow)
    thread = threading.Thread(target=other)
    thread.start()
    sd.save_file({"a": torch.ones(1000)}, "a.pth")
    thread.join()


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("framework", ["np", "pt"])
def test_ten_thousand_openings_leave_nothing(framework: str) -> None:
    sd.save_file({"a": torch.ones(64), "b": torch.ones(2, 2)}, "a.safetensors")

    def work(times: int) -> None:
        for _ in range(times):
            opened = sd.open("a.safetensors", framework=framework)
            assert opened["a"].shape == (64,) and opened.get("c") is None
        gc.collect()

    work(1000)
    memory, files = resident(), open_files()
    work(9000)
    assert open_files() == files
    # A kilobyte for each would be more.
    assert resident() - memory < 8 << 20
