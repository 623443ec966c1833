#!/usr/bin/env python3
"""Writes tests/golden/marian: the weights of tests/golden/hf's Marians as Marian itself keeps them, and what
its definition makes of them.

  golden_marian.py [DIRECTORY]

Neither building nor testing needs this script; its output is committed. It wants numpy and safetensors.

A folder has model.npz, decoder.yml, vocabularies, and golden.safetensors, all numbers F32:
  N.ids [L]               sequence N, its end included
  N.target [L']           what the decoder reads; the first is no token but zeros
  N.encoder [L C], N.decoder [L' C], N.logits [L' V]

The definition is written out below in double precision from marian-dev (models/transformer.h and its
position table): post-norm layers, layer norms with 1e-6, positions [sines | cosines] of
p * 10000^(-j / (C/2 - 1)), embeddings times sqrt(C), a decoder that starts with zeros.
"""
import io
import pathlib
import sys
import zipfile

import numpy as np
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADS = 4
EPSILON = 1e-6
ATTENTION = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "out_proj": "o"}


def marian_names(hf, tied, rows):
    """Marian's arrays, [in, out] and without the rows of pad."""
    w = {}
    if tied:
        w["Wemb"] = hf["model.shared.weight"][:rows[0]]
    else:
        w["encoder_Wemb"] = hf["model.encoder.embed_tokens.weight"][:rows[0]]
        w["decoder_Wemb"] = hf["model.decoder.embed_tokens.weight"][:rows[1]]
        w["decoder_ff_logit_out_W"] = hf["lm_head.weight"][:rows[1]].T
    w["decoder_ff_logit_out_b"] = hf["final_logits_bias"][:, :rows[1]]
    for name, tensor in hf.items():
        part = name.split(".")
        if len(part) < 6 or part[2] != "layers":
            continue
        at = f"{part[1]}_l{int(part[3]) + 1}"
        kind = part[-1]
        if part[4] in ("self_attn", "encoder_attn"):
            at += "_self" if part[4] == "self_attn" else "_context"
            at += ("_W" if kind == "weight" else "_b") + ATTENTION[part[5]]
        elif part[4] in ("fc1", "fc2"):
            at += ("_ffn_W" if kind == "weight" else "_ffn_b") + part[4][-1]
        else:
            at += {"self_attn_layer_norm": "_self_Wo", "encoder_attn_layer_norm": "_context_Wo",
                   "final_layer_norm": "_ffn_ffn"}[part[4]]
            at += "_ln_scale" if kind == "weight" else "_ln_bias"
        w[at] = tensor.T if tensor.ndim == 2 else tensor[None]
    return {name: np.ascontiguousarray(x, dtype=np.float32) for name, x in w.items()}


class Definition:
    def __init__(self, w, activation):
        self.w = {name: x.astype(np.float64) for name, x in w.items()}
        self.activation = activation

    def linear(self, x, at, end):
        return x @ self.w[f"{at}_W{end}"] + self.w[f"{at}_b{end}"]

    def norm(self, x, at):
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred ** 2).mean(-1, keepdims=True) + EPSILON)
        return centred / scale * self.w[at + "_ln_scale"] + self.w[at + "_ln_bias"]

    def attend(self, x, memory, at, causal):
        q, k, v = (self.linear(y, at, end) for y, end in ((x, "q"), (memory, "k"), (memory, "v")))
        width = q.shape[1] // HEADS
        out = []
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            score = q[:, part] @ k[:, part].T / np.sqrt(width)
            if causal:
                score = np.where(np.tril(np.ones_like(score)) > 0, score, -np.inf)
            weight = np.exp(score - score.max(-1, keepdims=True))
            out.append(weight / weight.sum(-1, keepdims=True) @ v[:, part])
        return self.norm(self.linear(np.concatenate(out, 1), at, "o") + x, at + "_Wo")

    def feed_forward(self, x, at):
        inner = self.linear(x, at, "1")
        inner = np.maximum(inner, 0) if self.activation == "relu" else inner / (1 + np.exp(-inner))
        return self.norm(self.linear(inner, at, "2") + x, at + "_ffn")

    def embed(self, ids, side, start):
        table = self.w.get("Wemb", self.w.get(f"{side}_Wemb"))
        x = table[ids] * np.sqrt(table.shape[1])
        if start:
            x[0] = 0
        half = table.shape[1] // 2
        angle = np.arange(len(ids))[:, None] * 10000.0 ** (-np.arange(half) / (half - 1))
        return x + np.concatenate([np.sin(angle), np.cos(angle)], 1)

    def encode(self, ids, layers):
        x = self.embed(ids, "encoder", False)
        for i in range(1, layers + 1):
            x = self.attend(x, x, f"encoder_l{i}_self", False)
            x = self.feed_forward(x, f"encoder_l{i}_ffn")
        return x

    def decode(self, ids, memory, layers):
        x = self.embed(ids, "decoder", True)
        for i in range(1, layers + 1):
            x = self.attend(x, x, f"decoder_l{i}_self", True)
            x = self.attend(x, memory, f"decoder_l{i}_context", False)
            x = self.feed_forward(x, f"decoder_l{i}_ffn")
        return x

    def logits(self, hidden):
        matrix = self.w["Wemb"].T if "Wemb" in self.w else self.w["decoder_ff_logit_out_W"]
        return hidden @ matrix + self.w["decoder_ff_logit_out_b"]


