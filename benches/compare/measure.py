"""Two commands run by turns, and what each took."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Took:
    """What one process took, as the system accounts for it."""

    seconds: float
    #: Seconds of the processors, in the program and in the system for it.
    processor: float
    memory: int
    written: int


@dataclass
class Measured:
    ours: Took
    other: Took | None
    ratio: float | None

    def row(self, work: str, case) -> str:
        cells = [
            work,
            seconds(self.ours.seconds),
            seconds(self.ours.processor),
            size(self.ours.memory),
            size(self.ours.written) if case.writes else "–",
            case.beside or "–",
            seconds(self.other.seconds) if self.other else "–",
            seconds(self.other.processor) if self.other else "–",
            ratio(self.ratio) if self.ratio else "–",
            case.reach,
        ]
        return f"| {' | '.join(cells)} |"


HEADINGS = ["work", "statedict", "processor", "memory", "written", "beside", "takes", "processor", "ratio", "to reach"]


def measured(case, runs: int, before: Callable = lambda case: None) -> Measured:
    """The medians of so many runs of both commands by turns, and of their ratios pair by pair; `before`
    is called between making ready and the clock."""

    def run(command, ready) -> Took:
        ready()
        before(case)
        return timed(command)

    pairs = []
    for _ in range(runs + 1):
        ours = run(case.ours, case.before_ours)
        pairs.append((ours, run(case.other, case.before_other) if case.other else None))
    counted = pairs[1:]
    others = [other for _, other in counted if other]
    ratio = statistics.median(ours.seconds / other.seconds for ours, other in counted) if others else None
    return Measured(median([ours for ours, _ in counted]), median(others) if others else None, ratio)


def median(took: list[Took]) -> Took:
    return Took(
        statistics.median(it.seconds for it in took),
        statistics.median(it.processor for it in took),
        max(it.memory for it in took),
        int(statistics.median(it.written for it in took)),
    )


def timed(command: list) -> Took:
    os.sync()
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    took = time.perf_counter() - start
    written = bytes_written(child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command}: exit {child.returncode}\n{said.decode(errors='replace')}")
    # The peak includes that of this process before it became the other one: some 17 MB.
    return Took(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, written)


def bytes_written(process: int) -> int:
    """The bytes that a process, which has ended, gave to calls that write."""
    with open(f"/proc/{process}/io") as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("wchar"))


def machine(folder) -> str:
    """This machine, in a line."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True).stdout.strip()
    return (
        f"{os.cpu_count()} cores of {model}, {size(memory)} of memory, "
        f"{system.replace('ext2/ext3', 'ext4')}, Linux {platform.release().split('-')[0]}"
    )


def ratio(value: float) -> str:
    return f"{value:.2f}" if value > 0.1 else f"1/{1 / value:,.0f}"


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def size(count: int) -> str:
    for unit, scale in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)]:
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"
