"""A model of planning: what becomes of every key, in the plainest Python there is.

A stage is a dict with one of strip, add, unwrap, rename, keep, drop or table, as in a recipe.
"""

import re

WRAPPERS = ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"]
NOTHING, DROPPED = object(), object()


class Refused(Exception):
    """The plan cannot be."""


def plan(dicts, stages, undefined="keep"):
    """For each list of keys, pairs of old and new names in order; None for a key that goes."""
    planned = [fates_of(keys, stages, undefined) for keys in dicts]
    if not any(recognised for _, recognised in planned):
        raise Refused("nothing matched")
    return [fates for fates, _ in planned]


def fates_of(keys, stages, undefined):
    names = dict(zip(keys, keys))
    recognised = 0
    for stage in stages:
        rules = rules_of(stage)
        for key, name in names.items():
            if name is None:
                continue
            fate = next((fate for fate in (rule(name) for rule in rules) if fate is not NOTHING), NOTHING)
            recognised += fate is not NOTHING
            if fate is NOTHING:
                fate = otherwise(stage, name, undefined)
            if fate == "" and name:
                raise Refused(f"nothing would be left of {key!r}")
            names[key] = None if fate is DROPPED else fate
        kept = [name for name in names.values() if name is not None]
        if len(set(kept)) < len(kept):
            raise Refused("two keys would get one name")
    return list(names.items()), recognised


def otherwise(stage, name, undefined):
    """What becomes of a name that no rule of the stage recognises."""
    if "keep" in stage:
        return DROPPED
    if "drop" in stage or undefined == "keep":
        return name
    if undefined == "only":
        return DROPPED
    raise Refused(f"no rule recognises {name!r}")


def rules_of(stage):
    """The functions of a stage; each gives a new name, DROPPED or NOTHING."""
    [(kind, what)] = stage.items()
    if kind == "strip":
        return [lambda name: name[len(what) + 1 :] if name.startswith(what + ".") else NOTHING]
    if kind == "add":
        return [lambda name: f"{what}.{name}" if name else NOTHING]
    if kind == "unwrap":
        return [unwrapped]
    if kind == "table":
        return [lambda name: what.get(name, NOTHING)]
    if kind == "rename":
        return [renaming(text) for text in what]
    patterns = [pattern.split(".") for pattern in what]
    matches = lambda name: any(match(pattern, name.split("."), {}) for pattern in patterns)
    if kind == "keep":
        return [lambda name: name if matches(name) else NOTHING]
    return [lambda name: DROPPED if matches(name) else NOTHING]


def unwrapped(name):
    *path, last = name.split(".")
    kept = [segment for segment in path if segment not in WRAPPERS]
    return ".".join(kept + [last]) if len(kept) < len(path) else NOTHING


def renaming(text):
    old, new = text.removeprefix("re:").split(" -> ")
    if text.startswith("re:"):
        return lambda name: re.sub(old, re.sub(r"\$(\d)", r"\\g<\1>", new), name) if name and re.search(old, name) else NOTHING

    def rename(name):
        captured = {}
        if not name or not match(old.split("."), name.split("."), captured):
            return NOTHING
        return ".".join(part for segment in new.split(".") for part in filled(segment, captured))

    # Dots within braces are not separators.
    old, new = old.replace("..}", "@}"), new.replace("..}", "@}")
    return rename


def match(pattern, parts, captured):
    """Whether the segments match, a rest taking as few as it can; fills `captured`."""
    if not pattern:
        return not parts
    head, *tail = pattern
    rest = re.fullmatch(r"\*\*|\{(\w+)@\}", head)
    if rest:
        for count in range(len(parts) + 1):
            if match(tail, parts[count:], captured):
                captured[rest[1]] = parts[:count]
                return True
        return False
    if not parts:
        return False
    hole = re.fullmatch(r"(.*?)(?:\*|\{(\w+)([+-]\d+)?\})(.*)", head)
    if not hole:
        return head == parts[0] and match(tail, parts[1:], captured)
    before, name, shift, after = hole.groups()
    number = r"(0|[1-9]\d*)" if shift else "(.+)"
    found = re.fullmatch(re.escape(before) + number + re.escape(after), parts[0])
    if not found or not match(tail, parts[1:], captured):
        return False
    captured[name] = int(found[1]) - int(shift) if shift else found[1]
    return True


def filled(segment, captured):
    rest = re.fullmatch(r"\{(\w+)@\}", segment)
    if rest:
        return captured[rest[1]]
    put = lambda found: str(int(captured[found[1]]) + int(found[2])) if found[2] else str(captured[found[1]])
    return [re.sub(r"\{(\w+)([+-]\d+)?\}", put, segment)]


def paths(fates, metadata):
    """Where the module paths of `_metadata` go: pairs of old path (None for new ones) and new path.

    A path goes where the keys below it go, or else where its parent goes; of two that come together
    the deeper stays, because the other was only a wrapper; new paths get their ancestors.
    """
    if all(old == new for old, new in fates):
        return [(path, path) for path in metadata]
    targets = {path: target(path, fates) for path in metadata}
    depth = lambda path: len(path.split(".")) if path else 0
    best = {}
    for old, new in targets.items():
        if new is not None and (new not in best or depth(old) >= depth(best[new])):
            best[new] = old
    placed = [(old, new) for old, new in targets.items() if new is not None and best[new] == old]
    known, result = {new for _, new in placed}, []
    for old, new in placed:
        segments = new.split(".") if new and new != old and "" in metadata else []
        for count in range(len(segments)):
            ancestor = ".".join(segments[:count])
            if ancestor not in known:
                known.add(ancestor)
                result.append((None, ancestor))
        result.append((old, new))
    return result


def target(path, fates):
    """The new path of one module; None if it goes."""
    below = [(old, new) for old, new in fates if path == "" or old.startswith(path + ".")]
    if not below:
        if not path:
            return path
        parent, _, last = path.rpartition(".")
        above = target(parent, fates)
        return above if above is None else f"{above}.{last}" if above else last
    votes = {vote(path, old, new) for old, new in below if new is not None} - {None}
    if not votes:
        return None
    return votes.pop() if len(votes) == 1 else path


def vote(path, old, new):
    """Where one key says that a module above it goes."""
    rest = old[len(path) + 1 :] if path else old
    if new == rest:
        return ""
    if new.endswith("." + rest):
        return new[: -len(rest) - 1]
    if path == "" or new.startswith(path + "."):
        return path
    depth, segments = rest.count(".") + 1, new.split(".")
    return ".".join(segments[:-depth]) if len(segments) >= depth else None
