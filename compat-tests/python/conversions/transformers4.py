"""The conversion scripts that transformers 4 ships, on state dicts under the published names."""
import contextlib
import importlib
import importlib.util
import io
import json
import os
import re
import tempfile
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import torch
import transformers
from safetensors.torch import load_file

from . import Case, family, linear, norm

if int(transformers.__version__.split(".")[0]) > 4:
    raise ImportError(f"transformers {transformers.__version__} is not 4")

transformers.logging.set_verbosity_error()


# What the scripts import for downloads, demonstrations and models that no case makes.
STAND_INS = ["audiocraft", "audiocraft.models", "datasets", "fairseq", "flax", "gdown", "jax", "t5x"]


def script(model, name):
    """A conversion script, without what it prints and what it imports for other ends."""
    for missing in STAND_INS:
        root = missing.split(".")[0]
        absent = isinstance(sys.modules.get(root), MagicMock) or (root not in sys.modules and importlib.util.find_spec(root) is None)
        if missing not in sys.modules and absent:
            sys.modules[missing] = MagicMock(__path__=[], __spec__=None)
    if not hasattr(transformers, "ViTMAEImageProcessor"):
        transformers.ViTMAEImageProcessor = None
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(f"transformers.models.{model}.{name}")


def oracle(text):
    return f"transformers {transformers.__version__} {text}"


def quiet(function, *args, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)


def likely(numbers, key, d):
    """A tensor such as a key's last word says, where its shape does not matter."""
    if key.endswith("bias") or "norm" in key or re.search(r"(gamma|lambda)", key.rsplit(".", 2)[-1]):
        return numbers(d)
    if key.endswith("weight"):
        return numbers(d, d + 2)
    return numbers(1, 2, d)


def block(numbers, name, d, m):
    """A block of timm's vision transformers."""
    return {**norm(numbers, f"{name}.norm1", d), **linear(numbers, f"{name}.attn.qkv", 3 * d, d),
            **linear(numbers, f"{name}.attn.proj", d, d), **norm(numbers, f"{name}.norm2", d),
            **linear(numbers, f"{name}.mlp.fc1", m, d), **linear(numbers, f"{name}.mlp.fc2", d, m)}


def listed(numbers, module, config, d, *more, start=(), **options):
    """Scripts that list pairs of names and split the fused rows of each layer."""
    pairs = module.create_rename_keys(config, **options)
    state = {old: likely(numbers, old, d) for old, _ in pairs}
    state.update(start)
    a = dict(state)
    for old, new in pairs:
        module.rename_key(state, old, new)
    module.read_in_q_k_v(state, config, *more)
    return Case(a, state)


@family("timm-to-hf:deit", oracle("deit.convert_deit_timm_to_pytorch (create_rename_keys, read_in_q_k_v)"))
def deit_timm(numbers, size):
    d, module = 12 * size, script("deit", "convert_deit_timm_to_pytorch")
    config = SimpleNamespace(num_hidden_layers=3, hidden_size=d)
    fused = {}
    for i in range(3):
        fused.update(linear(numbers, f"blocks.{i}.attn.qkv", 3 * d, d))
    return listed(numbers, module, config, d, start=fused)


@family("unilm-to-hf:beit", oracle("beit.convert_beit_unilm_to_pytorch (create_rename_keys, read_in_q_k_v)"))
def beit_unilm(numbers, size):
    d, module = 12 * size, script("beit", "convert_beit_unilm_to_pytorch")
    config = SimpleNamespace(num_hidden_layers=3, hidden_size=d)
    more = {}
    for i in range(3):
        at = f"blocks.{i}"
        more.update({f"{at}.attn.qkv.weight": numbers(3 * d, d), f"{at}.attn.q_bias": numbers(d),
                     f"{at}.attn.v_bias": numbers(d), f"{at}.gamma_1": numbers(d), f"{at}.gamma_2": numbers(d),
                     f"{at}.attn.relative_position_bias_table": numbers(7, 3),
                     f"{at}.attn.relative_position_index": torch.arange(25).reshape(5, 5)})
    return listed(numbers, module, config, d, start=more)


