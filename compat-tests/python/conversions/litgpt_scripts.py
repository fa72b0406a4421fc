"""LitGPT's conversion of models under the names of Hugging Face."""
import importlib.metadata
from types import SimpleNamespace

from litgpt.scripts import convert_hf_checkpoint as official

from . import Case, family

LITGPT = f"litgpt {importlib.metadata.version('litgpt')} convert_hf_checkpoint."


def linear(numbers, name, o, i, bias=False):
    made = {f"{name}.weight": numbers(o, i)}
    if bias:
        made[f"{name}.bias"] = numbers(o)
    return made


def norm(numbers, name, n, bias=False):
    made = {f"{name}.weight": numbers(n)}
    if bias:
        made[f"{name}.bias"] = numbers(n)
    return made


def decoder(numbers, size, layers=3, bias=False, head=True, normed=False, experts=0, sandwich=False):
    """A model under the names of Hugging Face's Llama, and its configuration."""
    heads, kv, d, width, m = 6, 2, 18 * size, 4, 20 * size
    a = {"model.embed_tokens.weight": numbers(20, d), **norm(numbers, "model.norm", d)}
    if head:
        a["lm_head.weight"] = numbers(20, d)
    for n in range(layers):
        at = f"model.layers.{n}"
        for p, count in (("q", heads), ("k", kv), ("v", kv)):
            a.update(linear(numbers, f"{at}.self_attn.{p}_proj", count * width, d, bias))
        a.update(linear(numbers, f"{at}.self_attn.o_proj", d, heads * width))
        a[f"{at}.self_attn.rotary_emb.inv_freq"] = numbers(width // 2)
        if normed:
            a.update({f"{at}.self_attn.q_norm.weight": numbers(width), f"{at}.self_attn.k_norm.weight": numbers(width)})
        if experts:
            a[f"{at}.block_sparse_moe.gate.weight"] = numbers(experts, d)
            for e in range(experts):
                for w, o, i in (("w1", m, d), ("w2", d, m), ("w3", m, d)):
                    a[f"{at}.block_sparse_moe.experts.{e}.{w}.weight"] = numbers(o, i)
        else:
            for p, o, i in (("gate", m, d), ("up", m, d), ("down", d, m)):
                a.update(linear(numbers, f"{at}.mlp.{p}_proj", o, i))
        names = ["input_layernorm", "post_attention_layernorm"] + ["pre_feedforward_layernorm", "post_feedforward_layernorm"] * sandwich
        for name in names:
            a.update(norm(numbers, f"{at}.{name}", d))
    config = dict(num_attention_heads=heads, num_key_value_heads=kv, head_dim=width, hidden_size=d, num_hidden_layers=layers)
    return a, config


def copied(copy, a, **facts):
    b = {}
    copy(SimpleNamespace(**{"name": "", "mlp_class_name": "LLaMAMLP", **facts}), {}, b, dict(a))
    return b


def without(a, word):
    return {key: tensor for key, tensor in a.items() if word not in key}


@family("hf-to-litgpt:llama", LITGPT + "copy_weights_hf_llama")
def litgpt_llama(numbers, size):
    a, config = decoder(numbers, size, layers=11)
    return Case(a, copied(official.copy_weights_hf_llama, a), config)


@family("hf-to-litgpt:mixtral", LITGPT + "copy_weights_hf_llama")
def litgpt_mixtral(numbers, size):
    a, config = decoder(numbers, size, experts=3)
    return Case(a, copied(official.copy_weights_hf_llama, a, mlp_class_name="LLaMAMoE"), config)


@family("hf-tied-to-litgpt:llama", LITGPT + "copy_weights_hf_llama")
def litgpt_llama_tied(numbers, size):
    a, config = decoder(numbers, size, head=False)
    return Case(a, copied(official.copy_weights_hf_llama, a), config)


@family("hf-to-litgpt:qwen2", LITGPT + "copy_weights_qwen_2_5")
def litgpt_qwen2(numbers, size):
    a, config = decoder(numbers, size, bias=True)
    a = without(a, "rotary_emb")
    return Case(a, copied(official.copy_weights_qwen_2_5, a), config)


@family("hf-to-litgpt:qwen3", LITGPT + "copy_weights_qwen_3")
def litgpt_qwen3(numbers, size):
    a, config = decoder(numbers, size, normed=True)
    a = without(a, "rotary_emb")
    return Case(a, copied(official.copy_weights_qwen_3, a), config)


@family("hf-to-litgpt:gemma2", LITGPT + "copy_weights_gemma_2")
def litgpt_gemma2(numbers, size):
    a, config = decoder(numbers, size, head=False, sandwich=True)
    a, b = without(a, "rotary_emb"), {}
    official.copy_weights_gemma_2({}, b, dict(a))
    return Case(a, b, config)


def phi3(numbers, size):
    heads, kv, d, width, m = 6, 2, 18 * size, 4, 20 * size
    a = {"model.embed_tokens.weight": numbers(20, d), "lm_head.weight": numbers(20, d), "model.norm.weight": numbers(d)}
    for n in range(3):
        at = f"model.layers.{n}"
        a.update({f"{at}.self_attn.qkv_proj.weight": numbers((heads + 2 * kv) * width, d), f"{at}.self_attn.o_proj.weight": numbers(d, heads * width),
                  f"{at}.mlp.gate_up_proj.weight": numbers(2 * m, d), f"{at}.mlp.down_proj.weight": numbers(d, m),
                  f"{at}.input_layernorm.weight": numbers(d), f"{at}.post_attention_layernorm.weight": numbers(d)})
    return a, dict(num_attention_heads=heads, num_key_value_heads=kv, head_dim=width, hidden_size=d)


@family("hf-to-litgpt:phi3", LITGPT + "copy_weights_phi")
def litgpt_phi3(numbers, size):
    a, config = phi3(numbers, size)
    b = {}
    official.copy_weights_phi(SimpleNamespace(name="Phi-3-mini-4k-instruct"), {}, b, dict(a))
    return Case(a, b, config)


@family("hf-to-litgpt:phi", LITGPT + "copy_weights_phi")
def litgpt_phi2(numbers, size):
    d, m = 18 * size, 20 * size
    a = {"model.embed_tokens.weight": numbers(20, d), **linear(numbers, "lm_head", 20, d, True), **norm(numbers, "model.final_layernorm", d, True)}
    for n in range(3):
        at = f"model.layers.{n}"
        for p in ("q_proj", "k_proj", "v_proj", "dense"):
            a.update(linear(numbers, f"{at}.self_attn.{p}", d, d, True))
        a.update({**linear(numbers, f"{at}.mlp.fc1", m, d, True), **linear(numbers, f"{at}.mlp.fc2", d, m, True), **norm(numbers, f"{at}.input_layernorm", d, True)})
    b = {}
    official.copy_weights_phi(SimpleNamespace(name="phi-2"), {}, b, dict(a))
    return Case(a, b, dict(num_attention_heads=6, hidden_size=d))


@family("hf-to-litgpt:gpt-neox", LITGPT + "copy_weights_gpt_neox")
def litgpt_gpt_neox(numbers, size):
    heads, d, m = 3, 12 * size, 20 * size
    a = {"gpt_neox.embed_in.weight": numbers(20, d), "embed_out.weight": numbers(20, d), **norm(numbers, "gpt_neox.final_layer_norm", d, True)}
    for n in range(3):
        at = f"gpt_neox.layers.{n}"
        a.update({**linear(numbers, f"{at}.attention.query_key_value", 3 * d, d, True), **linear(numbers, f"{at}.attention.dense", d, d, True),
                  **linear(numbers, f"{at}.mlp.dense_h_to_4h", m, d, True), **linear(numbers, f"{at}.mlp.dense_4h_to_h", d, m, True),
                  **norm(numbers, f"{at}.input_layernorm", d, True), **norm(numbers, f"{at}.post_attention_layernorm", d, True),
                  f"{at}.attention.rotary_emb.inv_freq": numbers(2), f"{at}.attention.bias": numbers(1, 1, 5, 5), f"{at}.attention.masked_bias": numbers()})
    b = {}
    official.copy_weights_gpt_neox(SimpleNamespace(n_head=heads, n_query_groups=heads, head_size=d // heads), b, dict(a))
    return Case(a, b, dict(num_attention_heads=heads, hidden_size=d))


def falcon(numbers, size, name, kv, norms):
    heads, width, d, m = 6, 4, 18 * size, 20 * size
    a = {"transformer.word_embeddings.weight": numbers(20, d), "lm_head.weight": numbers(20, d), **norm(numbers, "transformer.ln_f", d, True)}
    for n in range(3):
        at = f"transformer.h.{n}"
        a.update({f"{at}.self_attention.query_key_value.weight": numbers((heads + 2 * kv) * width, d), f"{at}.self_attention.dense.weight": numbers(d, heads * width),
                  f"{at}.mlp.dense_h_to_4h.weight": numbers(m, d), f"{at}.mlp.dense_4h_to_h.weight": numbers(d, m)})
        for word in norms:
            a.update(norm(numbers, f"{at}.{word}", d, True))
    b = {}
    official.copy_weights_falcon(SimpleNamespace(name=name, n_head=heads, n_query_groups=kv, head_size=width), b, dict(a))
    return Case(a, b, dict(num_attention_heads=heads, num_kv_heads=heads if kv == 1 else kv, hidden_size=d))


@family("hf-to-litgpt:falcon-7b", LITGPT + "copy_weights_falcon")
def litgpt_falcon_7b(numbers, size):
    return falcon(numbers, size, "falcon-7b", 1, ["input_layernorm"])


@family("hf-to-litgpt:falcon-40b", LITGPT + "copy_weights_falcon")
def litgpt_falcon_40b(numbers, size):
    return falcon(numbers, size, "falcon-40b", 2, ["ln_attn", "ln_mlp"])
