"""Writes `texts/admitted.tsv`: what weights-only loading admits, and how it maps old names.

    python admitted.py > ../texts/admitted.tsv

The model of its machine (`src/restricted`) reads it; `everything_that_is_admitted_is_in_the_table`
says when a newer PyTorch admits more.
"""

import torch
from torch._utils import IMPORT_MAPPING, NAME_MAPPING
from torch._weights_only_unpickler import _get_allowed_globals

from truth import TORCH_NAMES


def kind(thing):
    if isinstance(thing, torch.dtype):
        return f"dtype {TORCH_NAMES.get(thing, thing)}"
    if thing is torch.UntypedStorage:
        return "storage U8"
    if isinstance(thing, torch.serialization.StorageType):
        return f"storage {TORCH_NAMES.get(thing.dtype, thing.dtype)}"
    return "callable" if callable(thing) else "value"


def rows():
    for path, thing in sorted(_get_allowed_globals().items()):
        yield f"admits\t{path}\t{kind(thing)}"
    for module, new in sorted(IMPORT_MAPPING.items()):
        yield f"module\t{module}\t{new}"
    for (module, name), new in sorted(NAME_MAPPING.items()):
        yield f"name\t{module} {name}\t{' '.join(new)}"


if __name__ == "__main__":
    print("\n".join(rows()))
