"""Model folders as they are published, and as transformers 5 loads them."""
import os
import tempfile

import transformers
from safetensors.torch import load_file, save_file

from . import Case, family

if int(transformers.__version__.split(".")[0]) < 5:
    raise ImportError(f"transformers {transformers.__version__} is not 5")

transformers.logging.set_verbosity_error()
MAPPING = f"transformers {transformers.__version__} conversion_mapping"


def saved(numbers, kind, config):
    """The source has the names that `save_pretrained` writes, the target is what loading it gives."""
    kind = getattr(transformers, kind)
    with tempfile.TemporaryDirectory() as folder:
        kind(config).save_pretrained(folder)
        path = os.path.join(folder, "model.safetensors")
        a = {key: numbers(*tensor.shape) for key, tensor in load_file(path).items()}
        save_file(a, path, metadata={"format": "pt"})
        model = kind.from_pretrained(folder)
    return Case(a, model.state_dict(), config.to_dict())


def decoder(size, **more):
    """Unequal widths, two key-value heads, three layers."""
    return {**dict(vocab_size=24, hidden_size=16 * size, intermediate_size=20 * size, num_hidden_layers=3,
                   num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=12,
                   tie_word_embeddings=False, pad_token_id=0), **more}


@family("hf4-to-hf5:mixtral", MAPPING)
def mixtral(numbers, size):
    return saved(numbers, "MixtralForCausalLM", transformers.MixtralConfig(**decoder(size, num_local_experts=3)))


@family("hf4-to-hf5:qwen2-moe", MAPPING)
def qwen2_moe(numbers, size):
    return saved(numbers, "Qwen2MoeForCausalLM", transformers.Qwen2MoeConfig(**decoder(
        size, num_experts=3, moe_intermediate_size=12, shared_expert_intermediate_size=8)))


@family("hf4-to-hf5:qwen3-moe", MAPPING)
def qwen3_moe(numbers, size):
    return saved(numbers, "Qwen3MoeForCausalLM", transformers.Qwen3MoeConfig(**decoder(
        size, num_experts=11, moe_intermediate_size=6, head_dim=6, mlp_only_layers=[1])))


@family("hf4-to-hf5:olmoe", MAPPING)
def olmoe(numbers, size):
    return saved(numbers, "OlmoeForCausalLM", transformers.OlmoeConfig(**decoder(size, num_experts=3)))


def latent(size, **more):
    return decoder(size, n_routed_experts=4, n_shared_experts=1, moe_intermediate_size=6, first_k_dense_replace=1,
                   q_lora_rank=8, kv_lora_rank=6, qk_rope_head_dim=4, qk_nope_head_dim=6, v_head_dim=5, n_group=2,
                   topk_group=1, num_experts_per_tok=2, **more)


@family("hf4-to-hf5:deepseek-v3", MAPPING)
def deepseek_v3(numbers, size):
    return saved(numbers, "DeepseekV3ForCausalLM", transformers.DeepseekV3Config(**latent(size)))


@family("hf4-to-hf5:deepseek-v2", MAPPING)
def deepseek_v2(numbers, size):
    return saved(numbers, "DeepseekV2ForCausalLM", transformers.DeepseekV2Config(**latent(size)))


@family("hf4-to-hf5:glm4-moe", MAPPING)
def glm4_moe(numbers, size):
    return saved(numbers, "Glm4MoeForCausalLM", transformers.Glm4MoeConfig(**decoder(
        size, n_routed_experts=4, n_shared_experts=1, moe_intermediate_size=6, n_group=1, topk_group=1,
        num_experts_per_tok=2, first_k_dense_replace=1, head_dim=6)))


@family("hf4-to-hf5:phimoe", MAPPING)
def phimoe(numbers, size):
    return saved(numbers, "PhimoeForCausalLM", transformers.PhimoeConfig(**decoder(size, num_local_experts=3)))


@family("hf4-to-hf5:jamba", MAPPING)
def jamba(numbers, size):
    return saved(numbers, "JambaForCausalLM", transformers.JambaConfig(**decoder(
        size, num_experts=3, num_hidden_layers=4, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2,
        expert_layer_offset=1, use_mamba_kernels=False, mamba_d_state=4, mamba_dt_rank=3)))


@family("hf4-to-hf5:nomic-bert", MAPPING)
def nomic_bert(numbers, size):
    return saved(numbers, "NomicBertModel", transformers.NomicBertConfig(
        vocab_size=24, hidden_size=16 * size, num_hidden_layers=3, num_attention_heads=2, intermediate_size=20 * size,
        max_position_embeddings=12))


@family("hf4-to-hf5:vit", MAPPING)
def vit(numbers, size):
    return saved(numbers, "ViTForImageClassification", transformers.ViTConfig(
        hidden_size=16 * size, num_hidden_layers=3, num_attention_heads=2, intermediate_size=20, image_size=16, patch_size=8))


@family("hf4-to-hf5:deit", MAPPING)
def deit(numbers, size):
    return saved(numbers, "DeiTForImageClassificationWithTeacher", transformers.DeiTConfig(
        hidden_size=16 * size, num_hidden_layers=3, num_attention_heads=2, intermediate_size=20, image_size=16, patch_size=8))


@family("hf4-to-hf5:dinov2", MAPPING)
def dinov2(numbers, size):
    return saved(numbers, "Dinov2ForImageClassification", transformers.Dinov2Config(
        hidden_size=16 * size, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14))


@family("hf4-to-hf5:dinov2", MAPPING)
def dinov2_swiglu_registers(numbers, size):
    return saved(numbers, "Dinov2WithRegistersModel", transformers.Dinov2WithRegistersConfig(
        hidden_size=16 * size, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14,
        use_swiglu_ffn=True, num_register_tokens=2))