@family("fb-to-hf:dinov2", oracle("dinov2.convert_dinov2_to_hf (create_rename_keys, read_in_q_k_v, its renames of w12 and w3)"))
def dinov2_meta(numbers, size):
    return dinov2_of(numbers, size, False)


@family("fb-to-hf:dinov2", oracle("dinov2.convert_dinov2_to_hf (create_rename_keys, read_in_q_k_v, its renames of w12 and w3)"))
def dinov2_meta_swiglu(numbers, size):
    return dinov2_of(numbers, size, True)


def dinov2_of(numbers, size, swiglu):
    d, module = 12 * size, script("dinov2", "convert_dinov2_to_hf")
    config = SimpleNamespace(num_hidden_layers=3, hidden_size=d, use_swiglu_ffn=swiglu)
    fused = {}
    for i in range(3):
        fused.update(linear(numbers, f"blocks.{i}.attn.qkv", 3 * d, d))
    case = listed(numbers, module, config, d, start=fused)
    case.b = {key.replace("w12", "weights_in").replace("w3", "weights_out"): tensor for key, tensor in case.b.items()}
    return case


@family("fb-to-hf:vit-mae", oracle("vit_mae.convert_vit_mae_to_pytorch.convert_state_dict"))
def vit_mae(numbers, size):
    d, e, module = 12 * size, 8 * size, script("vit_mae", "convert_vit_mae_to_pytorch")
    a = {"cls_token": numbers(1, 1, d), "pos_embed": numbers(1, 5, d), "mask_token": numbers(1, 1, e),
         "decoder_pos_embed": numbers(1, 5, e), "patch_embed.proj.weight": numbers(d, 3, 4, 4),
         "patch_embed.proj.bias": numbers(d), **norm(numbers, "norm", d), **linear(numbers, "decoder_embed", e, d),
         **norm(numbers, "decoder_norm", e), **linear(numbers, "decoder_pred", 48, e)}
    for i in range(3):
        a.update(block(numbers, f"blocks.{i}", d, d + 8))
    for i in range(2):
        a.update(block(numbers, f"decoder_blocks.{i}", e, e + 4))
    b = module.convert_state_dict(dict(a), SimpleNamespace(hidden_size=d, decoder_hidden_size=e))
    return Case(a, b)


def swin_source(numbers, size, depths, prefix="", index=True):
    a = {"patch_embed.proj.weight": numbers(8 * size, 3, 4, 4), "patch_embed.proj.bias": numbers(8 * size),
         **norm(numbers, "patch_embed.norm", 8 * size)}
    d = 8 * size
    for i, depth in enumerate(depths):
        for j in range(depth):
            at = f"layers.{i}.blocks.{j}"
            a.update(block(numbers, at, d, 2 * d))
            a[f"{at}.attn.relative_position_bias_table"] = numbers(9, 2)
            if index:
                a[f"{at}.attn.relative_position_index"] = torch.arange(16).reshape(4, 4)
            if j % 2:
                a[f"{at}.attn_mask"] = numbers(4, 4, 4)
        if i + 1 < len(depths):
            a.update(norm(numbers, f"layers.{i}.downsample.norm", 4 * d))
            a[f"layers.{i}.downsample.reduction.weight"] = numbers(2 * d, 4 * d)
            d *= 2
    a.update(norm(numbers, "norm", d))
    a.update(linear(numbers, "head", 5, d))
    return a


@family("ms-to-hf:swin", oracle("swin.convert_swin_timm_to_pytorch.convert_state_dict"))
def swin_microsoft(numbers, size):
    module = script("swin", "convert_swin_timm_to_pytorch")
    a = swin_source(numbers, size, (2, 2, 1))
    model = transformers.SwinForImageClassification(transformers.SwinConfig(
        embed_dim=8 * size, depths=[2, 2, 1], num_heads=[2, 2, 4], image_size=32, window_size=2))
    return Case(a, module.convert_state_dict(dict(a), model))


