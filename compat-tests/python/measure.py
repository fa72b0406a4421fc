"""Runs commands and reports what each took of processor time and memory.

A process of its own, since the peak of a new process counts what its parent had when it was made.
"""

import json
import os
import subprocess
import sys
import threading


def run(words, seconds):
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    timer = threading.Timer(seconds, child.kill)
    timer.start()
    streams = {}
    readers = [threading.Thread(target=read, args=(streams, name, getattr(child, name))) for name in ("stdout", "stderr")]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    return streams | {"status": child.returncode, "seconds": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}


def read(streams, name, pipe):
    streams[name] = pipe.read().decode(errors="replace")


def main():
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(run(request["words"], request["seconds"])), flush=True)


if __name__ == "__main__":
    main()
