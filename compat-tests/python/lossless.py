"""Random pickles renamed at random, and loaded with stubs for every class, before and after."""

import collections
import json
import os
import pickle
import random
import zipfile

from same import Comparison, Different

NAMES = ["module", "fc", "cpu", "storage", "torch", "FloatStorage", "collections", "0", "1", "weight", "é", "x" * 260]


def generate(request):
    """Writes archives with random pickles, each with a plan of random renames and drops."""
    rng = random.Random(request["seed"])
    cases = []
    for i in range(request["count"]):
        path, plan = (os.path.join(request["folder"], f"{i}.{end}") for end in ("pth", "json"))
        keys, value, protocol = checkpoint(rng)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled(value, protocol))
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/data/0", bytes(8))
        with open(plan, "w", encoding="utf-8") as file:
            fates = plan_for(rng, keys)
            json.dump({"statedict_plan": 1, "state_dicts": [{"at": "model", "keys": fates}]}, file)
        cases.append({"input": path, "plan": plan, "fates": fates})
    return cases


def plan_for(rng, keys):
    """Fates for every key: kept, dropped, or another name that no other key has."""
    fates, taken = [], set(keys)
    for key in keys:
        choice = rng.random()
        new = rng.choice(NAMES) + "." + rng.choice(NAMES)
        if choice < 0.2:
            fates.append([key, None])
        elif choice < 0.7 and new not in taken:
            taken.add(new)
            fates.append([key, new])
        else:
            fates.append([key, key])
    return fates


class Storage:
    """Stands for a storage, which the pickle names by a persistent id."""


class Tensor:
    """Pickles as PyTorch pickles a tensor."""

    def __init__(self, tag, location):
        self.tag, self.location = tag, location

    def __reduce__(self):
        hooks = collections.OrderedDict()
        return GLOBALS["_rebuild_tensor_v2"], (Persistent(self.tag, self.location), 0, (2,), (1,), False, hooks)


class Persistent:
    def __init__(self, tag, location):
        self.tag, self.location = tag, location


def stand_in(module, name):
    """A global that pickles under a name that need not exist here."""

    def function(*_):
        raise AssertionError("never called")

    function.__module__, function.__qualname__, function.__name__ = module, name, name
    return function


GLOBALS = {"_rebuild_tensor_v2": stand_in("torch._utils", "_rebuild_tensor_v2"), "FloatStorage": stand_in("torch", "FloatStorage")}


class Pickler(pickle._Pickler):
    """Python's own pickler, which takes globals at their word."""

    def persistent_id(self, obj):
        if isinstance(obj, Persistent):
            return (obj.tag, GLOBALS["FloatStorage"], "0", obj.location, 2)
        return None

    def save_global(self, obj, name=None):
        module, name = obj.__module__, name or obj.__qualname__
        if obj not in GLOBALS.values():
            return super().save_global(obj, name)
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    dispatch = dict(pickle._Pickler.dispatch)
    dispatch[type(stand_in)] = save_global


def pickled(value, protocol):
    import io

    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def checkpoint(rng):
    """A state dict with keys that share their text with everything around it."""
    texts = [rng.choice(NAMES) + rng.choice(["", ".", ".w", ".0.w"]) for _ in range(rng.randrange(1, 12))]
    texts += rng.sample(NAMES, 4)
    keys = list(dict.fromkeys(key for key in texts if key))
    if rng.random() < 0.05:
        keys += [f"layer.{i}" for i in range(rng.choice([998, 1000, 1001, 2003]))]
    rng.shuffle(keys)
    text = lambda: rng.choice(keys) if rng.random() < 0.5 else rng.choice(NAMES)
    tied = Tensor("storage" if rng.random() < 0.5 else share(keys, "storage"), share(keys, "cpu"))
    model = collections.OrderedDict() if rng.random() < 0.5 else {}
    for key in keys:
        model[key] = tied if rng.random() < 0.2 else Tensor(share(keys, "storage"), share(keys, "cpu"))
    if isinstance(model, collections.OrderedDict) and rng.random() < 0.5:
        model._metadata = collections.OrderedDict((path, {"version": 1}) for path in dict.fromkeys([""] + [text() for _ in range(3)]))
    other = [text() for _ in range(rng.randrange(5))]
    value = {"note": text(), "names": other, "set": set(other), "pair": (text(), {text(): text()}), "ema": {text(): tied}}
    places = list(value.items()) + [("model", model)]
    rng.shuffle(places)
    return keys, dict(places), rng.choice([1, 2, 2, 2, 3, 4, 5])


