"""Models under two naming schemes, with random weights: what conversion scripts do by hand.

Each model says for every key of the target which key of the source it comes from and how.
The names, and what is transposed or taken apart, are those of public conversion code:

- ResNet, torchvision to detectron2: `tools/convert-torchvision-to-d2.py` of detectron2.
- GPT-2: the names before and after `transformer.` and `lm_head` (transformers), and a model with
  `nn.Linear` where transformers has `Conv1D` (`from_pretrained` in nanoGPT's `model.py`).
- ViT, timm to transformers: `convert_vit_timm_to_pytorch.py`.
- CLIP, OpenAI to transformers: `convert_clip_original_pytorch_to_hf.py`.
- BERT with `gamma` and `beta` and the prefix `bert.`, and without: `from_pretrained` of transformers.
- LLaMA, Meta to transformers: `convert_llama_weights_to_hf.py`.
- Mixtral, Mistral to transformers: `convert_mixtral_weights_to_hf.py`.
- Whisper, OpenAI to transformers: `convert_openai_to_hf.py`.
- GPT-NeoX, its pipeline's numbered modules to transformers: `convert_neox_to_hf.py` of gpt-neox.
- RoBERTa, fairseq to transformers: `convert_roberta_original_pytorch_checkpoint_to_pytorch.py`.
- ViT, torchvision to timm: the two definitions, block by block.
- EfficientNet, torchvision to timm: the two definitions, block by block.
- Swin, Microsoft to timm: `checkpoint_filter_fn` of timm's `swin_transformer.py`.
- SAM's decoder, Meta to transformers: `convert_sam_to_hf.py`.
"""

import os

import torch


class Renaming:
    """Two state dicts of the same weights, and the truth about them."""

    def __init__(self, name):
        self.name, self.source, self.made = name, {}, {}
        self.truth = {}
        self.generator = torch.Generator().manual_seed(sum(name.encode()))

    def tensor(self, key, *shape, value=None):
        """A tensor of the source: random, unless a value says otherwise."""
        if value is None:
            value = torch.randn(*shape, generator=self.generator)
        self.source[key] = value
        return value

    def goes(self, source, target, how="same", value=None):
        """A tensor of the target: the source's own, or what is made of it."""
        self.made[target] = self.source[source].clone() if value is None else value.contiguous()
        self.truth[target] = {"from": source, "how": how}

    def norm(self, source, target, width, fresh=False):
        """Weight and bias of a norm; of one that was never trained all ones and zeros."""
        for part, value in [("weight", torch.ones), ("bias", torch.zeros)]:
            value = value(width) if fresh else None
            self.tensor(f"{source}.{part}", width, value=value)
            self.goes(f"{source}.{part}", f"{target}.{part}")

    def linear(self, source, target, out, into, *kernel, bias=True):
        self.tensor(f"{source}.weight", out, into, *kernel)
        self.goes(f"{source}.weight", f"{target}.weight")
        if bias:
            self.tensor(f"{source}.bias", out)
            self.goes(f"{source}.bias", f"{target}.bias")

    def fused(self, weight, bias, targets, width):
        """A fused projection whose parts are modules of the target."""
        self.tensor(weight, width * len(targets), width)
        self.tensor(bias, width * len(targets))
        for i, target in enumerate(targets):
            start, end = i * width, (i + 1) * width
            for source, part in [(weight, "weight"), (bias, "bias")]:
                value = self.source[source][start:end].clone()
                self.goes(source, f"{target}.{part}", f"rows {start}..{end}", value)

    def transposed(self, source, target, rows, columns):
        self.tensor(source, rows, columns)
        self.goes(source, target, "transposed", self.source[source].t())

    def reordered(self, order):
        """Puts the target's keys in the order of its own modules; what is not named stays behind."""
        rank = lambda key: next((i for i, part in enumerate(order) if part in key), len(order))
        self.made = dict(sorted(self.made.items(), key=lambda item: rank(item[0])))

    def in_layers(self, prefix, order):
        """Orders the keys of each layer by their parts, the layers as they are."""
        keys, out, layers = list(self.made), {}, {}
        for key in keys:
            if key.startswith(prefix):
                layers.setdefault(key[len(prefix):].split(".")[0], []).append(key)
        rank = lambda key: next((i for i, part in enumerate(order) if part in key), len(order))
        for key in keys:
            if not key.startswith(prefix):
                out[key] = self.made[key]
            else:
                for one in sorted(layers.pop(key[len(prefix):].split(".")[0], []), key=rank):
                    out[one] = self.made[one]
        self.made = out


