"""State dicts in memory: renamed, and made to load into models."""

from __future__ import annotations

from collections import OrderedDict

from . import _statedict
from ._algebra import Maker
from ._arguments import patterns, rules
from ._checkpoint import Checkpoint
from ._errors import CheckpointError
from ._sides import described, keys_of, module_paths, state_of
from ._tensors import dtype_of, is_tensor, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._arguments import Rules, AnyPath
    from ._sides import State


class Plan:
    """What becomes of every key of a state dict."""

    def __init__(
        self,
        native: _statedict.Plan,
        unused: Iterable[str] = (),
        made: Iterable[str] = (),
    ) -> None:
        self._native = native
        self._unused = list(unused)
        self._made = list(made)

    @property
    def renamed(self) -> dict[str, str]:
        """Old keys with their new ones, where these differ."""
        return {old: new for old, new in self._native.names() if new is not None and new != old}

    @property
    def dropped(self) -> list[str]:
        """Keys that are taken out, or are not wanted."""
        return [old for old, new in self._native.names() if new is None]

    @property
    def made(self) -> list[str]:
        """Keys of tensors that are not, or not wholly, of the state dict."""
        return list(self._made)

    @property
    def unused_rules(self) -> list[str]:
        """Rules that recognised no key."""
        return list(self._native.unused_rules)

    def apply(self, state: Mapping[str, Any], target: Mapping[str, Any] | None = None) -> Any:
        """The new state dict of one with the same keys and shapes."""
        return _applied(self._native, state, target)

    def to_json(self) -> str:
        """The plan as `apply` and the command `statedict apply` read it from a file."""
        return self._native.to_json()

    def save(self, path: AnyPath) -> None:
        """Writes the plan to a file that is not there yet."""
        with open(path, "x", encoding="utf-8") as file:
            file.write(self.to_json())

    def __repr__(self) -> str:
        counts = [(len(self.renamed), "renamed"), (len(self.dropped), "dropped")]
        counts.append((len(self._made), "made"))
        some = ", ".join(f"{number} {what}" for number, what in counts if number)
        return f"Plan({some or 'nothing changes'})"


def rename(
    state: State,
    *rule: Rules,
    at: str | None = None,
    sizes: Mapping[str, int] | None = None,
    strict: bool = False,
    only: bool = False,
    allow_unchanged: bool = False,
) -> Any:
    """The state dict with other keys, by rules that are given together: each sees the old keys.

    The tensors are those of `state` itself, whatever library they are of; ties stay, and
    `_metadata` follows the keys. Rules of tensors look at them in another way where that can be.
    Keys that no rule recognises keep their names; `strict` refuses them, `only` leaves them out.

    >>> list(sd.rename({"layers.0.w": 1, "layers.1.w": 2}, "layers.{i}.{r..} -> blocks.{i+1}.{r..}"))
    ['blocks.1.w', 'blocks.2.w']
    >>> sd.rename({"module.w": 1}, "strip:module")
    {'w': 1}
    """
    given = state_of(state, at)
    request = {
        "rules": [text for one in rule for text in rules(one)],
        "keys": keys_of(given),
        "sizes": list((sizes or {}).items()),
        "choices": {"strict": strict, "only": only, "allow_unchanged": allow_unchanged},
    }
    plan = _statedict.plan(request, lambda: described(given))
    return _applied(plan, given, None)


# Where an argument has the name.
_rename = rename


def unwrap(state: State, *, at: str | None = None, allow_unchanged: bool = True) -> Any:
    """The state dict without the segments of wrappers, at any depth.

    These are `module` (`DataParallel`, DDP), `_orig_mod` (`torch.compile`), those of FSDP and
    others.

    >>> sd.unwrap({"module._orig_mod.fc.weight": 1})
    {'fc.weight': 1}
    """
    return rename(state, "unwrap", at=at, allow_unchanged=allow_unchanged)