def settings(w, tied, rows, activation, layers):
    flag = "true" if tied else "false"
    return (f"bert-train-type-embeddings: true\ndec-depth: {layers[1]}\ndim-emb: 16\n"
            f"dim-vocabs:\n  - {rows[0]}\n  - {rows[1]}\nenc-depth: {layers[0]}\ninput-types:\n  []\n"
            f"lemma-dim-emb: 0\nright-left: false\nskip: false\n"
            f"tied-embeddings: {flag}\ntied-embeddings-all: {flag}\ntied-embeddings-src: {flag}\n"
            f"transformer-decoder-autoreg: self-attention\ntransformer-dim-ffn: 24\n"
            f"transformer-ffn-activation: {activation}\ntransformer-ffn-depth: 2\n"
            f"transformer-guided-alignment-layer: last\ntransformer-heads: {HEADS}\n"
            f"transformer-no-projection: false\ntransformer-postprocess: dan\n"
            f"transformer-postprocess-emb: d\ntransformer-preprocess: \"\"\ntransformer-tied-layers:\n  []\n"
            f"transformer-train-position-embeddings: false\ntype: transformer\nulr: false\n"
            f"version: v1.9.0 ba94c5b9 2020-05-17 10:42:17 +0100\n")


def write_npz(path, arrays):
    """With the same bytes in every run."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        for name, array in sorted(arrays.items()):
            bytes_ = io.BytesIO()
            np.lib.format.write_array(bytes_, array, version=(1, 0))
            z.writestr(zipfile.ZipInfo(name + ".npy", (2020, 1, 1, 0, 0, 0)), bytes_.getvalue())


def pieces(rows):
    """What vocabularies of OPUS look like, with all kinds of quotes."""
    known = ['</s>', '<unk>', '",": 2', "'it''s': 3", '▁the: 4', '"\\"": 5', '">>fra<<": 6', '"\\u2581a": 7']
    lines = [f"{p}: {i}" if ": " not in p else p for i, p in enumerate(known)]
    return "\n".join(lines + [f"piece{i}: {i}" for i in range(len(known), rows)]) + "\n"


def make(folder, model, tied, activation):
    hf = load_file(ROOT / "tests/golden/hf" / model / "model.safetensors")
    given = load_file(ROOT / "tests/golden/hf" / model / "golden.safetensors")
    rows = (39, 39) if tied else (40, 35)
    w = marian_names(hf, tied, rows)
    layers = [len({n.split("_")[1] for n in w if n.startswith(s + "_l")}) for s in ("encoder", "decoder")]
    definition = Definition(w, activation)
    golden = {}
    for n in ("0", "1"):
        ids = given[f"{n}.ids"].astype(int)
        target = np.minimum(given[f"{n}.target"].astype(int), rows[1] - 1)
        memory = definition.encode(ids, layers[0])
        hidden = definition.decode(target, memory, layers[1])
        golden |= {f"{n}.ids": ids, f"{n}.target": target, f"{n}.encoder": memory,
                   f"{n}.decoder": hidden, f"{n}.logits": definition.logits(hidden)}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: np.ascontiguousarray(x, dtype=np.float32) for k, x in golden.items()},
              folder / "golden.safetensors")
    text = settings(w, tied, rows, activation, layers).encode() + b"\0"
    write_npz(folder / "model.npz", w | {"special:model.yml": np.frombuffer(text, dtype=np.int8)})
    sides = ("vocab.yml", "vocab.yml") if tied else ("source.yml", "target.yml")
    (folder / "decoder.yml").write_text(
        "models:\n  - model.npz\nvocabs:\n" + "".join(f"  - {v}\n" for v in sides) +
        "beam-size: 6\nnormalize: 1\nword-penalty: 0\nmini-batch: 1\nrelative-paths: true\n", "utf-8")
    for name, count in zip(sides, rows):
        (folder / name).write_text(pieces(count), "utf-8")


def main():
    to = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/golden/marian"
    make(to / "tied", "marian", True, "swish")
    make(to / "two-tables", "marian-two-tables", False, "relu")


if __name__ == "__main__":
    main()
