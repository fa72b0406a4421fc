"""What weights-only loading makes of files: a pool of processes that each may die, hang or balloon.

One request a line, `{"files": [...]}`, is answered by one line: for each file its tensors as
`truth.py` lists them (`{"tensors": [...]}`), or that weights-only loading refuses a global or an
operation (`refused`), that something else was raised (`failed`), or how the process that tried
came to its end (`ended`).
"""

import collections
import ctypes
import gc
import json
import multiprocessing
import pickle
import re
import resource
import signal
import sys
import warnings
from multiprocessing.connection import wait

import numpy as np
import torch

# Whoever saves DTensors has imported this, and only then are they admitted.
import torch.distributed.tensor  # noqa: F401

import truth

WORKERS = 2
SECONDS = 10
# What a load may take beside what PyTorch itself has mapped.
BYTES = 1 << 30
# Containers that hold each other have more paths than there is memory.
ROWS = 20_000
KEYS = (str, int, float, bool, type(None), bytes, complex)
DEPTH = 200
# What `prctl` calls the signal that comes when the parent dies.
PR_SET_PDEATHSIG = 1

# What the restricted unpickler says of globals and operations.  That it does not know an opcode is
# no such refusal: it knows those of protocol 2 alone.
REFUSAL = re.compile(
    r"^(?:\tWeightsUnpickler error: |Weights only load failed. )?"
    r"((?:Unsupported global|Trying to|Can only|Only persistent_load|persistent_load id|Object created by NEWOBJ|``torch.distributed|"
    r"unsupported persistent id).*)",
    re.MULTILINE,
)


def answer(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensors = rows(path)
            json.dumps(tensors, ensure_ascii=False).encode()
            return {"tensors": tensors}
    except UnicodeEncodeError:
        return {"ended": "a key that is not Unicode text"}
    except Unlisted as unlisted:
        return {"ended": str(unlisted)}
    except (Exception, RecursionError) as error:
        return raised(error)


def raised(error):
    said, refusal = str(error), None
    if isinstance(error, pickle.UnpicklingError):
        refusal = REFUSAL.search(said)
    if refusal:
        return {"refused": refusal[1][:300]}
    operand = re.search(r"Unsupported operand \d+", said)
    return {"failed": operand[0] if operand else f"{type(error).__name__}: {said[:300]}"}


def rows(path):
    if path.endswith(".npz"):
        with np.load(path, allow_pickle=False) as archive:
            # What is not an array is given as its bytes.
            arrays = {key: archive[key] for key in archive.files}
            arrays = {key: array for key, array in arrays.items() if not isinstance(array, bytes)}
            rows = [truth.numpy_row(key, array) for key, array in arrays.items()]
            if any(row["dtype"] == "other" for row in rows):
                raise Unlisted("a type that only NumPy has")
            return rows
    if path.endswith(".safetensors"):
        return truth.safetensors_rows(path)
    value = torch.load(path, map_location="cpu", weights_only=True)
    bounded(value)
    try:
        return truth.torch_rows(value)
    except RuntimeError as error:
        # A tensor can be loaded whose elements nobody can write out.
        raise Unlisted(f"loaded, and not listed: {error}") from error


class Unlisted(Exception):
    pass


def bounded(value):
    """Raises if a value has more paths than anyone would list."""
    left = ROWS
    level = [value]
    for _ in range(DEPTH):
        level = [child for item in level for child in children(item)][: ROWS + 1]
        left -= len(level)
        if left < 0:
            break
        if not level:
            return
    raise Unlisted("more paths than anyone would list")


def children(value):
    if isinstance(value, dict):
        if not all(is_plain(key) for key in value):
            raise Unlisted("a key that is printed as its object is")
        return value.values()
    return value if type(value) in (list, tuple) else ()


def is_plain(key):
    """True for keys that are printed by their values alone."""
    return all(map(is_plain, key)) if type(key) is tuple else isinstance(key, KEYS)


class Worker:
    """A process that is forked when all modules are there, and again when it has died."""

    def __init__(self):
        self.start()

    def start(self):
        self.pipe, there = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=work, args=(there,), daemon=True)
        self.process.start()
        there.close()
        self.number = None

    def ask(self, number, path):
        self.number = number
        self.pipe.send(path)

    def stop(self):
        self.process.kill()
        self.process.join()
        self.pipe.close()


def work(pipe):
    # Every worker holds the pipes of those before it, so none of them ends where the parent is killed.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + BYTES, mapped + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        said = answer(path)
        pipe.send(said)
        gc.collect(0)


def judge(workers, files):
    """Every file asked of whichever worker is free; one that dies or takes too long is replaced."""
    answers = [None] * len(files)
    todo = collections.deque(enumerate(files))
    while todo or any(worker.number is not None for worker in workers):
        for worker in workers:
            if worker.number is None and todo:
                worker.ask(*todo.popleft())
        busy = {worker.pipe: worker for worker in workers if worker.number is not None}
        ready = wait(busy, timeout=SECONDS)
        for pipe in ready or busy:
            worker = busy[pipe]
            answers[worker.number] = received(worker) if ready else {"ended": f"still loading after {SECONDS} s"}
            worker.number = None
            if not ready or not worker.process.is_alive():
                worker.stop()
                worker.start()
    return answers


def received(worker):
    try:
        return worker.pipe.recv()
    except EOFError:
        worker.process.join()
        return {"ended": f"exit status {worker.process.exitcode}"}


def main():
    out = sys.stdout
    sys.stdout = sys.stderr
    torch.set_num_threads(1)
    workers = [Worker() for _ in range(WORKERS)]
    for line in sys.stdin:
        out.write(json.dumps(judge(workers, json.loads(line)["files"])) + "\n")
        out.flush()


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
