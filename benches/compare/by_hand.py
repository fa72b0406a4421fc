"""What a Python user does today, as a whole process.

usage: by_hand.py pth|safetensors|npz IN OUT        strip "module.", same format
       by_hand.py pth-to-safetensors IN OUT          strip and convert
       by_hand.py rotary IN OUT                      Llama's query and key from Meta's order to Hugging Face's
       by_hand.py ls IN                              count the keys
"""

import sys

import torch

mode, source, *rest = sys.argv[1:]


def stripped(state):
    return {key.removeprefix("module."): value for key, value in state.items()}


if mode == "pth":
    state = torch.load(source, map_location="cpu", weights_only=True)
    torch.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    torch.save(state, rest[0])
elif mode == "safetensors":
    from safetensors.torch import load_file, save_file

    save_file(stripped(load_file(source)), rest[0])
elif mode == "pth-to-safetensors":
    from safetensors.torch import save_file

    save_file(stripped(torch.load(source, map_location="cpu", weights_only=True, mmap=True)), rest[0])
elif mode == "npz":
    import numpy as np

    arrays = np.load(source)
    np.savez(rest[0], **stripped({key: arrays[key] for key in arrays.files}))
elif mode == "rotary":
    from safetensors.torch import load_file, save_file

    HEADS = 32

    def permuted(weight):
        """As `permute` in transformers' convert_llama_weights_to_hf.py."""
        rows, columns = weight.shape
        return weight.view(HEADS, rows // HEADS // 2, 2, columns).transpose(1, 2).reshape(rows, columns)

    turned = ("attention.wq.weight", "attention.wk.weight")
    state = load_file(source)
    save_file({f"model.{key}": permuted(of) if key.endswith(turned) else of for key, of in state.items()}, rest[0])
elif mode == "ls":
    print(len(torch.load(source, map_location="cpu", weights_only=True, mmap=True)))
else:
    sys.exit(f"unknown mode {mode}")
