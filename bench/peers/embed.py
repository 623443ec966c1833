#!/usr/bin/env python3
"""Sentence vectors of a BERT beside other engines: whole processes, from lines to vectors, two threads each.

  python bench/peers/embed.py --qkv build/release/qkv --model DIR --ct2 DIR --onnx FILE --text LINES

Needs pip install ctranslate2 onnxruntime openvino tokenizers. --ct2 is DIR after ct2-transformers-converter, --onnx its
last hidden state after torch.onnx.export with inputs ids and mask. The peers sort lines by length, take 32 at once and
average the states. All run in turn, each round once; medians of the rounds, and the largest difference of a vector
from qkv's.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time


def batches(tokenizer, lines, size=32):
    encoded = tokenizer.encode_batch(lines)
    order = sorted(range(len(lines)), key=lambda i: len(encoded[i].ids))
    for at in range(0, len(order), size):
        rows = order[at:at + size]
        yield rows, [encoded[i].ids for i in rows]


def padded(rows):
    import numpy as np
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for r, row in enumerate(rows):
        ids[r, :len(row)] = row
        mask[r, :len(row)] = 1
    return ids, mask


def child(engine, a):
    import numpy as np
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    lines = open(a.text, encoding="utf-8").read().split("\n")[:-1]
    if engine == "ctranslate2":
        import ctranslate2
        encoder = ctranslate2.Encoder(a.ct2, intra_threads=2, compute_type="float32")

        def states(rows):
            return np.array(encoder.forward_batch(rows).last_hidden_state), padded(rows)[1]
    elif engine == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(a.onnx, options, providers=["CPUExecutionProvider"])

        def states(rows):
            ids, mask = padded(rows)
            return session.run(["h"], {"ids": ids, "mask": mask})[0], mask
    else:
        import openvino
        compiled = openvino.Core().compile_model(a.onnx, "CPU", {"INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"})

        def states(rows):
            ids, mask = padded(rows)
            return compiled({"ids": ids, "mask": mask})["h"], mask
    vectors = np.zeros((len(lines), 384), np.float32)
    for rows, ids in batches(tokenizer, lines):
        h, mask = states(ids)
        mean = (h * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        vectors[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.save(a.out, vectors)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("qkv", "model", "ct2", "onnx", "text"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--child")
    p.add_argument("--out")
    a = p.parse_args()
    if a.child:
        return child(a.child, a)
    import numpy as np
    engines = ["qkv", "ctranslate2", "onnxruntime", "openvino"]
    times, vectors = {e: [] for e in engines}, {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(a.rounds):
            for e in engines:
                out = os.path.join(folder, e + ".npy")
                begin = time.monotonic()
                if e == "qkv":
                    text = subprocess.run([a.qkv, "embed", "--model", a.model, "--threads", "2", a.text], check=True,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
                else:
                    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--child", e, "--out", out], check=True,
                                   env=dict(os.environ, OMP_NUM_THREADS="2"))
                times[e].append(time.monotonic() - begin)
                vectors[e] = (np.array([line.split(b"\t") for line in text.splitlines()], np.float64)
                              if e == "qkv" else np.load(out))
    for e in engines:
        print(f"{e:12} {statistics.median(times[e]):.2f} s  ({min(times[e]):.2f} to {max(times[e]):.2f})  "
              f"difference {abs(vectors[e] - vectors['qkv']).max():.1e}")


if __name__ == "__main__":
    main()
