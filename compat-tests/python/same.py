"""Whether two loaded values are the same in every way that a program could notice."""

import struct

import numpy as np
import torch

from truth import torch_bytes

ATOMS = (str, int, bool, bytes, type(None), type, torch.dtype, torch.layout, torch.device, complex)


def difference(expected, actual):
    """The first difference as text, or None."""
    try:
        Comparison().same(expected, actual, "")
    except Different as different:
        return str(different)
    return None


class Different(Exception):
    pass


class Comparison:
    """Two graphs of objects walked together; what is shared on one side must be on the other."""

    def __init__(self):
        self.there, self.back, self.alive = {}, {}, []

    def check(self, condition, at, what):
        if not condition:
            raise Different(f"{at or 'root'}: {what}")

    def met(self, expected, actual, at):
        """Whether the pair was walked before; sharing must agree."""
        known, other = self.there.get(expected), self.back.get(actual)
        self.check(known in (None, actual) and other in (None, expected), at, "shared on one side only")
        self.there[expected], self.back[actual] = actual, expected
        return known is not None

    def same(self, expected, actual, at):
        self.check(type(expected) is type(actual), at, f"{type(expected)} became {type(actual)}")
        if isinstance(expected, ATOMS):
            return self.check(expected == actual, at, f"{expected!r} became {actual!r}")
        if isinstance(expected, float):
            return self.check(struct.pack("d", expected) == struct.pack("d", actual), at, f"{expected!r} became {actual!r}")
        self.alive += [expected, actual]
        if not isinstance(expected, tuple) and self.met(id(expected), id(actual), at):
            return None
        if isinstance(expected, torch.Tensor):
            self.tensors(expected, actual, at)
        elif isinstance(expected, (np.ndarray, np.generic)):
            self.check(expected.dtype == actual.dtype and expected.shape == actual.shape, at, "another array")
            self.check(expected.tobytes() == actual.tobytes(), at, "other elements")
        elif isinstance(expected, dict):
            self.mappings(expected, actual, at)
        elif isinstance(expected, (list, tuple)):
            self.check(len(expected) == len(actual), at, "another length")
            for number, (left, right) in enumerate(zip(expected, actual)):
                self.same(left, right, f"{at}[{number}]")
        elif isinstance(expected, (set, frozenset)):
            self.check(expected == actual, at, f"{expected!r} became {actual!r}")
        self.same_attributes(expected, actual, at)

    def same_attributes(self, expected, actual, at):
        left, right = getattr(expected, "__dict__", None), getattr(actual, "__dict__", None)
        if isinstance(left, dict) and isinstance(right, dict):
            self.mappings(left, right, at + ".__dict__")

    def mappings(self, expected, actual, at):
        keys, found = list(expected), list(actual)
        self.check([repr(key) for key in keys] == [repr(key) for key in found], at, f"keys {keys[:5]} became {found[:5]}")
        self.check(getattr(expected, "default_factory", 0) is getattr(actual, "default_factory", 0), at, "another factory")
        for key in keys:
            self.same(expected[key], actual[key], f"{at}[{key!r}]")

    def tensors(self, expected, actual, at):
        for name in ("dtype", "layout", "shape", "device", "requires_grad", "is_quantized"):
            left, right = getattr(expected, name), getattr(actual, name)
            self.check(left == right, at, f"{name} {left} became {right}")
        if expected.is_meta:
            return None
        if expected.layout == torch.sparse_coo:
            return self.parts(("_indices", "_values", "is_coalesced"), expected, actual, at)
        if expected.layout in (torch.sparse_csr, torch.sparse_csc):
            rows = expected.layout == torch.sparse_csr
            indices = ("crow_indices", "col_indices") if rows else ("ccol_indices", "row_indices")
            return self.parts(indices + ("values",), expected, actual, at)
        if expected.is_quantized:
            self.check(expected.qscheme() == actual.qscheme(), at, "another qscheme")
            self.check(torch.equal(expected.int_repr(), actual.int_repr()), at, "other integers")
            return self.check(torch.equal(expected.dequantize(), actual.dequantize()), at, "another scale")
        return self.views(expected, actual, at)

    def parts(self, names, expected, actual, at):
        for name in names:
            left, right = getattr(expected, name)(), getattr(actual, name)()
            if isinstance(left, torch.Tensor):
                self.tensors(left, right, f"{at}.{name}")
            else:
                self.check(left == right, at, name)

    def views(self, expected, actual, at):
        for name in ("stride", "storage_offset", "is_conj", "is_neg"):
            left, right = getattr(expected, name)(), getattr(actual, name)()
            self.check(left == right, at, f"{name} {left} became {right}")
        left, right = expected.untyped_storage(), actual.untyped_storage()
        self.check(left.nbytes() == right.nbytes(), at, "a storage of another size")
        self.check(torch_bytes(expected) == torch_bytes(actual), at, "other elements")
        if not left.nbytes() or self.met(("storage", left._cdata), ("storage", right._cdata), at):
            return
        self.alive += [left, right]
        whole = lambda storage: torch.empty(0, dtype=torch.uint8).set_(storage)
        self.check(torch.equal(whole(left), whole(right)), at, "a storage with other bytes")
