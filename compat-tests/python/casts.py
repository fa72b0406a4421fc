"""Casts inside a `.pth`: random files that share, view and wrap tensors, and whether a cast changed only what it is for."""

import random
from collections import OrderedDict

import torch

import same

DTYPES = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "f8_e4m3": torch.float8_e4m3fn,
    "torch.float8_e5m2": torch.float8_e5m2,
}
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 65504.0, 65519.9, 65520.0, 1e-8, 6e-8, 1e38, -3.39e38, 1e300, 1.0 + 2**-11]


def generate(request):
    """Writes a random checkpoint; gives the state dict to cast and the rules."""
    r, legacy = random.Random(request["seed"]), request.get("legacy", False)
    # A legacy stream has no place for types without a storage class: PyTorch cannot load its own.
    untyped = [] if legacy else [torch.float8_e4m3fn, torch.uint16]
    new = [] if legacy else [["f8_e4m3"], ["torch.float8_e5m2"], ["a.**=f8_e4m3", "bf16"], ["**.weight=f8_e4m3", "**.bias=torch.float8_e5m2"]]
    rules = r.choice(new + [["f16"], ["bf16"], ["f64"], ["a.**=f16"], ["b.**=bf16", "f32"], ["**.weight=f16", "**.bias=bf16"], ["fc.**=f32"]])
    pool, state = Pool(r, untyped, has_leaves=rules not in new), OrderedDict()
    for i in range(r.randint(2, 9)):
        state[r.choice(["a", "b.c", "model.layer", "fc"]) + f".{i}." + r.choice(["weight", "bias", "running_mean"])] = pool.tensor()
    if r.random() < 0.5:
        state._metadata = OrderedDict({"": {"version": 1}})
    beside = [pool.tensor() for _ in range(r.randint(0, 2))]
    ema = OrderedDict((key, value if r.random() < 0.5 else pool.tensor()) for key, value in state.items())
    root, at = r.choice(
        [
            (state, ""),
            ({"model": state, "epoch": 3}, "model"),
            ({"state_dict": state, "optimizer": {"state": {0: {"exp_avg": t} for t in beside}, "param_groups": [{"lr": 0.1, "params": [0]}]}}, "state_dict"),
            ({"kept": beside, "net": {"ema": ema, "now": state}, "name": "fc.0.weight"}, "net/now"),
        ]
    )
    protocol = r.choice([2, 2, 3, 4, 5])
    torch.save(root, request["file"], pickle_protocol=2 if legacy else protocol, _use_new_zipfile_serialization=not legacy)
    return {"at": at, "rules": rules}


class Pool:
    """Tensors of their own, and such that share with those before: the object, its storage, a part of it."""

    def __init__(self, r, untyped, has_leaves):
        # PyTorch cannot load its own tensors of 8-bit floats that require a gradient and are not parameters.
        self.r, self.made, self.has_leaves = r, [], has_leaves
        self.dtypes = FLOATS + [torch.float32, torch.int64, torch.uint8, torch.bool, torch.complex64] + untyped

    def tensor(self):
        made = self.shared() if self.made and self.r.random() < 0.5 else self.new()
        self.made.append(made)
        return made

    def shared(self):
        old = self.r.choice(self.made)
        bare = old.detach()
        row = bare[:1] if bare.dim() else bare
        turned = bare.t() if bare.dim() == 2 else bare
        return self.r.choice([old, bare, bare.view_as(bare), row, turned])

    def new(self):
        r = self.r
        shape = r.choice([(), (0,), (3,), (4, 5), (2, 3, 2), (1,)])
        dtype = r.choice(self.dtypes)
        numbers = [r.choice(SPECIAL) if r.random() < 0.2 else r.uniform(-9, 9) for _ in range(torch.Size(shape).numel())]
        values = torch.tensor(numbers, dtype=torch.float64)
        if not dtype.is_floating_point:
            values = values.nan_to_num(0, 9, 9).clamp(0, 9)
        made = values.to(dtype).reshape(shape)
        if r.random() < 0.3 and len(shape) == 2:
            made = made.t()
        if dtype in FLOATS and r.random() < 0.2:
            return torch.nn.Parameter(made.contiguous(), requires_grad=r.random() < 0.5)
        is_leaf = self.has_leaves and dtype in FLOATS and r.random() < 0.1
        return made.clone().requires_grad_() if is_leaf else made


def judge(request):
    """None if the new file is the old one with these tensors cast and nothing else changed."""
    old, new = (torch.load(request[side], weights_only=False) for side in ("old", "new"))
    mine, theirs = at(old, request["at"]), at(new, request["at"])
    if list(mine) != list(theirs):
        return f"keys {list(mine)} became {list(theirs)}"
    casts = {key: to for key, value in mine.items() if (to := rule(request["rules"], key, value)) is not None and value.dtype != to}
    for key, to in casts.items():
        if problem := cast_problem(mine[key], theirs[key], to):
            return f"{key}: {problem}"
    for a in casts:
        for b in casts:
            before = storage(mine[a]) == storage(mine[b]) and mine[a].dtype == mine[b].dtype and casts[a] == casts[b]
            if mine[a].numel() and mine[b].numel() and before != (storage(theirs[a]) == storage(theirs[b])):
                return f"{a} and {b} share on one side only"
    for state in (mine, theirs):
        for key in casts:
            state[key] = None
    return same.difference(old, new)


def at(root, path):
    for part in filter(None, path.split("/")):
        root = root[part]
    return root


def rule(rules, key, value):
    """The type that a tensor is to get; patterns are of the forms that `generate` uses."""
    if not value.is_floating_point():
        return None
    bare = None
    for text in rules:
        pattern, _, name = text.rpartition("=")
        if not pattern:
            bare = DTYPES[name]
        elif pattern.startswith("**") and key.endswith(pattern[2:]) or pattern.endswith("**") and key.startswith(pattern[:-2]):
            return DTYPES[name]
    return bare


def storage(tensor):
    return tensor.untyped_storage().data_ptr()


def cast_problem(old, new, to):
    if type(old) is not type(new) or old.requires_grad != new.requires_grad:
        return f"{type(old)} became {type(new)}, or requires_grad changed"
    if new.dtype != to or (old.shape, old.stride(), old.storage_offset()) != (new.shape, new.stride(), new.storage_offset()):
        return f"{new.dtype} {new.shape} {new.stride()} {new.storage_offset()}"
    old, new = old.detach().to(to).contiguous(), new.detach().contiguous()
    numbers = ~(old.isnan() & new.isnan())
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[to.itemsize]
    bits = [each.flatten().view(whole)[numbers.flatten()] for each in (old, new)]
    return None if torch.equal(*bits) else f"{old} is not {new}"