def share(keys, word):
    """The very object among the keys that is this word, if one is."""
    return next((key for key in keys if key == word), word)


class Loaded:
    """What a stub made: the global's name, and everything done to it."""

    name = ""

    def __new__(cls, *args, **more):
        made = super().__new__(cls)
        made.args, made.items, made.state = [list(args), more], [], None
        return made

    def __init__(self, *_, **__):
        pass

    def __setitem__(self, key, value):
        self.items.append([key, value])

    def append(self, value):
        self.items.append([value])

    def extend(self, values):
        self.items.extend([value] for value in values)

    def __setstate__(self, state):
        self.state = state


class Unpickler(pickle.Unpickler):
    """Loads with a stub for every global but the plain containers."""

    def find_class(self, module, name):
        if (module, name) in (("collections", "OrderedDict"), ("builtins", "set")):
            return super().find_class(module, name)
        return type("Stub", (Loaded,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid):
        return ["persistent", *(part if isinstance(part, (str, int)) else "class" for part in pid)]


def load(path):
    import io

    with zipfile.ZipFile(path) as archive:
        return Unpickler(io.BytesIO(archive.read("archive/data.pkl"))).load()


def judge(request):
    """What is wrong with the outputs, by case."""
    problems = []
    for case in request["cases"]:
        expected = load(case["input"])
        fates = dict(case["fates"])
        model = expected["model"]
        entries = [(fates[key], value) for key, value in model.items() if fates[key] is not None]
        model.clear()
        model.update(entries)
        # What becomes of module paths is another test's business.
        found = load(case["output"])
        for value in (model, found["model"]):
            vars(value).clear() if hasattr(value, "__dict__") else None
        problem = difference(expected, found)
        if problem:
            problems.append(f"{case['input']}: {problem}")
    return problems


class Structure(Comparison):
    """The same, texts compared by what they say and stubs by what was done to them."""

    def same(self, expected, actual, at):
        if isinstance(expected, Loaded) and isinstance(actual, Loaded):
            self.alive += [expected, actual]
            self.check(expected.name == actual.name, at, f"{expected.name} became {actual.name}")
            if not self.met(id(expected), id(actual), at):
                for part in ("args", "items", "state"):
                    self.same(getattr(expected, part), getattr(actual, part), f"{at}.{part}")
            return None
        if isinstance(expected, type) and issubclass(expected, Loaded):
            return self.check(expected.name == actual.name, at, f"{expected.name} became {actual.name}")
        if isinstance(expected, (set, frozenset, bytearray)):
            return self.check(expected == actual, at, f"{expected} became {actual}")
        return super().same(expected, actual, at)


def difference(expected, actual):
    try:
        Structure().same(expected, actual, "")
    except Different as different:
        return str(different)
    return None


def pickles(request):
    """Whether two files hold the same pickle: byte for byte, or one that builds the same."""
    return [verdict(*pair) for pair in request["pairs"]]


def verdict(first, second):
    one, two = (pickle_of(path) for path in (first, second))
    if one == two:
        return "same bytes"
    problem = difference(build(one), build(two))
    return problem or "builds the same"


def pickle_of(path):
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as member:
            # PyTorch leaves checksums out on request, and then writes zeros.
            member._expected_crc = None
            return member.read()


def build(text):
    import io

    return Unpickler(io.BytesIO(text)).load()
