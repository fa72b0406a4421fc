"""Answers requests of the tests: one JSON object a line in, one a line out.

Starting Python with PyTorch takes seconds and a request milliseconds, so one process serves a whole
test program.
"""

import io
import json
import struct
import sys
import traceback
import zipfile

import torch

import apart
import casts
import changed
import complaints
import convert
import dtypes
import edited
import figures
import formulas
import grown
import hostile
import layouts
import lossless
import made
import operate
import printed
import protocols
import pruned
import renamings
import reports
import shards
import story
import transfer
import truth
import zoo

ACTIONS = {
    "zoo": lambda request: zoo.generate(request["folder"]),
    "truth": lambda request: truth.rows(request["file"]),
    "operation": operate.judge,
    "edited": edited.judge,
    "same": edited.same,
    "which": edited.which,
    "conversion": convert.judge,
    "random-cast": casts.generate,
    "judge-cast": casts.judge,
    "versions": lambda request: convert.versions(request["file"], request["at"]),
    "dtypes": dtypes.generate,
    "same-dtype": dtypes.judge,
    "numbers": dtypes.numbers,
    "same-numbers": dtypes.same_numbers,
    "figures": figures.rows,
    "figures-histogram": figures.histogram,
    "figures-numbers": figures.generate,
    "layouts": layouts.generate,
    "lost": layouts.judge,
    "printed": printed.generate,
    "printed-files": printed.judge,
    "pruned": pruned.generate,
    "judge-pruned": pruned.judge,
    "protocols": lambda request: protocols.generate(request["folder"]),
    "rewritten": protocols.rewritten,
    "shards": shards.judge,
    "made": lambda request: made.generate(request["folder"]),
    "judge-made": made.judge,
    "reports": lambda request: reports.generate(request["folder"]),
    "judge-report": reports.judge,
    "renamings": lambda request: renamings.generate(request["folder"]),
    "hostile": lambda request: hostile.generate(request["folder"]),
    "admitted": lambda request: hostile.admitted(request["out"]),
    "random": lossless.generate,
    "judge-random": lossless.judge,
    "pickles": lossless.pickles,
    "story": story.answer,
    "transfer": transfer.answer,
    "formulas": formulas.answer,
    "grown": grown.answer,
    "apart": apart.generate,
    "changed": changed.generate,
    "complaints": lambda request: complaints.provoke(request["folder"]),
    "judge-complaint": complaints.judge,
    "script": lambda request: script(request["script"], request["out"]),
}


def script(text, out):
    """Runs a few lines of a test that write the file `out`."""
    exec(text, {"io": io, "struct": struct, "torch": torch, "zipfile": zipfile, "out": out})


def main():
    out = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": ACTIONS[request["do"]](request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
