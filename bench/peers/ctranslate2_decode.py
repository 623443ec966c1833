#!/usr/bin/env python3
"""Decodes with CTranslate2 the very weights of a qkv translation model, for side-by-side runs.

Reads a model directory (config.json, model.safetensors, joint or separate SentencePiece tokenisers),
writes a CTranslate2 model beside it, translates the sentences and prints one JSON line; the translations
go to --output. Tokenising and loading are not timed, as in `qkv bench decode`.

  python bench/peers/ctranslate2_decode.py MODEL SOURCE.txt --beam 4 --threads 2 --output out.txt
  python bench/peers/ctranslate2_decode.py --preset base --sentences 64

The second form takes random weights of the shapes of `qkv bench decode --preset base`, random sentences of
20 tokens and outputs of exactly 25: with the lengths forced, the time does not depend on the numbers.
"""
import argparse
import json
import os
import statistics
import tempfile
import time

import ctranslate2
import numpy as np
import sentencepiece
from ctranslate2.specs import common_spec, transformer_spec
from safetensors.numpy import load_file


def sinusoid(length, width, form):
    p = np.arange(length)[:, None].astype(np.float64)
    if form == "blocks":
        half = width // 2
        angle = p * np.exp(-np.log(10000.0) / (half - 1) * np.arange(half))[None]
        return np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)
    angle = p * np.power(10000.0, -np.arange(0, width, 2) / width)[None]
    table = np.zeros((length, width))
    table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)
    return table.astype(np.float32)


def linear(spec, weights, names):
    spec.weight = np.concatenate([weights[n + ".weight"].T for n in names], 0).copy()
    spec.bias = np.concatenate([weights[n + ".bias"] for n in names], 0)


def norm(spec, weights, name):
    spec.gamma, spec.beta = weights[name + ".weight"], weights[name + ".bias"]


SHAPES = {  # width, heads, feed-forward, layers, vocabulary: those of `qkv bench decode --preset`
    "tiny": (128, 4, 256, 4, 10000), "small": (256, 8, 1024, 3, 10000), "base": (512, 8, 2048, 6, 32000)}


def random_model(preset):
    width, heads, inner, layers, vocabulary = SHAPES[preset]
    config = {"width": width, "heads": heads, "encoder_layers": layers, "decoder_layers": layers, "norm": "post",
              "final_norm": False, "max_length": 256, "sinusoid": "interleaved"}
    random = np.random.default_rng(1)
    w = {"source_embedding": random.standard_normal((vocabulary, width), np.float32) / np.sqrt(width)}

    def add(name, rows, cols):
        w[name + ".weight"] = random.standard_normal((rows, cols), np.float32) / np.float32(np.sqrt(rows))
        w[name + ".bias"] = np.zeros(cols, np.float32)

    for side, attentions in (("encoder", ["self"]), ("decoder", ["self", "cross"])):
        for i in range(layers):
            for attention in attentions:
                for x in "qkvo":
                    add(f"{side}.{i}.{attention}.{x}", width, width)
            add(f"{side}.{i}.feed_forward.inner", width, inner)
            add(f"{side}.{i}.feed_forward.outer", inner, width)
            for n in range(1, 2 + len(attentions)):
                w[f"{side}.{i}.norm{n}.weight"] = np.ones(width, np.float32)
                w[f"{side}.{i}.norm{n}.bias"] = np.zeros(width, np.float32)
    return config, w


def load_model(directory):
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
        return json.load(f)["model"], load_file(os.path.join(directory, "model.safetensors"))