@family("mmseg-to-hf:swin-upernet", oracle("upernet.convert_swin_upernet_to_pytorch (rename keys, read_in_q_k_v, reverse_correct_unfold_*)"))
def swin_upernet(numbers, size):
    module = script("upernet", "convert_swin_upernet_to_pytorch")
    config = SimpleNamespace(backbone_config=SimpleNamespace(depths=[1, 2, 1, 1], embed_dim=4 * size))
    pairs, state = module.create_rename_keys(config), {}
    for old, _ in pairs:
        stage = re.search(r"(?:stages\.|norm)(\d)", old)
        d = 4 * size * 2 ** int(stage[1]) if stage else 4 * size
        if "downsample.reduction" in old:
            state[old] = numbers(2 * d, 4 * d)
        elif "downsample.norm" in old:
            state[old] = numbers(4 * d)
        else:
            state[old] = likely(numbers, old, d)
    for i, depth in enumerate(config.backbone_config.depths):
        for j in range(depth):
            d = 4 * size * 2 ** i
            state.update(linear(numbers, f"backbone.stages.{i}.blocks.{j}.attn.w_msa.qkv", 3 * d, d))
    state.update(linear(numbers, "decode_head.fpn_bottleneck.conv", 4, 6))
    a = dict(state)
    for old, new in pairs:
        module.rename_key(state, old, new)
    module.read_in_q_k_v(state, config.backbone_config)
    for key, tensor in list(state.items()):
        if "downsample" in key:
            if "reduction" in key:
                state[key] = module.reverse_correct_unfold_reduction_order(tensor)
            if "norm" in key:
                state[key] = module.reverse_correct_unfold_norm_order(tensor)
    return Case(a, state)


@family("microsoft-to-hf:phi", oracle("phi.convert_phi_weights_to_hf.convert_weights"))
def phi_microsoft(numbers, size):
    module, d = script("phi", "convert_phi_weights_to_hf"), 12 * size
    a = {"transformer.embd.wte.weight": numbers(20, d), **norm(numbers, "lm_head.ln", d), **linear(numbers, "lm_head.linear", 20, d)}
    for i in range(3):
        at = f"transformer.h.{i}"
        a.update({**norm(numbers, f"{at}.ln", d), **linear(numbers, f"{at}.mixer.Wqkv", 3 * d, d),
                  **linear(numbers, f"{at}.mixer.out_proj", d, d), **linear(numbers, f"{at}.mlp.fc1", 2 * d, d),
                  **linear(numbers, f"{at}.mlp.fc2", d, 2 * d), f"{at}.mixer.rotary_emb.inv_freq": numbers(2)})
    config = dict(num_attention_heads=3, hidden_size=d, num_hidden_layers=3)
    return Case(a, module.convert_weights(dict(a), module.PHI_MAPPING, SimpleNamespace(**config)), config)


@family("audiocraft-to-hf:musicgen", oracle("musicgen.convert_musicgen_transformers.rename_state_dict"))
def musicgen(numbers, size):
    module, d = script("musicgen", "convert_musicgen_transformers"), 12 * size
    a = {f"emb.{i}.weight": numbers(9, d) for i in range(4)}
    a.update({f"linears.{i}.weight": numbers(8, d) for i in range(4)})
    a.update(norm(numbers, "out_norm", d))
    a.update(linear(numbers, "condition_provider.conditioners.description.output_proj", d, 10))
    for i in range(3):
        at = f"transformer.layers.{i}"
        for m in ("self_attn", "cross_attention"):
            a[f"{at}.{m}.in_proj_weight"] = numbers(3 * d, d)
            a[f"{at}.{m}.out_proj.weight"] = numbers(d, d)
        a.update({f"{at}.linear1.weight": numbers(2 * d, d), f"{at}.linear2.weight": numbers(d, 2 * d),
                  **norm(numbers, f"{at}.norm1", d), **norm(numbers, f"{at}.norm2", d), **norm(numbers, f"{at}.norm_cross", d)})
    decoder, projection = module.rename_state_dict(dict(a), hidden_size=d)
    b = {f"decoder.{key}": tensor for key, tensor in decoder.items()}
    b.update({f"enc_to_dec_proj.{key}": tensor for key, tensor in projection.items()})
    return Case(a, b)


