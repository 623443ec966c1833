#!/usr/bin/env python3
"""A llama in a .gguf file as a Hugging Face directory in F32, so that real weights can be tried.

  python bench/peers/gguf_to_huggingface.py MODEL.gguf DIR

Needs pip install gguf safetensors. Quantised weights become the numbers that they stand for. The rows of q and k go
from pairs of neighbours back to halves (rotary positions); the vocabulary and the merges become tokenizer.json. Of
vocabularies those of byte-level BPE are known, of ways to cut a text those named in PRE below.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize
from safetensors.numpy import save_file

NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "attn_norm": "input_layernorm",
         "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PRE = {"smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTES]}, "gpt-2": BYTES}
CONTROL, USER_DEFINED = 3, 4  # kinds of tokens that the model does not put together


def name_of(name):
    parts = name.removesuffix(".weight").split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight"
    return NAMES[parts[0]] + ".weight"


def halves(rows, heads):
    """Neighbouring rows (2c, 2c + 1) of each head to (c, c + D/2)."""
    width = rows.shape[1]
    return np.ascontiguousarray(rows.reshape(heads, -1, 2, width).swapaxes(1, 2).reshape(-1, width))


def tokeniser_of(field):
    tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    if field("tokenizer.ggml.model") != "gpt2" or field("tokenizer.ggml.pre") not in PRE:
        raise SystemExit(f"a tokeniser {field('tokenizer.ggml.model')}, {field('tokenizer.ggml.pre')} is not known here")
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": k == CONTROL}
             for i, (t, k) in enumerate(zip(tokens, kinds)) if k in (CONTROL, USER_DEFINED)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": PRE[field("tokenizer.ggml.pre")], "post_processor": None, "decoder": BYTES,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "vocab": {t: i for i, t in enumerate(tokens)},
                      "merges": field("tokenizer.ggml.merges")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path)
    o = parser.parse_args()
    reader = gguf.GGUFReader(o.gguf)

    def field(name, otherwise=None):
        found = reader.fields.get(name)
        return otherwise if found is None else found.contents()

    if field("general.architecture") != "llama":
        parser.error(f"{o.gguf} is a {field('general.architecture')}, no llama")
    heads = field("llama.attention.head_count")
    keys = field("llama.attention.head_count_kv", heads)
    tensors = {}
    for t in reader.tensors:
        x = dequantize(t.data, t.tensor_type).astype(np.float32)
        kind = t.name.removesuffix(".weight").split(".")[-1]
        if kind in ("attn_q", "attn_k"):
            x = halves(x, heads if kind == "attn_q" else keys)
        tensors[name_of(t.name)] = x
    ids = {role: field(f"tokenizer.ggml.{key}_token_id") for role, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))}
    tokens = field("tokenizer.ggml.tokens")
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": field("llama.embedding_length"),
              "intermediate_size": field("llama.feed_forward_length"), "num_hidden_layers": field("llama.block_count"),
              "num_attention_heads": heads, "num_key_value_heads": keys, "hidden_act": "silu",
              "rms_norm_eps": round(field("llama.attention.layer_norm_rms_epsilon"), 10), "rope_theta": field("llama.rope.freq_base", 10000.0),
              "rope_scaling": None, "max_position_embeddings": field("llama.context_length"), "vocab_size": len(tokens),
              "tie_word_embeddings": "lm_head.weight" not in tensors, "attention_bias": False, "torch_dtype": "float32",
              "bos_token_id": ids["bos"], "eos_token_id": ids["eos"], "pad_token_id": ids["pad"]}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config["max_position_embeddings"],
                "clean_up_tokenization_spaces": False, "chat_template": field("tokenizer.chat_template"),
                **{f"{role}_token": tokens[i] for role, i in ids.items() if i is not None}}
    generation = {f"{role}_token_id": i for role, i in ids.items() if i is not None}
    o.directory.mkdir(parents=True, exist_ok=True)
    for name, value in (("config", config), ("tokenizer", tokeniser_of(field)), ("tokenizer_config", settings), ("generation_config", generation)):
        (o.directory / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False, indent=None if name == "tokenizer" else 2) + "\n")
    save_file(tensors, o.directory / "model.safetensors", metadata={"format": "pt"})
    print(f"{o.directory}: {len(tensors)} tensors, {sum(x.size for x in tensors.values()):,} numbers, {len(tokens)} tokens")


if __name__ == "__main__":
    main()
