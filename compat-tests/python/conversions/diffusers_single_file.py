"""diffusers' converters of single files, on state dicts under the published names."""
import inspect

import diffusers
from diffusers.loaders import single_file_utils as official

from . import Case, family, linear


def oracle(text):
    return f"diffusers {diffusers.__version__} single_file_utils.{text}"


def resized(function, old, new):
    """A converter with another built-in width, which is the published model's."""
    text = inspect.getsource(function)
    assert old in text
    made = dict(official.__dict__)
    exec(text.replace(old, new), made)
    return made[function.__name__]


HUNYUAN = oracle("convert_hunyuan_video_transformer_to_diffusers (hidden_size set to the pair's)")


@family("tencent-to-diffusers:hunyuan-video", HUNYUAN)
def hunyuan_video(numbers, size):
    d = 12 * size
    a = {"img_in.proj.weight": numbers(d, 4, 1, 2, 2), "img_in.proj.bias": numbers(d)}
    for name, o, i in [("time_in.mlp.0", d, 6), ("time_in.mlp.2", d, d), ("vector_in.in_layer", d, 8), ("vector_in.out_layer", d, d),
                       ("guidance_in.mlp.0", d, 6), ("guidance_in.mlp.2", d, d), ("txt_in.input_embedder", d, 10),
                       ("txt_in.t_embedder.mlp.0", d, 6), ("txt_in.t_embedder.mlp.2", d, d), ("txt_in.c_embedder.linear_1", d, 10),
                       ("txt_in.c_embedder.linear_2", d, d), ("final_layer.linear", 16, d), ("final_layer.adaLN_modulation.1", 2 * d, d)]:
        a.update(linear(numbers, name, o, i))
    for n in range(2):
        at = f"txt_in.individual_token_refiner.blocks.{n}"
        for name, o, i in [("self_attn_qkv", 3 * d, d), ("self_attn_proj", d, d), ("mlp.fc1", 2 * d, d), ("mlp.fc2", d, 2 * d),
                           ("adaLN_modulation.1", 2 * d, d)]:
            a.update(linear(numbers, f"{at}.{name}", o, i))
        for name in ("norm1", "norm2"):
            a.update({f"{at}.{name}.weight": numbers(d), f"{at}.{name}.bias": numbers(d)})
    for n in range(3):
        for s in ("img", "txt"):
            at = f"double_blocks.{n}.{s}"
            for name, o, i in [("mod.linear", 6 * d, d), ("attn_qkv", 3 * d, d), ("attn_proj", d, d), ("mlp.fc1", 4 * d, d), ("mlp.fc2", d, 4 * d)]:
                a.update(linear(numbers, f"{at}_{name}", o, i))
            a.update({f"{at}_attn_q_norm.weight": numbers(4), f"{at}_attn_k_norm.weight": numbers(4)})
    for n in range(11):
        at = f"single_blocks.{n}"
        for name, o, i in [("linear1", 7 * d, d), ("linear2", d, 5 * d), ("modulation.linear", 3 * d, d)]:
            a.update(linear(numbers, f"{at}.{name}", o, i))
        a.update({f"{at}.q_norm.weight": numbers(4), f"{at}.k_norm.weight": numbers(4)})
    convert = resized(official.convert_hunyuan_video_transformer_to_diffusers, "3072", str(d))
    return Case(a, convert(dict(a)))


def flux_source(numbers, d, doubles, singles, guidance, prefix):
    a = {}
    embedders = ["time_in", "vector_in"] + ["guidance_in"] * guidance
    for name, o, i in ([(f"{e}.in_layer", d, 6) for e in embedders] + [(f"{e}.out_layer", d, d) for e in embedders]
                       + [("txt_in", d, 10), ("img_in", d, 4), ("final_layer.linear", 4, d), ("final_layer.adaLN_modulation.1", 2 * d, d)]):
        a.update(linear(numbers, name, o, i))
    for n in range(doubles):
        for s in ("img", "txt"):
            at = f"double_blocks.{n}.{s}"
            for name, o, i in [("mod.lin", 6 * d, d), ("attn.qkv", 3 * d, d), ("attn.proj", d, d), ("mlp.0", 4 * d, d), ("mlp.2", d, 4 * d)]:
                a.update(linear(numbers, f"{at}_{name}", o, i))
            a.update({f"{at}_attn.norm.query_norm.scale": numbers(4), f"{at}_attn.norm.key_norm.scale": numbers(4)})
    for n in range(singles):
        at = f"single_blocks.{n}"
        for name, o, i in [("linear1", 7 * d, d), ("linear2", d, 5 * d), ("modulation.lin", 3 * d, d)]:
            a.update(linear(numbers, f"{at}.{name}", o, i))
        a.update({f"{at}.norm.query_norm.scale": numbers(4), f"{at}.norm.key_norm.scale": numbers(4)})
    return {prefix + key: tensor for key, tensor in a.items()}