def fit(
    state: State,
    model: State,
    *,
    at: str | None = None,
    at_target: str | None = None,
    by: str = "auto",
    drop: Rules = (),
    drop_last: int = 0,
    init: Mapping[str, str] | None = None,
    resize: Mapping[str, str] | None = None,
    seed: int = 0,
    cast: bool = False,
) -> tuple[OrderedDict[str, Any], Plan]:
    """The state dict with the keys, shapes and types of a model, and the plan that led there.

    Both may be state dicts, modules, files. What could be several ways is refused, and so is what
    is missing, unless `init` says how it is made: `zeros`, `ones`, `constant(1)`,
    `normal(0,0.02)`, `xavier_uniform`, `target` for what the model has …

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> state, plan = sd.fit({"fc.weight": torch.ones(2, 2), "fc.bias": torch.ones(2)}, model)
    >>> model.load_state_dict(state), plan.renamed
    (<All keys matched successfully>, {'fc.weight': '0.weight', 'fc.bias': '0.bias'})
    """
    source, target = state_of(state, at), state_of(model, at_target)
    request = {
        "source": described(source),
        "target": described(target),
        "by": by,
        "drop": rules(drop),
        "drop_last": drop_last,
        "init": [f"{pattern}={how}" for pattern, how in patterns(init, "init")],
        "seed": seed,
        "resize": [f"{pattern}={how}" for pattern, how in patterns(resize, "resize")],
        "cast": cast,
    }
    native, _, unused, made = _statedict.fit(request)
    fitted = _applied(native, source, target)
    ordered = fitted if isinstance(fitted, OrderedDict) else OrderedDict(fitted)
    return ordered, Plan(native, unused, made)


def load_into(
    source: Checkpoint | AnyPath,
    model: Any,
    *,
    rename: Rules | None = None,
    strict: bool = True,
    assign: bool = False,
    at: str | None = None,
) -> Any:
    """Loads a file into a module; what `Checkpoint.load_into` does."""
    from ._explain import explaining

    if not callable(getattr(model, "load_state_dict", None)):
        raise TypeError(f"expected a module to load into, found {type(model).__name__}")
    checkpoint = source if isinstance(source, Checkpoint) else Checkpoint(source, at=at)
    state: Any = checkpoint.state_dict()
    if rename is not None:
        state = _rename(state, rename)
    if not assign:
        _refuse_meta(model, state)
    with explaining(checkpoint._arguments[0]):
        return model.load_state_dict(state, strict=strict, assign=assign)


def _refuse_meta(model: Any, state: Mapping[str, Any]) -> None:
    """PyTorch warns that nothing was copied, and says that all keys matched."""
    parts = model.state_dict().items() if hasattr(model, "state_dict") else ()
    for key, value in parts:
        if getattr(value, "is_meta", False) and key in state:
            raise ValueError(f"the model has no memory for '{key}' (meta): give assign=True")


def _applied(
    plan: _statedict.Plan, state: Mapping[str, Any], target: Mapping[str, Any] | None
) -> Any:
    tensors = plan.tensors()
    pairs: Iterable[tuple[str | None, Any]]
    if tensors is None:
        names = plan.new_names()
        pairs = zip(names, state.values())
        if None in names:
            pairs = [(new, value) for new, value in pairs if new is not None]
    else:
        maker = Maker(state, target)
        _refuse_unequal(plan, maker)
        made = [(key, maker.make(expression)) for key, expression in tensors]
        # What is no tensor goes along.
        rest = ((new, state[old]) for old, new in plan.names())
        others = [(new, it) for new, it in rest if new is not None and not is_tensor(it)]
        pairs = made + others
    new: Any = OrderedDict(pairs) if isinstance(state, OrderedDict) else dict(pairs)
    paths = module_paths(state)
    if paths is not None and isinstance(new, OrderedDict):
        new._metadata = _followed(plan, paths)  # type: ignore[attr-defined]
    return new


def _refuse_unequal(plan: _statedict.Plan, maker: Maker) -> None:
    """Refuses to leave tensors out as the same as others, which they are not."""
    lines = []
    for one, other, first, second in plan.checks():
        if not _equal(maker.make(first), maker.make(second)):
            lines.append(f"{one} and {other} are not the same, and one of them would be lost")
    if lines:
        raise CheckpointError("\n".join(lines), kind="refused")


def _equal(a: Any, b: Any) -> bool:
    if dtype_of(a) != dtype_of(b) or tuple(a.shape) != tuple(b.shape):
        return False
    (nbytes, first), (_, second) = reader("a", a), reader("b", b)
    return first(0, nbytes) == second(0, nbytes)


def _followed(plan: _statedict.Plan, described: dict[str, Any]) -> OrderedDict[str, Any]:
    """`_metadata` under the new keys."""
    fates, added, split = plan.modules(list(described))
    above: dict[str, list[str]] = {}
    for path, before in added:
        above.setdefault(before, []).append(path)
    parts = dict(split)
    followed: OrderedDict[str, Any] = OrderedDict()
    for old, new in fates:
        for path in above.get(old, []):
            followed.setdefault(path, {"version": 1})
        if new is not None:
            for path in parts.get(old, [new]):
                followed.setdefault(path, described[old])
    return followed
