"""Cases rebuilt from public reports (`../reports`), and what the real libraries make of the outcome.

`generate` makes the files of every case; `judge` says in a few words what is wrong with an output,
or null. Each case says in its head what is expected.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

REPORTS = Path(__file__).resolve().parent.parent / "reports"


def generate(folder):
    """Makes every case in a folder of its name; gives for each what went wrong, or null."""
    made = {}
    for script in sorted(REPORTS.glob("*.py")):
        command = [sys.executable, "-W", "ignore", script, "make", Path(folder) / script.stem]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        made[script.stem] = None if run.returncode == 0 else run.stderr[-2000:]
    return made


def load(path):
    """The tensors of a file, as its own library loads them by default."""
    path = str(path)
    return load_file(path) if path.endswith(".safetensors") else torch.load(path)


def differences(found, expected, cast=None):
    """What differs between two state dicts; null if nothing does."""
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or extra:
        return f"missing {missing}, unexpected {extra}"
    for key, tensor in expected.items():
        if isinstance(tensor, torch.Tensor):
            tensor = tensor.to(cast) if cast and tensor.is_floating_point() else tensor
            if found[key].dtype != tensor.dtype or not torch.equal(found[key], tensor):
                return f"{key} differs"
    return None


def same_as(request):
    """The output holds the tensors of another file, under these keys if they are given."""
    return differences(load(request["out"]), load(request["expected"]))


def stripped(request):
    """The output holds the tensors at a path of another file, without a prefix of their keys."""
    source = torch.load(request["expected"], weights_only=False)
    for part in request.get("at", []):
        source = source[part]
    prefix = request.get("prefix", "")
    tensors = {k: v for k, v in source.items() if isinstance(v, torch.Tensor)}
    wrong = [k for k in tensors if not k.startswith(prefix)]
    if wrong:
        return f"the case has keys without the prefix: {wrong}"
    found = load(request["out"])
    for part in request.get("out_at", []):
        found = found[part]
    found = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
    return differences(found, {k[len(prefix):]: v for k, v in tensors.items()})


def trainer(request):
    """The output loads by default, and what is next to the weights is that of the input."""
    found = torch.load(request["out"])
    source = torch.load(request["expected"], weights_only=False)
    for key in request["keys"]:
        if key not in found:
            return f"{key} is not there"
        if str(found[key]) != str(source[key]):
            return f"{key} differs"
    return None


def deepspeed(request):
    """Names beside the weights have followed their keys."""
    found = torch.load(request["out"], weights_only=False)
    keys = list(found["module"])
    shapes = [key for group in found["param_shapes"] for key in group]
    shared = [*found["shared_params"], *found["shared_params"].values()]
    strange = [key for key in shapes + shared if key not in keys]
    return f"{strange} are not keys of {keys}" if strange else None


def quantised(request):
    """Quantisers, scales and packed parameters are those of the input, under shorter keys."""
    found = torch.load(request["out"], weights_only=False)
    source = torch.load(request["expected"], weights_only=False)
    prefix = request["prefix"]
    for key, value in source.items():
        twin = found.get(key[len(prefix):])
        if not isinstance(value, torch.Tensor):
            if repr(twin) != repr(value):
                return f"{key} differs"
            continue
        if value.dtype != twin.dtype or repr(value) != repr(twin):
            return f"{key} differs"
    return None


def scaled(request):
    """The layers that the header's quantisation names are those of the keys."""
    with safe_open(request["out"], "pt") as file:
        layers = json.loads(file.metadata()["_quantization_metadata"])["layers"]
        keys = list(file.keys())
    strange = [layer for layer in layers if f"{layer}.weight" not in keys]
    return f"{strange} are not layers of {keys}" if strange else None


def spared(request):
    """Quantised layers are as they were, other weights are half precision."""
    found, source = load(request["out"]), load(request["expected"])
    for key, tensor in source.items():
        layer = key.rsplit(".", 1)[0] + ".scale_weight" in source or "fp8" in key
        cast = tensor if layer or not tensor.is_floating_point() else tensor.half()
        if found[key].dtype != cast.dtype or not torch.equal(found[key].float(), cast.float()):
            return f"{key} differs"
    return None


def resized(request):
    """Old rows and channels are kept, new channels are zero, and the tie is one storage."""
    found, source = torch.load(request["out"]), torch.load(request["expected"])
    embedding, head = found["model.embed_tokens.weight"], found["lm_head.weight"]
    rows = min(len(embedding), len(source["lm_head.weight"]))
    if embedding.data_ptr() != head.data_ptr():
        return "embedding and head are no longer tied"
    if not torch.equal(embedding[:rows], source["lm_head.weight"][:rows]):
        return "rows of the embedding differ"
    conv, old = found["conv_in.weight"], source["conv_in.weight"]
    channels = min(conv.shape[1], old.shape[1])
    if not torch.equal(conv[:, :channels], old[:, :channels]):
        return "channels differ"
    if not bool((conv[:, channels:] == 0).all()):
        return "new channels are not zero"
    target = torch.load(request["target"])
    wrong = [k for k in target if found[k].shape != target[k].shape]
    return f"other shapes than the target: {wrong}" if wrong else None


def norms(request):
    """A model with the other weight norm loads it strictly and gives the same output."""
    command = [sys.executable, "-W", "ignore", REPORTS / "22_weight_norm_moe_qkv.py", "check"]
    run = subprocess.run([*command, request["out"], request["kind"]], capture_output=True, text=True)
    said = run.stdout + run.stderr[-500:]
    right = "All keys matched" in said and "same output True" in said
    return None if right else said


def cast(request):
    """Floating-point weights are cast, all else is as it was."""
    found, source = torch.load(request["out"]), torch.load(request["expected"])
    dtype = getattr(torch, request["dtype"])
    if str(found["optimizer"]) != str(source["optimizer"]):
        return "the optimizer differs"
    wrong = differences(found["model"], source["model"], dtype)
    tied = found["model"]["embed.weight"].data_ptr() == found["model"]["lm_head.weight"].data_ptr()
    return wrong or (None if tied else "the tie is broken")


def tied(request):
    """Both keys of a recorded tie are there, in one storage."""
    found = torch.load(request["out"])
    pointers = {found[key].data_ptr() for key in request["keys"]}
    return None if len(pointers) == 1 else "not one storage"


def bits(request):
    """One tensor of any dtype has the bits it had."""
    def raw(path):
        (tensor,) = load(path).values()
        return tensor.dtype, tensor.shape, tensor.contiguous().view(torch.uint8).flatten().tolist()
    return None if raw(request["out"]) == raw(request["expected"]) else "other bits"


def judge(request):
    """Has one of the functions above look at an output; an exception is its problem too."""
    try:
        return globals()[request["judge"]](request)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