FLUX = oracle("convert_flux_transformer_checkpoint_to_diffusers (inner_dim set to the pair's)")


@family("bfl-to-diffusers:flux", FLUX)
def flux_dev(numbers, size):
    a = flux_source(numbers, 12 * size, 3, 11, True, "model.diffusion_model.")
    return Case(a, resized(official.convert_flux_transformer_checkpoint_to_diffusers, "3072", str(12 * size))(dict(a)))


@family("bfl-to-diffusers:flux", FLUX, way="forward")
def flux_schnell_without_prefix(numbers, size):
    a = flux_source(numbers, 12 * size, 2, 2, False, "")
    return Case(a, resized(official.convert_flux_transformer_checkpoint_to_diffusers, "3072", str(12 * size))(dict(a)))


def sd3_source(numbers, d, layers, dual, normed):
    a = {"pos_embed": numbers(1, 9, d), "x_embedder.proj.weight": numbers(d, 4, 2, 2), "x_embedder.proj.bias": numbers(d)}
    for name, o, i in [("t_embedder.mlp.0", d, 6), ("t_embedder.mlp.2", d, d), ("y_embedder.mlp.0", d, 8), ("y_embedder.mlp.2", d, d),
                       ("context_embedder", d, 10), ("final_layer.linear", 16, d), ("final_layer.adaLN_modulation.1", 2 * d, d)]:
        a.update(linear(numbers, name, o, i))
    for n in range(layers):
        last = n == layers - 1
        for s in ("x", "context"):
            at, short = f"joint_blocks.{n}.{s}_block", last and s == "context"
            parts = 9 if n in dual and s == "x" else 6
            a.update(linear(numbers, f"{at}.adaLN_modulation.1", (2 if short else parts) * d, d))
            a.update(linear(numbers, f"{at}.attn.qkv", 3 * d, d))
            if normed:
                a.update({f"{at}.attn.ln_q.weight": numbers(4), f"{at}.attn.ln_k.weight": numbers(4)})
            if n in dual and s == "x":
                a.update(linear(numbers, f"{at}.attn2.qkv", 3 * d, d))
                a.update(linear(numbers, f"{at}.attn2.proj", d, d))
                a.update({f"{at}.attn2.ln_q.weight": numbers(4), f"{at}.attn2.ln_k.weight": numbers(4)})
            if not short:
                a.update(linear(numbers, f"{at}.attn.proj", d, d))
                a.update(linear(numbers, f"{at}.mlp.fc1", 4 * d, d))
                a.update(linear(numbers, f"{at}.mlp.fc2", d, 4 * d))
    return {f"model.diffusion_model.{key}": tensor for key, tensor in a.items()}


SD3 = oracle("convert_sd3_transformer_checkpoint_to_diffusers")


@family("sai-to-diffusers:sd3", SD3)
def sd3_four_layers(numbers, size):
    a = sd3_source(numbers, 12 * size, 4, (), False)
    return Case(a, official.convert_sd3_transformer_checkpoint_to_diffusers(dict(a)), dict(num_layers=4))


@family("sai-to-diffusers:sd3", SD3)
def sd35_twelve_layers(numbers, size):
    a = sd3_source(numbers, 8 * size, 12, (0, 1, 2), True)
    return Case(a, official.convert_sd3_transformer_checkpoint_to_diffusers(dict(a)), dict(num_layers=12))


def vae_source(numbers, widths):
    a = {}

    def conv(name, o, i, k=3):
        a.update({f"{name}.weight": numbers(o, i, k, k), f"{name}.bias": numbers(o)})

    def norm(name, n):
        a.update({f"{name}.weight": numbers(n), f"{name}.bias": numbers(n)})

    def resnet(name, i, o):
        norm(f"{name}.norm1", i)
        conv(f"{name}.conv1", o, i)
        norm(f"{name}.norm2", o)
        conv(f"{name}.conv2", o, o)
        if i != o:
            conv(f"{name}.nin_shortcut", o, i, 1)

    def middle(side, d):
        resnet(f"{side}.mid.block_1", d, d)
        resnet(f"{side}.mid.block_2", d, d)
        norm(f"{side}.mid.attn_1.norm", d)
        for p in ("q", "k", "v", "proj_out"):
            conv(f"{side}.mid.attn_1.{p}", d, d, 1)

    conv("encoder.conv_in", widths[0], 3)
    d = widths[0]
    for n, w in enumerate(widths):
        for j in range(2):
            resnet(f"encoder.down.{n}.block.{j}", d, w)
            d = w
        if n + 1 < len(widths):
            conv(f"encoder.down.{n}.downsample.conv", w, w)
    middle("encoder", d)
    norm("encoder.norm_out", d)
    conv("encoder.conv_out", 8, d)
    conv("decoder.conv_in", d, 4)
    middle("decoder", d)
    for n, w in reversed(list(enumerate(widths))):
        for j in range(3):
            resnet(f"decoder.up.{n}.block.{j}", d, w)
            d = w
        if n:
            conv(f"decoder.up.{n}.upsample.conv", w, w)
    norm("decoder.norm_out", d)
    conv("decoder.conv_out", 3, d)
    conv("quant_conv", 8, 8, 1)
    conv("post_quant_conv", 4, 4, 1)
    return {f"first_stage_model.{key}": tensor for key, tensor in a.items()}