def resnet(name, blocks, bottleneck, fresh=False):
    model, width, d2 = Renaming(name), 4, lambda t: f"res{t + 1}"

    def batch_norm(source, target, size):
        model.norm(source, target, size, fresh)
        for part, value in [("running_mean", torch.zeros), ("running_var", torch.ones)]:
            model.tensor(f"{source}.{part}", size, value=value(size) if fresh else None)
            model.goes(f"{source}.{part}", f"{target}.{part}")
        model.tensor(f"{source}.num_batches_tracked", value=torch.tensor(0 if fresh else 117))
        model.goes(f"{source}.num_batches_tracked", f"{target}.num_batches_tracked")

    model.linear("conv1", "stem.conv1", width, 3, 7, 7, bias=False)
    batch_norm("bn1", "stem.conv1.norm", width)
    into, expansion = width, 4 if bottleneck else 1
    for stage, count in enumerate(blocks, 1):
        size = width * 2 ** (stage - 1)
        for i in range(count):
            source, target = f"layer{stage}.{i}", f"{d2(stage)}.{i}"
            shapes = [(size, into, 1), (size, size, 3), (size * expansion, size, 1)]
            for j, (out, of, kernel) in enumerate(shapes if bottleneck else
                                                  [(size, into, 3), (size, size, 3)], 1):
                model.linear(f"{source}.conv{j}", f"{target}.conv{j}", out, of, kernel, kernel,
                             bias=False)
                batch_norm(f"{source}.bn{j}", f"{target}.conv{j}.norm", out)
            if i == 0 and into != size * expansion:
                model.linear(f"{source}.downsample.0", f"{target}.shortcut", size * expansion, into,
                             1, 1, bias=False)
                batch_norm(f"{source}.downsample.1", f"{target}.shortcut.norm", size * expansion)
            into = size * expansion
    model.linear("fc", "stem.fc", 10, into)
    for stage in range(1, 5):
        model.in_layers(f"{d2(stage)}.", ["shortcut"])
    return model


def gpt2(name, target):
    """transformers' names of 2019; the target is `named` as today, or has `linear` layers."""
    model, width, words, places, layers = Renaming(name), 16, 50, 24, 5
    mask = torch.tril(torch.ones(places, places)).view(1, 1, places, places)
    project = model.transposed if target == "linear" else None

    def conv1d(key, into, out):
        if project:
            project(f"{key}.weight", f"transformer.{key}.weight", into, out)
        else:
            model.tensor(f"{key}.weight", into, out)
            model.goes(f"{key}.weight", f"transformer.{key}.weight")
        model.tensor(f"{key}.bias", out)
        model.goes(f"{key}.bias", f"transformer.{key}.bias")

    for key, rows in [("wte.weight", words), ("wpe.weight", places)]:
        model.tensor(key, rows, width)
        model.goes(key, f"transformer.{key}")
    for i in range(layers):
        model.norm(f"h.{i}.ln_1", f"transformer.h.{i}.ln_1", width)
        model.tensor(f"h.{i}.attn.bias", value=mask.clone())
        conv1d(f"h.{i}.attn.c_attn", width, 3 * width)
        conv1d(f"h.{i}.attn.c_proj", width, width)
        model.norm(f"h.{i}.ln_2", f"transformer.h.{i}.ln_2", width)
        conv1d(f"h.{i}.mlp.c_fc", width, 4 * width)
        conv1d(f"h.{i}.mlp.c_proj", 4 * width, width)
    model.norm("ln_f", "transformer.ln_f", width)
    model.goes("wte.weight", "lm_head.weight")
    return model


