"""timm's own filters of published checkpoints."""
import timm
import torch
from timm.models import convnext, swin_transformer

from . import Case, family, linear, norm


def oracle(text):
    return f"timm {timm.__version__} {text}"


@family("fb-to-timm:convnext", oracle("convnext.checkpoint_filter_fn"))
def convnext_timm(numbers, size):
    return convnext_of(numbers, size, False)


@family("fb-to-timm:convnextv2", oracle("convnext.checkpoint_filter_fn"))
def convnextv2_timm(numbers, size):
    return convnext_of(numbers, size, True)


def convnext_of(numbers, size, grn):
    widths, depths = [8 * size, 12 * size, 16 * size, 20 * size], (1, 2, 11, 1)
    model = convnext.ConvNeXt(dims=widths, depths=depths, num_classes=5, use_grn=grn, ls_init_value=None if grn else 1e-6)
    a = {"downsample_layers.0.0.weight": numbers(widths[0], 3, 4, 4), "downsample_layers.0.0.bias": numbers(widths[0]),
         **norm(numbers, "downsample_layers.0.1", widths[0]), **norm(numbers, "norm", widths[3]), **linear(numbers, "head", 5, widths[3])}
    for i in range(1, 4):
        a.update({**norm(numbers, f"downsample_layers.{i}.0", widths[i - 1]), f"downsample_layers.{i}.1.bias": numbers(widths[i]),
                  f"downsample_layers.{i}.1.weight": numbers(widths[i], widths[i - 1], 2, 2)})
    for i, depth in enumerate(depths):
        for j in range(depth):
            at, d = f"stages.{i}.{j}", widths[i]
            a.update({f"{at}.dwconv.weight": numbers(d, 1, 7, 7), f"{at}.dwconv.bias": numbers(d), **norm(numbers, f"{at}.norm", d),
                      **linear(numbers, f"{at}.pwconv1", 4 * d, d), **linear(numbers, f"{at}.pwconv2", d, 4 * d)})
            if grn:
                a.update({f"{at}.grn.gamma": numbers(1, 1, 1, 4 * d), f"{at}.grn.beta": numbers(1, 1, 1, 4 * d)})
            else:
                a[f"{at}.gamma"] = numbers(d)
    b = convnext.checkpoint_filter_fn(dict(a), model)
    assert set(b) == set(model.state_dict())
    return Case(a, b)


@family("ms-to-timm:swin", oracle("swin_transformer.checkpoint_filter_fn"))
def swin_timm(numbers, size):
    depths, d = (2, 2, 1), 8 * size
    model = swin_transformer.SwinTransformer(img_size=32, patch_size=4, embed_dim=d, depths=depths, num_heads=(2, 2, 4), window_size=2, num_classes=5)
    a = {"patch_embed.proj.weight": numbers(d, 3, 4, 4), "patch_embed.proj.bias": numbers(d), **norm(numbers, "patch_embed.norm", d)}
    for i, depth in enumerate(depths):
        for j in range(depth):
            at = f"layers.{i}.blocks.{j}"
            a.update({**norm(numbers, f"{at}.norm1", d), **linear(numbers, f"{at}.attn.qkv", 3 * d, d), **linear(numbers, f"{at}.attn.proj", d, d),
                      **norm(numbers, f"{at}.norm2", d), **linear(numbers, f"{at}.mlp.fc1", 4 * d, d), **linear(numbers, f"{at}.mlp.fc2", d, 4 * d),
                      f"{at}.attn.relative_position_bias_table": numbers(9, (2, 2, 4)[i]),
                      f"{at}.attn.relative_position_index": torch.arange(16).reshape(4, 4)})
            if j % 2:
                a[f"{at}.attn_mask"] = numbers(4, 4, 4)
        if i + 1 < len(depths):
            a.update(norm(numbers, f"layers.{i}.downsample.norm", 4 * d))
            a[f"layers.{i}.downsample.reduction.weight"] = numbers(2 * d, 4 * d)
            d *= 2
    a.update({**norm(numbers, "norm", d), **linear(numbers, "head", 5, d)})
    return Case(a, swin_transformer.checkpoint_filter_fn(dict(a), model))