@family("ldm-to-diffusers:sd-vae", oracle("convert_ldm_vae_checkpoint"))
def vae_four_blocks(numbers, size):
    widths = [4 * size, 8 * size, 12 * size, 16 * size]
    a = vae_source(numbers, widths)
    config = dict(down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, block_out_channels=widths,
                  layers_per_block=2, latent_channels=4)
    return Case(a, official.convert_ldm_vae_checkpoint(dict(a), config), config)


@family("wan-to-diffusers:wan", oracle("convert_wan_transformer_to_diffusers"))
def wan_text_to_video(numbers, size):
    d = 12 * size
    a = {"patch_embedding.weight": numbers(d, 4, 1, 2, 2), "patch_embedding.bias": numbers(d), "head.modulation": numbers(1, 2, d)}
    for name, o, i in [("text_embedding.0", d, 10), ("text_embedding.2", d, d), ("time_embedding.0", d, 6), ("time_embedding.2", d, d),
                       ("time_projection.1", 6 * d, d), ("head.head", 16, d)]:
        a.update(linear(numbers, name, o, i))
    for n in range(11):
        at = f"blocks.{n}"
        for m in ("self_attn", "cross_attn"):
            for p in "qkvo":
                a.update(linear(numbers, f"{at}.{m}.{p}", d, d))
            a.update({f"{at}.{m}.norm_q.weight": numbers(d), f"{at}.{m}.norm_k.weight": numbers(d)})
        a.update(linear(numbers, f"{at}.ffn.0", 2 * d, d))
        a.update(linear(numbers, f"{at}.ffn.2", d, 2 * d))
        a.update({f"{at}.norm3.weight": numbers(d), f"{at}.norm3.bias": numbers(d), f"{at}.modulation": numbers(1, 6, d)})
    return Case(a, official.convert_wan_transformer_to_diffusers(dict(a)))


RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
EMBEDDERS = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
             "add_embedding.linear_2": "label_emb.0.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}


def ldm_name(key, with_attention):
    """The published name of a tensor of diffusers' U-Net."""
    for new, old in EMBEDDERS.items():
        if key.startswith(new + "."):
            return old + key.removeprefix(new)
    side, *rest = key.split(".")
    if side == "mid_block":
        kind, n, *rest = rest
        at = "middle_block." + ("1" if kind == "attentions" else str(2 * int(n)))
    else:
        block, kind, n, *rest = rest
        i, n = int(block), int(n)
        if kind == "downsamplers":
            return f"input_blocks.{3 * i + 3}.0.op." + rest[-1]
        if kind == "upsamplers":
            return f"output_blocks.{3 * i + 2}.{2 if i in with_attention else 1}.conv." + rest[-1]
        number = f"input_blocks.{3 * i + n + 1}" if side == "down_blocks" else f"output_blocks.{3 * i + n}"
        at = f"{number}.{1 if kind == 'attentions' else 0}"
    if kind == "resnets":
        rest[0] = RESNET[rest[0]]
    return ".".join([at, *rest])


def unet(numbers, down, up, **more):
    config = dict(sample_size=8, in_channels=4, out_channels=4, layers_per_block=2, norm_num_groups=2, cross_attention_dim=10,
                  attention_head_dim=2, down_block_types=down, up_block_types=up, **more)
    target = diffusers.UNet2DConditionModel(**config).state_dict()
    with_attention = {i for i, kind in enumerate(up) if "CrossAttn" in kind}
    a = {"model.diffusion_model." + ldm_name(key, with_attention): numbers(*tensor.shape) for key, tensor in target.items()}
    b = official.convert_ldm_unet_checkpoint(dict(a), config)
    assert set(b) == set(target)
    return Case(a, b, dict(layers_per_block=2))


UNET = oracle("convert_ldm_unet_checkpoint")


@family("ldm-to-diffusers:sd-unet", UNET)
def sd_unet(numbers, size):
    return unet(numbers, ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"], ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
                block_out_channels=[4 * size, 8 * size, 12 * size], use_linear_projection=True)


@family("ldm-to-diffusers:sdxl-unet", UNET)
def sdxl_unet(numbers, size):
    return unet(numbers, ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
                block_out_channels=[4 * size, 8 * size, 12 * size], use_linear_projection=True, transformer_layers_per_block=[1, 1, 2],
                addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=12)