def vit(name):
    model, width, layers = Renaming(name), 12, 4
    model.tensor("cls_token", 1, 1, width)
    model.goes("cls_token", "vit.embeddings.cls_token")
    model.tensor("pos_embed", 1, 17, width)
    model.goes("pos_embed", "vit.embeddings.position_embeddings")
    model.linear("patch_embed.proj", "vit.embeddings.patch_embeddings.projection", width, 3, 4, 4)
    for i in range(layers):
        source, target = f"blocks.{i}", f"vit.encoder.layer.{i}"
        model.norm(f"{source}.norm1", f"{target}.layernorm_before", width)
        parts = [f"{target}.attention.attention.{part}" for part in ("query", "key", "value")]
        model.fused(f"{source}.attn.qkv.weight", f"{source}.attn.qkv.bias", parts, width)
        model.linear(f"{source}.attn.proj", f"{target}.attention.output.dense", width, width)
        model.norm(f"{source}.norm2", f"{target}.layernorm_after", width)
        model.linear(f"{source}.mlp.fc1", f"{target}.intermediate.dense", 4 * width, width)
        model.linear(f"{source}.mlp.fc2", f"{target}.output.dense", width, 4 * width)
    model.norm("norm", "vit.layernorm", width)
    model.linear("head", "classifier", 10, width)
    model.in_layers("vit.encoder.layer.", ["attention.attention", "attention.output",
                                           "intermediate", "output", "layernorm_before"])
    return model


def clip(name):
    model, layers = Renaming(name), 3

    def encoder(source, target, width):
        for i in range(layers):
            of, to = f"{source}transformer.resblocks.{i}", f"{target}.encoder.layers.{i}"
            parts = [f"{to}.self_attn.{part}_proj" for part in "qkv"]
            model.fused(f"{of}.attn.in_proj_weight", f"{of}.attn.in_proj_bias", parts, width)
            model.linear(f"{of}.attn.out_proj", f"{to}.self_attn.out_proj", width, width)
            model.norm(f"{of}.ln_1", f"{to}.layer_norm1", width)
            model.linear(f"{of}.mlp.c_fc", f"{to}.mlp.fc1", 4 * width, width)
            model.linear(f"{of}.mlp.c_proj", f"{to}.mlp.fc2", width, 4 * width)
            model.norm(f"{of}.ln_2", f"{to}.layer_norm2", width)

    text, vision, joint = 8, 12, 6
    embeddings = "text_model.embeddings"
    model.tensor("positional_embedding", 20, text)
    model.goes("positional_embedding", f"{embeddings}.position_embedding.weight")
    model.transposed("text_projection", "text_projection.weight", text, joint)
    model.tensor("logit_scale", value=torch.tensor(2.6592))
    model.goes("logit_scale", "logit_scale")
    embeddings = "vision_model.embeddings"
    model.tensor("visual.class_embedding", vision)
    model.goes("visual.class_embedding", f"{embeddings}.class_embedding")
    model.tensor("visual.positional_embedding", 17, vision)
    model.goes("visual.positional_embedding", f"{embeddings}.position_embedding.weight")
    model.transposed("visual.proj", "visual_projection.weight", vision, joint)
    model.linear("visual.conv1", f"{embeddings}.patch_embedding", vision, 3, 4, 4, bias=False)
    model.norm("visual.ln_pre", "vision_model.pre_layrnorm", vision)
    encoder("visual.", "vision_model", vision)
    model.norm("visual.ln_post", "vision_model.post_layernorm", vision)
    encoder("", "text_model", text)
    model.linear("token_embedding", "text_model.embeddings.token_embedding", 50, text, bias=False)
    model.norm("ln_final", "text_model.final_layer_norm", text)
    model.reordered(["logit_scale", "text_model.embeddings", "text_model.", "vision_model.embed",
                     "vision_model.pre", "vision_model.encoder", "vision_model.", "visual_", "text_"])
    return model