@family("mlcvnets-to-hf:mobilevit", oracle("mobilevit.convert_mlcvnets_to_pytorch.convert_state_dict"))
def mobilevit(numbers, size):
    module = script("mobilevit", "convert_mlcvnets_to_pytorch")
    config = transformers.MobileViTConfig(hidden_sizes=[8 * size, 12 * size, 16 * size], neck_hidden_sizes=[4, 8, 12, 16, 20, 24, 28],
                                          num_attention_heads=2, num_labels=5, image_size=32, mlp_ratio=1.5)
    model = transformers.MobileViTForImageClassification(config)
    a = mobilevit_source(numbers, model.state_dict())
    b = module.convert_state_dict(dict(a), model)
    assert set(b) == set(model.state_dict())
    return Case(a, b)


def mobilevit_source(numbers, target):
    """The published names of a model, from its shapes under the new names."""
    a = {}
    for key, tensor in target.items():
        t = tensor.shape
        key = key.removeprefix("mobilevit.")
        key = key.replace("conv_stem.", "conv_1.").replace("classifier.", "classifier.fc.")
        stage = re.match(r"encoder\.layer\.(\d)\.", key)
        if stage:
            n = int(stage[1]) + 1
            key = re.sub(r"^encoder\.layer\.\d\.", f"layer_{n}.", key)
            if n < 3:
                key = re.sub(r"\.layer\.(\d)\.", r".\1.block.", key)
            else:
                key = key.replace(".downsampling_layer.", ".0.block.")
                key = key.replace(".conv_kxk.", ".1.local_rep.conv_3x3.").replace(".conv_projection.", ".1.conv_proj.").replace(".fusion.", ".1.fusion.")
                if ".0.block." not in key:
                    key = re.sub(r"^(layer_\d)\.conv_1x1\.", r"\1.1.local_rep.conv_1x1.", key)
                depth = {3: 2, 4: 4, 5: 3}[n]
                key = re.sub(r"^(layer_\d)\.layernorm\.", rf"\1.1.global_rep.{depth}.", key)
                key = key.replace(".transformer.layer.", ".1.global_rep.")
                key = key.replace(".layernorm_before.", ".pre_norm_mha.0.").replace(".layernorm_after.", ".pre_norm_ffn.0.")
                key = key.replace(".attention.output.dense.", ".pre_norm_mha.1.out_proj.")
                key = key.replace(".intermediate.dense.", ".pre_norm_ffn.1.").replace(".output.dense.", ".pre_norm_ffn.4.")
                if ".attention.attention.key." in key or ".attention.attention.value." in key:
                    continue
                if ".attention.attention.query." in key:
                    key = key.replace(".attention.attention.query.", ".pre_norm_mha.1.qkv_proj.")
                    t = (3 * t[0], *t[1:])
        key = key.replace("expand_1x1", "exp_1x1").replace("reduce_1x1", "red_1x1")
        key = key.replace(".convolution.", ".block.conv.").replace(".normalization.", ".block.norm.")
        a[key] = numbers(*t) if tensor.is_floating_point() else tensor
    return a


def t5x_source(numbers, d, inner, ff, gated, head):
    def attention(at):
        return {f"{at}/{p}/kernel": numbers(d, inner) for p in ("query", "key", "value")} | {f"{at}/out/kernel": numbers(inner, d)}

    def mlp(at):
        names = ("wi_0", "wi_1") if gated else ("wi",)
        return {f"{at}/{p}/kernel": numbers(d, ff) for p in names} | {f"{at}/wo/kernel": numbers(ff, d)}

    a = {"token_embedder/embedding": numbers(20, d), "encoder/relpos_bias/rel_embedding": numbers(2, 8),
         "decoder/relpos_bias/rel_embedding": numbers(2, 8), "encoder/encoder_norm/scale": numbers(d),
         "decoder/decoder_norm/scale": numbers(d)}
    if head:
        a["decoder/logits_dense/kernel"] = numbers(d, 20)
    for i in range(3):
        at = f"encoder/layers_{i}"
        a.update({**attention(f"{at}/attention"), **mlp(f"{at}/mlp"), f"{at}/pre_attention_layer_norm/scale": numbers(d),
                  f"{at}/pre_mlp_layer_norm/scale": numbers(d)})
        at = f"decoder/layers_{i}"
        a.update({**attention(f"{at}/self_attention"), **attention(f"{at}/encoder_decoder_attention"), **mlp(f"{at}/mlp"),
                  f"{at}/pre_self_attention_layer_norm/scale": numbers(d), f"{at}/pre_cross_attention_layer_norm/scale": numbers(d),
                  f"{at}/pre_mlp_layer_norm/scale": numbers(d)})
    return a