def convert(directory, config, w, source_pieces, target_pieces):
    pre = config["norm"] == "pre"
    spec = transformer_spec.TransformerSpec.from_config(
        (config["encoder_layers"], config["decoder_layers"]), config["heads"], pre_norm=pre,
        activation=common_spec.Activation.RELU)
    table = w["source_embedding"]
    target_table = w.get("target_embedding", table)
    encodings = sinusoid(config["max_length"], config["width"], config["sinusoid"])
    for side, rows in ((spec.encoder, table), (spec.decoder, target_table)):
        embeddings = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        embeddings.weight = rows
        side.position_encodings.encodings = encodings
        side.scale_embeddings = True
    spec.decoder.projection.weight = target_table
    for i, layer in enumerate(spec.encoder.layer):
        n = f"encoder.{i}."
        linear(layer.self_attention.linear[0], w, [n + "self." + x for x in "qkv"])
        linear(layer.self_attention.linear[1], w, [n + "self.o"])
        norm(layer.self_attention.layer_norm, w, n + "norm1")
        linear(layer.ffn.linear_0, w, [n + "feed_forward.inner"])
        linear(layer.ffn.linear_1, w, [n + "feed_forward.outer"])
        norm(layer.ffn.layer_norm, w, n + "norm2")
    for i, layer in enumerate(spec.decoder.layer):
        n = f"decoder.{i}."
        linear(layer.self_attention.linear[0], w, [n + "self." + x for x in "qkv"])
        linear(layer.self_attention.linear[1], w, [n + "self.o"])
        norm(layer.self_attention.layer_norm, w, n + "norm1")
        linear(layer.attention.linear[0], w, [n + "cross.q"])
        linear(layer.attention.linear[1], w, [n + "cross.k", n + "cross.v"])
        linear(layer.attention.linear[2], w, [n + "cross.o"])
        norm(layer.attention.layer_norm, w, n + "norm2")
        linear(layer.ffn.linear_0, w, [n + "feed_forward.inner"])
        linear(layer.ffn.linear_1, w, [n + "feed_forward.outer"])
        norm(layer.ffn.layer_norm, w, n + "norm3")
    if config["final_norm"]:
        norm(spec.encoder.layer_norm, w, "encoder_norm")
        norm(spec.decoder.layer_norm, w, "decoder_norm")
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<bos>", "<eos>", "<unk>"
    spec.config.decoder_start_token = "<bos>"
    spec.config.add_source_eos = True
    spec.register_source_vocabulary(source_pieces)
    spec.register_target_vocabulary(target_pieces)
    spec.validate()
    out = os.path.join(directory, "ctranslate2")
    os.makedirs(out, exist_ok=True)
    spec.save(out)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("source", nargs="?")
    parser.add_argument("--preset", choices=sorted(SHAPES), help="random weights of these shapes instead")
    parser.add_argument("--sentences", type=int, default=64, help="for --preset")
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64, help="sentences a batch")
    parser.add_argument("--workers", type=int, default=0, help="translators of threads/workers threads; 0: try both")
    parser.add_argument("--compute", default="float32")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", default="")
    o = parser.parse_args()

    def tokeniser(stem):
        path = os.path.join(o.model, stem + ".model")
        return sentencepiece.SentencePieceProcessor(model_file=path) if os.path.exists(path) else None

    lengths, target = {"max_decoding_length": 200}, None
    if o.preset:
        lengths = {"max_decoding_length": 25, "min_decoding_length": 25}
        config, w = random_model(o.preset)
        pieces = ["<unk>", "<bos>", "<eos>"] + [f"t{i}" for i in range(3, len(w["source_embedding"]))]
        scratch = tempfile.TemporaryDirectory()
        directory = convert(scratch.name, config, w, pieces, pieces)
        random = np.random.default_rng(3)
        tokens = [[pieces[i] for i in random.integers(4, len(pieces), 20)] for _ in range(o.sentences)]
    elif o.model and o.source:
        joint = tokeniser("joint")
        source, target = joint or tokeniser("source"), joint or tokeniser("target")
        pieces = [[t.id_to_piece(i) for i in range(t.get_piece_size())] for t in (source, target)]
        directory = convert(o.model, *load_model(o.model), *pieces)
        with open(o.source, encoding="utf-8") as f:
            lines = [line.rstrip("\n") for line in f]
        side = "joint" if joint else "source"
        with open(os.path.join(o.model, side + ".tokeniser.json"), encoding="utf-8") as f:
            lower = json.load(f).get("lower", False)
        tokens = [source.encode(line.lower() if lower else line, out_type=str) for line in lines]
    else:
        parser.error("give MODEL and SOURCE, or --preset")
    results = []
    for workers in ([o.workers] if o.workers else sorted({1, o.threads})):
        translator = ctranslate2.Translator(
            directory, device="cpu", compute_type=o.compute, inter_threads=workers,
            intra_threads=max(1, o.threads // workers))
        seconds = []
        for _ in range(o.runs + 1):
            start = time.perf_counter()
            out = translator.translate_batch(tokens, beam_size=o.beam, max_batch_size=o.batch,
                                             length_penalty=1.0, **lengths)
            seconds.append(time.perf_counter() - start)
        seconds = seconds[1:]
        generated = sum(len(r.hypotheses[0]) + 1 for r in out)
        results.append((statistics.median(seconds), workers, generated, min(seconds)))
    best = min(results)
    if o.output and target:
        with open(o.output, "w", encoding="utf-8") as f:
            for r in out:
                f.write(target.decode(r.hypotheses[0]) + "\n")
    print(json.dumps({
        "peer": "ctranslate2 " + ctranslate2.__version__, "compute": o.compute, "beam": o.beam,
        "threads": o.threads, "workers": best[1], "sentences": len(tokens),
        "seconds": round(best[0], 3), "fastest": round(best[3], 3),
        "target_tokens_a_second": round(best[2] / best[0]),
    }))


if __name__ == "__main__":
    main()