def bert(name, prefix, gamma):
    """The base model from a file of a pre-training model."""
    model, width, layers = Renaming(name), 16, 4

    def layer_norm(key):
        weight, bias = ("gamma", "beta") if gamma else ("weight", "bias")
        for source, target in [(weight, "weight"), (bias, "bias")]:
            model.tensor(f"{prefix}{key}.LayerNorm.{source}", width)
            model.goes(f"{prefix}{key}.LayerNorm.{source}", f"{key}.LayerNorm.{target}")

    for part, rows in [("word", 60), ("position", 32), ("token_type", 2)]:
        key = f"embeddings.{part}_embeddings"
        model.linear(f"{prefix}{key}", key, rows, width, bias=False)
    layer_norm("embeddings")
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        for part in ["attention.self.query", "attention.self.key", "attention.self.value",
                     "attention.output.dense"]:
            model.linear(f"{prefix}{layer}.{part}", f"{layer}.{part}", width, width)
        layer_norm(f"{layer}.attention.output")
        model.linear(f"{prefix}{layer}.intermediate.dense", f"{layer}.intermediate.dense",
                     4 * width, width)
        model.linear(f"{prefix}{layer}.output.dense", f"{layer}.output.dense", width, 4 * width)
        layer_norm(f"{layer}.output")
    model.linear(f"{prefix}pooler.dense", "pooler.dense", width, width)
    if prefix:
        model.tensor("cls.predictions.bias", 60)
        model.tensor("cls.predictions.transform.dense.weight", width, width)
        model.tensor("cls.predictions.transform.dense.bias", width)
        model.tensor("cls.predictions.decoder.weight",
                     value=model.source[f"{prefix}embeddings.word_embeddings.weight"])
        model.tensor("cls.seq_relationship.weight", 2, width)
        model.tensor("cls.seq_relationship.bias", 2)
    return model


