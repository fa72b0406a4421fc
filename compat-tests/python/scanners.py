"""Holds other scanners of pickles, and statedict, against a set of files that mean harm, or only look so.

    python3 scanners.py [--statedict PROGRAM] [--python INTERPRETER] [FOLDER]

FOLDER has a `manifest.tsv` as `hostile2` of STATEDICT_CORPUS has, which is the default.
An environment with the scanners of `SCANNERS` is made in the user's cache folder, unless INTERPRETER
has them already; one that cannot be had is skipped, and that is said.
What is printed is a table in Markdown: a file is flagged if a scanner finds an issue or says that it
cannot read it, and passed in silence otherwise.
"""

import argparse
import collections
import csv
import json
import os
import pathlib
import subprocess
import sys

SCANNERS = ("picklescan", "modelscan", "fickling")
SECONDS = 10

# The classes of the manifest, as the table names them; of the last ones silence is right.
HARMFUL = {
    "published gadgets": ["dangerous"],
    "evasive spelling": ["evasion"],
    "hidden by place": ["container"],
    "malformed": ["malformed"],
    "weights-only refuses the operation": ["refused"],
}
HONEST = {
    "honest: admitted, inert": ["safe", "inert", "protocol"],
    "honest: third-party classes": ["unknown"],
}

# Run by the scanners' own interpreter, one file after the other; a line of JSON each.
WORKER = r'''
import io, json, contextlib, logging, os, resource, signal, sys, warnings
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
name, seconds, files = sys.argv[1], int(sys.argv[2]), sys.stdin.read().splitlines()

def picklescan(path):
    from picklescan.scanner import scan_file_path
    result = scan_file_path(path)
    return bool(result.issues_count or result.infected_files or result.scan_err)

def modelscan(path):
    from modelscan.modelscan import ModelScan
    scan = ModelScan()
    scan.scan(path)
    return bool(scan.issues.all_issues or scan.errors)

def fickling(path):
    import zipfile
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import StackedPickle
    if zipfile.is_zipfile(path):
        from fickling.pytorch import PyTorchModelWrapper
        pickles = [PyTorchModelWrapper(path, force=True).pickled]
    else:
        with open(path, "rb") as file:
            pickles = StackedPickle.load(file)
    return any(check_safety(pickle).severity > Severity.LIKELY_SAFE for pickle in pickles)

class Late(BaseException):
    "Not an Exception, which scanners catch and go on."

def late(*_):
    raise Late

import importlib.metadata
print(json.dumps(importlib.metadata.version(name)))
out = sys.stdout
signal.signal(signal.SIGALRM, late)
for path in files:
    # Again each second, for where even that is caught.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            flagged = globals()[name](path)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except BaseException:
        signal.setitimer(signal.ITIMER_REAL, 0)
        flagged = True
    out.write(json.dumps(flagged) + "\n")
    out.flush()
'''


def cached_interpreter():
    """A Python that has as many of the scanners as can be had."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "statedict", "scanners")
    python = cache / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", cache], check=True)
    for scanner in SCANNERS:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", scanner], check=False)
    return python


def scanned(python, scanner, files):
    """The scanner's version and whether it flags each file; none if it is not to be had."""
    words = [python, "-c", WORKER, scanner, str(SECONDS)]
    run = subprocess.run(words, input="\n".join(map(str, files)), capture_output=True, text=True)
    lines = run.stdout.splitlines()
    if not lines:
        print(f"skipped: {scanner} cannot be had: {run.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    answers = [json.loads(line) for line in lines]
    # One that ends before all files are looked at noticed the last, in its way.
    flagged = answers[1:] + [True] * (len(files) + 1 - len(answers))
    return answers[0], flagged


def verdicts(statedict, files):
    for file in files:
        run = subprocess.run([statedict, "check", "--json", file], capture_output=True, text=True)
        yield json.loads(run.stdout.splitlines()[0])["verdict"] if run.stdout else "refused"


def rows(manifest, verdict, others):
    """The lines of the table: the class, how many files, what statedict says, and the others."""
    for name, classes in (HARMFUL | HONEST).items():
        cases = [number for number, row in enumerate(manifest) if row["class"] in classes]
        if name in HARMFUL:
            # A malformed file that is listed as PyTorch reads it may be safe.
            silent = sum(verdict[case] == "safe" for case in cases)
            allowed = sum(verdict[case] == "safe" and manifest[case]["expected"] == "any" for case in cases)
            ours = f"{len(cases) - silent} flagged, {silent} silent" + (f" ({allowed} allowed)" if allowed else "")
            theirs = [sum(not flagged[case] for case in cases) for _, flagged in others.values()]
            yield [name, len(cases), ours, *(f"{count} silent" for count in theirs)]
        else:
            counts = collections.Counter(verdict[case] for case in cases)
            ours = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
            theirs = [sum(flagged[case] for case in cases) for _, flagged in others.values()]
            yield [name, len(cases), ours, *(f"{count} flagged" for count in theirs)]


def default_folder():
    shared = os.environ.get("STATEDICT_CORPUS")
    return pathlib.Path(shared, "hostile2") if shared else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statedict", default="statedict")
    parser.add_argument("--python")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=default_folder())
    options = parser.parse_args()
    if not options.folder or not (options.folder / "manifest.tsv").is_file():
        print("skipped: no folder with a manifest.tsv is named, and STATEDICT_CORPUS has none")
        return
    with open(options.folder / "manifest.tsv") as file:
        manifest = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    files = [options.folder / row["file"] for row in manifest]
    python = options.python or cached_interpreter()
    others = {scanner: scanned(python, scanner, files) for scanner in SCANNERS}
    others = {scanner: found for scanner, found in others.items() if found}
    verdict = list(verdicts(options.statedict, files))
    heads = ["class", "files", "statedict", *(f"{scanner} {version}" for scanner, (version, _) in others.items())]
    for row in [heads, ["---"] * len(heads), *rows(manifest, verdict, others)]:
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
