"""Works that put tensors together in another way: what they are made of, and the plans that say so."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Names and shapes, in the order of the file.
Shapes = dict[str, tuple[int, ...]]

#: A new name, and what it is made of.
Made = tuple[str, dict]

HEADS, HEAD = 32, 128
HIDDEN = HEADS * HEAD


@dataclass
class Work:
    """The tensors of one layer, and what is made of them."""

    layer: Callable[[int], Shapes]
    made: Callable[[int], list[Made]]

    def layers(self, gib: float) -> int:
        """How many layers have so many bytes of 16-bit numbers."""
        return max(1, int(gib * 2**30 / (2 * sum(count(shape) for shape in self.layer(0).values()))))

    def shapes(self, gib: float) -> Shapes:
        return {key: shape for i in range(self.layers(gib)) for key, shape in self.layer(i).items()}

    def write_plan(self, path: Path, gib: float) -> None:
        rows = [row for i in range(self.layers(gib)) for row in self.made(i)]
        # Each old name leads to the first tensor that it is a part of.
        fates = {old: new for new, expression in reversed(rows) for old in leaves(expression)}
        section = {"at": "", "keys": [[old, fates.get(old)] for old in self.shapes(gib)], "tensors": rows}
        # A tensor that is made of several has one of their names; the others are gone.
        taken: set[str] = set()
        for pair in section["keys"]:
            pair[1] = None if pair[1] in taken else pair[1]
            taken.add(pair[1])
        path.write_text(json.dumps({"statedict_plan": 2, "state_dicts": [section]}))


def experts() -> Work:
    """Experts as Mixtral has them, one matrix each, stacked: `[e, (p o), i]` of two, `[e, o, i]` of one."""
    number, inner = 8, 3584
    name = lambda layer, expert, part: f"model.layers.{layer}.block_sparse_moe.experts.{expert}.{part}.weight"
    shapes = {"w1": (inner, HIDDEN), "w3": (inner, HIDDEN), "w2": (HIDDEN, inner)}

    def layer(i: int) -> Shapes:
        return {name(i, e, part): shape for e in range(number) for part, shape in shapes.items()}

    def made(i: int) -> list[Made]:
        part = lambda e, which: key(name(i, e, which), shapes[which])
        pairs = [cat([part(e, "w1"), part(e, "w3")], 0) for e in range(number)]
        downs = [part(e, "w2") for e in range(number)]
        return [
            (f"model.layers.{i}.mlp.experts.gate_up_proj", stack(pairs, 0)),
            (f"model.layers.{i}.mlp.experts.down_proj", stack(downs, 0)),
        ]

    return Work(layer, made)


def transposes() -> Work:
    """GPT-2 XL's matrices, which are stored as `[x, o]`, as `[o, x]`."""
    width = 1600
    shapes = {
        "attn.c_attn": (width, 3 * width),
        "attn.c_proj": (width, width),
        "mlp.c_fc": (width, 4 * width),
        "mlp.c_proj": (4 * width, width),
    }

    def layer(i: int) -> Shapes:
        return {f"h.{i}.{name}.weight": shape for name, shape in shapes.items()}

    def made(i: int) -> list[Made]:
        return [(f"layers.{i}.{name}.weight", permute(key(f"h.{i}.{name}.weight", shape), [1, 0])) for name, shape in shapes.items()]

    return Work(layer, made)


def rotary() -> Work:
    """Llama's query and key as Meta has them, as Hugging Face has them: `[(h x 2) d] -> [(h 2 x) d]`."""
    inner = 11008
    shapes = {
        "attention.wq": (HIDDEN, HIDDEN),
        "attention.wk": (HIDDEN, HIDDEN),
        "attention.wv": (HIDDEN, HIDDEN),
        "attention.wo": (HIDDEN, HIDDEN),
        "feed_forward.w1": (inner, HIDDEN),
        "feed_forward.w2": (HIDDEN, inner),
        "feed_forward.w3": (inner, HIDDEN),
    }
    turned = {"attention.wq", "attention.wk"}

    def layer(i: int) -> Shapes:
        return {f"layers.{i}.{name}.weight": shape for name, shape in shapes.items()}

    def made(i: int) -> list[Made]:
        def tensor(name: str) -> dict:
            of = key(f"layers.{i}.{name}.weight", shapes[name])
            return halves(of, shapes[name]) if name in turned else of

        return [(f"model.layers.{i}.{name}.weight", tensor(name)) for name in shapes]

    return Work(layer, made)


def rotary_alone() -> Work:
    """The same of a file that has nothing but such matrices."""
    shape = (HIDDEN, HIDDEN)
    name = lambda i: f"layers.{i}.attention.wq.weight"
    return Work(
        lambda i: {name(i): shape},
        lambda i: [(f"model.layers.{i}.self_attn.q_proj.weight", halves(key(name(i), shape), shape))],
    )


def halves(of: dict, shape: tuple[int, ...]) -> dict:
    pairs = reshape(of, [HEADS, HEAD // 2, 2, shape[1]])
    return reshape(permute(pairs, [0, 2, 1, 3]), list(shape))


def key(name: str, shape: tuple[int, ...]) -> dict:
    return {"key": {"name": name, "shape": list(shape)}}


def cat(of: list[dict], dim: int) -> dict:
    return {"cat": {"of": of, "dim": dim}}


def stack(of: list[dict], dim: int) -> dict:
    return {"stack": {"of": of, "dim": dim}}


def permute(of: dict, dims: list[int]) -> dict:
    return {"permute": {"of": of, "dims": dims}}


def reshape(of: dict, shape: list[int]) -> dict:
    return {"reshape": {"of": of, "shape": shape}}


def leaves(expression: dict) -> list[str]:
    """The names of the tensors that it is made of."""
    [(step, arguments)] = expression.items()
    if step == "key":
        return [arguments["name"]]
    of = arguments["of"]
    return [name for part in (of if isinstance(of, list) else [of]) for name in leaves(part)]


def count(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product