def llama(name):
    model, width, heads, shared, inner, words, layers = Renaming(name), 32, 4, 2, 48, 70, 4

    def rotary(key, target, heads):
        rows = width // 4 * heads
        model.tensor(key, rows, width)
        halves = model.source[key].view(heads, rows // heads // 2, 2, width).transpose(1, 2)
        model.goes(key, target, "rows reordered", halves.reshape(rows, width))

    model.linear("tok_embeddings", "model.embed_tokens", words, width, bias=False)
    for i in range(layers):
        source, target = f"layers.{i}", f"model.layers.{i}"
        rotary(f"{source}.attention.wq.weight", f"{target}.self_attn.q_proj.weight", heads)
        rotary(f"{source}.attention.wk.weight", f"{target}.self_attn.k_proj.weight", shared)
        model.linear(f"{source}.attention.wv", f"{target}.self_attn.v_proj", width // 4 * shared,
                     width, bias=False)
        model.linear(f"{source}.attention.wo", f"{target}.self_attn.o_proj", width, width,
                     bias=False)
        for one, other, shape in [("w1", "gate", (inner, width)), ("w2", "down", (width, inner)),
                                  ("w3", "up", (inner, width))]:
            model.linear(f"{source}.feed_forward.{one}", f"{target}.mlp.{other}_proj", *shape,
                         bias=False)
        for one, other in [("attention_norm", "input_layernorm"),
                           ("ffn_norm", "post_attention_layernorm")]:
            model.tensor(f"{source}.{one}.weight", width)
            model.goes(f"{source}.{one}.weight", f"{target}.{other}.weight")
    model.tensor("norm.weight", width)
    model.goes("norm.weight", "model.norm.weight")
    model.linear("output", "lm_head", words, width, bias=False)
    model.in_layers("model.layers.", ["self_attn", "gate", "up", "down", "input_layernorm"])
    return model


def mixtral(name):
    model, width, inner, words, layers, experts = Renaming(name), 32, 48, 70, 3, 4
    model.linear("tok_embeddings", "model.embed_tokens", words, width, bias=False)
    for i in range(layers):
        source, target = f"layers.{i}", f"model.layers.{i}"
        for part, rows in [("q", width), ("k", width // 2), ("v", width // 2), ("o", width)]:
            model.linear(f"{source}.attention.w{part}", f"{target}.self_attn.{part}_proj", rows,
                         width, bias=False)
        moe = f"{target}.block_sparse_moe"
        model.linear(f"{source}.feed_forward.gate", f"{moe}.gate", experts, width, bias=False)
        for expert in range(experts):
            for part, shape in [("w1", (inner, width)), ("w2", (width, inner)),
                                ("w3", (inner, width))]:
                model.linear(f"{source}.feed_forward.experts.{expert}.{part}",
                             f"{moe}.experts.{expert}.{part}", *shape, bias=False)
        for one, other in [("attention_norm", "input_layernorm"),
                           ("ffn_norm", "post_attention_layernorm")]:
            model.tensor(f"{source}.{one}.weight", width)
            model.goes(f"{source}.{one}.weight", f"{target}.{other}.weight")
    model.tensor("norm.weight", width)
    model.goes("norm.weight", "model.norm.weight")
    model.linear("output", "lm_head", words, width, bias=False)
    return model


def whisper(name):
    model, width, layers = Renaming(name), 16, 3

    def attention(source, target):
        for one, other in [("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"),
                           ("out", "out_proj")]:
            model.linear(f"{source}.{one}", f"{target}.{other}", width, width, bias=one != "key")

    def blocks(side, has_cross):
        for i in range(layers):
            source, target = f"{side}.blocks.{i}", f"model.{side}.layers.{i}"
            attention(f"{source}.attn", f"{target}.self_attn")
            model.norm(f"{source}.attn_ln", f"{target}.self_attn_layer_norm", width)
            if has_cross:
                attention(f"{source}.cross_attn", f"{target}.encoder_attn")
                model.norm(f"{source}.cross_attn_ln", f"{target}.encoder_attn_layer_norm", width)
            model.linear(f"{source}.mlp.0", f"{target}.fc1", 4 * width, width)
            model.linear(f"{source}.mlp.2", f"{target}.fc2", width, 4 * width)
            model.norm(f"{source}.mlp_ln", f"{target}.final_layer_norm", width)

    def positions(side, count):
        model.tensor(f"{side}.positional_embedding", count, width)
        model.goes(f"{side}.positional_embedding", f"model.{side}.embed_positions.weight")

    positions("encoder", 30)
    model.linear("encoder.conv1", "model.encoder.conv1", width, 10, 3)
    model.linear("encoder.conv2", "model.encoder.conv2", width, width, 3)
    blocks("encoder", has_cross=False)
    model.norm("encoder.ln_post", "model.encoder.layer_norm", width)
    positions("decoder", 20)
    model.linear("decoder.token_embedding", "model.decoder.embed_tokens", 50, width, bias=False)
    blocks("decoder", has_cross=True)
    model.norm("decoder.ln", "model.decoder.layer_norm", width)
    return model


def neox(name):
    """Every layer of the pipeline has a number; the first two are the embedding and a reshape."""
    model, width, layers = Renaming(name), 16, 4
    model.linear("sequential.0.word_embeddings", "gpt_neox.embed_in", 60, width, bias=False)
    for i in range(layers):
        source, target = f"sequential.{i + 2}", f"gpt_neox.layers.{i}"
        for part in ("input_layernorm", "post_attention_layernorm"):
            model.norm(f"{source}.{part}", f"{target}.{part}", width)
        for part, out, into in [("attention.query_key_value", 3 * width, width),
                                ("attention.dense", width, width),
                                ("mlp.dense_h_to_4h", 4 * width, width),
                                ("mlp.dense_4h_to_h", width, 4 * width)]:
            model.linear(f"{source}.{part}", f"{target}.{part}", out, into)
    model.norm(f"sequential.{layers + 3}.norm", "gpt_neox.final_layer_norm", width)
    model.linear(f"sequential.{layers + 4}.final_linear", "embed_out", 60, width, bias=False)
    return model


def roberta(name):
    model, width, layers, encoder = Renaming(name), 16, 3, "encoder.sentence_encoder"
    model.linear(f"{encoder}.embed_tokens", "roberta.embeddings.word_embeddings", 60, width,
                 bias=False)
    model.linear(f"{encoder}.embed_positions", "roberta.embeddings.position_embeddings", 34, width,
                 bias=False)
    model.norm(f"{encoder}.layernorm_embedding", "roberta.embeddings.LayerNorm", width)
    for i in range(layers):
        source, target = f"{encoder}.layers.{i}", f"roberta.encoder.layer.{i}"
        for one, other in [("k_proj", "key"), ("v_proj", "value"), ("q_proj", "query")]:
            model.linear(f"{source}.self_attn.{one}", f"{target}.attention.self.{other}", width,
                         width)
        model.linear(f"{source}.self_attn.out_proj", f"{target}.attention.output.dense", width,
                     width)
        model.norm(f"{source}.self_attn_layer_norm", f"{target}.attention.output.LayerNorm", width)
        model.linear(f"{source}.fc1", f"{target}.intermediate.dense", 4 * width, width)
        model.linear(f"{source}.fc2", f"{target}.output.dense", width, 4 * width)
        model.norm(f"{source}.final_layer_norm", f"{target}.output.LayerNorm", width)
    model.in_layers("roberta.encoder.layer.", ["query", "key", "value", "attention"])
    return model


def vit_of_torchvision(name):
    model, width, layers = Renaming(name), 12, 3
    for source, target, shape in [("class_token", "cls_token", (1, 1, width)),
                                  ("encoder.pos_embedding", "pos_embed", (1, 17, width))]:
        model.tensor(source, *shape)
        model.goes(source, target)
    model.linear("conv_proj", "patch_embed.proj", width, 3, 4, 4)
    for i in range(layers):
        source, target = f"encoder.layers.encoder_layer_{i}", f"blocks.{i}"
        model.norm(f"{source}.ln_1", f"{target}.norm1", width)
        for part, shape in [("weight", (3 * width, width)), ("bias", (3 * width,))]:
            model.tensor(f"{source}.self_attention.in_proj_{part}", *shape)
            model.goes(f"{source}.self_attention.in_proj_{part}", f"{target}.attn.qkv.{part}")
        model.linear(f"{source}.self_attention.out_proj", f"{target}.attn.proj", width, width)
        model.norm(f"{source}.ln_2", f"{target}.norm2", width)
        model.linear(f"{source}.mlp.0", f"{target}.mlp.fc1", 4 * width, width)
        model.linear(f"{source}.mlp.3", f"{target}.mlp.fc2", width, 4 * width)
    model.norm("encoder.ln", "norm", width)
    model.linear("heads.head", "head", 10, width)
    return model


def efficientnet(name):
    """The first stage's blocks have no expansion, and so their parts count otherwise."""
    model = Renaming(name)

    def batch_norm(source, target, size):
        model.norm(source, target, size)
        for part in ("running_mean", "running_var"):
            model.tensor(f"{source}.{part}", size)
            model.goes(f"{source}.{part}", f"{target}.{part}")

    def conv(source, target, out, into, kernel):
        model.linear(f"{source}.0", target[0], out, into, kernel, kernel, bias=False)
        batch_norm(f"{source}.1", target[1], out)

    conv("features.0", ("conv_stem", "bn1"), 8, 3, 3)
    into = 8
    for stage, (out, blocks) in enumerate([(4, 1), (6, 2), (10, 2)]):
        for i in range(blocks):
            source, target = f"features.{stage + 1}.{i}.block", f"blocks.{stage}.{i}"
            wide = into if stage == 0 else 6 * into
            at, last = (1, "conv_pwl") if stage else (0, "conv_pw")
            if stage:
                conv(f"{source}.0", (f"{target}.conv_pw", f"{target}.bn1"), wide, into, 1)
            conv(f"{source}.{at}", (f"{target}.conv_dw", f"{target}.bn{at + 1}"), wide, 1, 3)
            gate, narrow = f"{source}.{at + 1}", into // 4
            model.linear(f"{gate}.fc1", f"{target}.se.conv_reduce", narrow, wide, 1, 1)
            model.linear(f"{gate}.fc2", f"{target}.se.conv_expand", wide, narrow, 1, 1)
            conv(f"{source}.{at + 2}", (f"{target}.{last}", f"{target}.bn{at + 2}"), out, wide,
                 1)
            into = out
    conv("features.4", ("conv_head", "bn2"), 40, into, 1)
    model.linear("classifier.1", "classifier", 10, 40)
    return model


def swin(name):
    """What merges patches ends a stage on one side and begins the next on the other."""
    model, width = Renaming(name), 8
    model.linear("patch_embed.proj", "patch_embed.proj", width, 3, 4, 4)
    model.norm("patch_embed.norm", "patch_embed.norm", width)
    for stage, blocks in enumerate([2, 2, 4]):
        size = width * 2 ** stage
        for i in range(blocks):
            block = f"layers.{stage}.blocks.{i}"
            model.norm(f"{block}.norm1", f"{block}.norm1", size)
            model.tensor(f"{block}.attn.relative_position_bias_table", 9, 2)
            model.goes(f"{block}.attn.relative_position_bias_table",
                       f"{block}.attn.relative_position_bias_table")
            model.linear(f"{block}.attn.qkv", f"{block}.attn.qkv", 3 * size, size)
            model.linear(f"{block}.attn.proj", f"{block}.attn.proj", size, size)
            model.norm(f"{block}.norm2", f"{block}.norm2", size)
            model.linear(f"{block}.mlp.fc1", f"{block}.mlp.fc1", 4 * size, size)
            model.linear(f"{block}.mlp.fc2", f"{block}.mlp.fc2", size, 4 * size)
        if stage < 2:
            source, target = f"layers.{stage}.downsample", f"layers.{stage + 1}.downsample"
            model.norm(f"{source}.norm", f"{target}.norm", 4 * size)
            model.linear(f"{source}.reduction", f"{target}.reduction", 2 * size, 4 * size,
                         bias=False)
    model.norm("norm", "norm", size)
    model.linear("head", "head.fc", 10, size)
    model.in_layers("layers.", ["downsample"])
    return model


def sam(name):
    """Three layers in a list, of which only the second is in one on the other side."""
    model, width = Renaming(name), 16
    for decoder in [f"output_hypernetworks_mlps.{i}" for i in range(4)] + ["iou_prediction_head"]:
        decoder = f"mask_decoder.{decoder}"
        for source, target, out in [("layers.0", "proj_in", width), ("layers.1", "layers.0", width),
                                    ("layers.2", "proj_out", width // 2)]:
            model.linear(f"{decoder}.{source}", f"{decoder}.{target}", out, width)
    return model


def models():
    yield resnet("torchvision ResNet-18 to detectron2", [2, 2, 2, 2], bottleneck=False)
    yield resnet("torchvision ResNet-50 to detectron2", [3, 4, 6, 3], bottleneck=True)
    yield resnet("untrained ResNet-18 to detectron2", [2, 2, 2, 2], bottleneck=False, fresh=True)
    yield gpt2("GPT-2 of old names to new ones", "named")
    yield gpt2("GPT-2 of Conv1D to nn.Linear", "linear")
    yield vit("timm ViT to transformers")
    yield clip("OpenAI CLIP to transformers")
    yield bert("BERT with bert. and gamma to BertModel", "bert.", gamma=True)
    yield bert("BERT with bert. to BertModel", "bert.", gamma=False)
    yield bert("BERT with gamma to BertModel", "", gamma=True)
    yield llama("Meta LLaMA to transformers")
    yield mixtral("Mistral's Mixtral to transformers")
    yield whisper("OpenAI Whisper to transformers")
    yield neox("GPT-NeoX pipeline to transformers")
    yield roberta("fairseq RoBERTa to transformers")
    yield vit_of_torchvision("torchvision ViT to timm")
    yield efficientnet("torchvision EfficientNet to timm")
    yield swin("Microsoft Swin to timm")
    yield sam("Meta SAM's decoder to transformers")


def generate(folder):
    """Writes each model under both names; gives the files and the truth."""
    written = []
    for i, model in enumerate(models()):
        source, target = (os.path.join(folder, f"{i}-{side}.pth") for side in ("source", "target"))
        torch.save(model.source, source)
        torch.save(model.made, target)
        written.append({"name": model.name, "source": source, "target": target,
                        "truth": model.truth})
    return written