def nested(flat):
    tree = {}
    for key, tensor in flat.items():
        at = tree
        *path, last = key.split("/")
        for step in path:
            at = at.setdefault(step, {})
        at[last] = tensor.numpy()
    return tree


def flattened(tree, path=()):
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for key, value in tree.items() for k, v in flattened(value, (*path, key)).items()}


T5X = oracle("t5.convert_t5x_checkpoint_to_pytorch (convert_t5x_to_pytorch, make_state_dict)")


def t5x_case(numbers, size, gated, head):
    a = t5x_source(numbers, 12 * size, 8 * size, 20 * size, gated, head)
    module = script("t5", "convert_t5x_checkpoint_to_pytorch")
    module.traverse_util = SimpleNamespace(flatten_dict=flattened)
    made = quiet(module.convert_t5x_to_pytorch, {"target": nested(a)}, num_layers=3, num_decoder_layers=3, is_encoder_only=False)
    return Case(a, dict(quiet(module.make_state_dict, made, False)))


@family("t5x-to-hf:t5", T5X)
def t5x_gated(numbers, size):
    return t5x_case(numbers, size, True, True)


@family("t5x-tied-to-hf:t5", T5X)
def t5x_first(numbers, size):
    return t5x_case(numbers, size, False, False)


def convnext_source(numbers, size, grn):
    a, widths = {}, [8 * size, 12 * size, 16 * size, 20 * size]
    a.update({"downsample_layers.0.0.weight": numbers(widths[0], 3, 4, 4), "downsample_layers.0.0.bias": numbers(widths[0]),
              **norm(numbers, "downsample_layers.0.1", widths[0])})
    for i in range(1, 4):
        a.update({**norm(numbers, f"downsample_layers.{i}.0", widths[i - 1]),
                  f"downsample_layers.{i}.1.weight": numbers(widths[i], widths[i - 1], 2, 2),
                  f"downsample_layers.{i}.1.bias": numbers(widths[i])})
    for i, depth in enumerate((1, 2, 3, 1)):
        for j in range(depth):
            at, d = f"stages.{i}.{j}", widths[i]
            a.update({f"{at}.dwconv.weight": numbers(d, 1, 7, 7), f"{at}.dwconv.bias": numbers(d), **norm(numbers, f"{at}.norm", d),
                      **linear(numbers, f"{at}.pwconv1", 4 * d, d), **linear(numbers, f"{at}.pwconv2", d, 4 * d)})
            if grn:
                a.update({f"{at}.grn.gamma": numbers(1, 1, 1, 4 * d), f"{at}.grn.beta": numbers(1, 1, 1, 4 * d)})
            else:
                a[f"{at}.gamma"] = numbers(d)
    return a | norm(numbers, "norm", widths[3]) | linear(numbers, "head", 5, widths[3])


def renamed_by(rename, prefix, a):
    """As the ConvNeXt scripts go about it: `rename_key`, then the model's prefix."""
    b = {}
    for key, tensor in a.items():
        key = rename(key)
        if not key.startswith("classifier"):
            key = prefix + key
        b[key] = tensor
    return b


@family("fb-to-hf:convnext", oracle("convnext.convert_convnext_to_pytorch.rename_key"))
def convnext_meta(numbers, size):
    a = convnext_source(numbers, size, grn=False)
    return Case(a, renamed_by(script("convnext", "convert_convnext_to_pytorch").rename_key, "convnext.", a))


@family("fb-to-hf:convnextv2", oracle("convnextv2.convert_convnextv2_to_pytorch.rename_key"))
def convnextv2_meta(numbers, size):
    a = convnext_source(numbers, size, grn=True)
    b = renamed_by(script("convnextv2", "convert_convnextv2_to_pytorch").rename_key, "convnextv2.", a)
    return Case(a, b)


