"""python -m conversions FOLDER [SEED [SIZE [NAME ...]]]: writes every case whose converter is here.

Prints a JSON document: the cases that were made, and why others were not.
"""
import contextlib
import importlib
import json
import sys
import traceback

from . import FAMILIES, write

MODULES = ["transformers5", "transformers4", "pytorch_image_models", "diffusers_single_file", "litgpt_scripts"]


def load_modules():
    """Registers the families whose libraries are here, and says of the others why not."""
    missing = {}
    for module in MODULES:
        try:
            importlib.import_module(f".{module}", __package__)
        except ImportError as error:
            missing[module] = str(error)
    return missing


def main(folder, seed=1, size=1, *names):
    made, failed = [], {}
    # Converters print what they do.
    with contextlib.redirect_stdout(sys.stderr):
        missing = load_modules()
        for name in names or FAMILIES:
            try:
                made.append(write(folder, name, int(seed), int(size)))
            except Exception:
                failed[name] = traceback.format_exc()
    json.dump(dict(made=made, missing=missing, failed=failed), sys.stdout, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