@family("mcg-to-hf:videomae", oracle("videomae.convert_videomae_to_pytorch.convert_state_dict"))
def videomae(numbers, size):
    d, e, module = 12 * size, 8 * size, script("videomae", "convert_videomae_to_pytorch")
    a = {"encoder.patch_embed.proj.weight": numbers(d, 3, 2, 4, 4), "encoder.patch_embed.proj.bias": numbers(d),
         **norm(numbers, "encoder.norm", d), "mask_token": numbers(1, 1, e), "encoder_to_decoder.weight": numbers(e, d),
         **norm(numbers, "decoder.norm", e), **linear(numbers, "decoder.head", 48, e)}

    def layer(at, w):
        made = block(numbers, at, w, 2 * w)
        del made[f"{at}.attn.qkv.bias"]
        return made | {f"{at}.attn.q_bias": numbers(w), f"{at}.attn.v_bias": numbers(w)}

    for i in range(3):
        a.update(layer(f"encoder.blocks.{i}", d))
    for i in range(2):
        a.update(layer(f"decoder.blocks.{i}", e))
    b = module.convert_state_dict(dict(a), SimpleNamespace(hidden_size=d, decoder_hidden_size=e))
    return Case(a, b)


def written(write):
    """What a `write_model` writes: a folder of safetensors."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "source"), os.path.join(folder, "target")
        os.makedirs(source)
        quiet(write, source, target)
        b = {}
        for name in sorted(os.listdir(target)):
            if name.endswith(".safetensors"):
                b.update(load_file(os.path.join(target, name)))
            elif re.fullmatch(r"pytorch_model.*\.bin", name):
                b.update(torch.load(os.path.join(target, name), weights_only=True))
    return b


def meta_llama(numbers, size, heads=4, kv=2, layers=3):
    d, head = 16 * size, 16 * size // heads
    a = {"tok_embeddings.weight": numbers(20, d), "norm.weight": numbers(d), "output.weight": numbers(20, d),
         "rope.freqs": numbers(head // 2)}
    for i in range(layers):
        at = f"layers.{i}"
        a.update({f"{at}.attention.wq.weight": numbers(d, d), f"{at}.attention.wk.weight": numbers(kv * head, d),
                  f"{at}.attention.wv.weight": numbers(kv * head, d), f"{at}.attention.wo.weight": numbers(d, d),
                  f"{at}.feed_forward.w1.weight": numbers(20 * size, d), f"{at}.feed_forward.w2.weight": numbers(d, 20 * size),
                  f"{at}.feed_forward.w3.weight": numbers(20 * size, d), f"{at}.attention_norm.weight": numbers(d),
                  f"{at}.ffn_norm.weight": numbers(d)})
    return a


@family("meta-to-hf:llama", oracle("llama.convert_llama_weights_to_hf.write_model"))
def llama_meta_grouped(numbers, size):
    return llama_written(numbers, size, 4, 2, 3)


@family("meta-to-hf:llama", oracle("llama.convert_llama_weights_to_hf.write_model"))
def llama_meta_twelve_layers(numbers, size):
    return llama_written(numbers, size, 2, 2, 12)


def llama_written(numbers, size, heads, kv, layers):
    module = script("llama", "convert_llama_weights_to_hf")
    a = meta_llama(numbers, size, heads, kv, layers)
    model = transformers.LlamaForCausalLM
    whole = SimpleNamespace(from_pretrained=lambda path, **_: model.from_pretrained(path, torch_dtype=torch.float32))
    params = dict(dim=16 * size, n_heads=heads, n_layers=layers, norm_eps=1e-5, multiple_of=4, vocab_size=20)
    if kv != heads:
        params["n_kv_heads"] = kv

    def write(source, target):
        params["ffn_dim_multiplier"] = 1
        module.LlamaForCausalLM = whole
        module.compute_intermediate_size = lambda *_: 20 * size
        with open(os.path.join(source, "params.json"), "w") as file:
            json.dump(params, file)
        torch.save(a, os.path.join(source, "consolidated.00.pth"))
        module.write_model(target, source, "1B", llama_version="2", vocab_size=20, num_shards=1)

    return Case(a, written(write), params)
