#!/usr/bin/env python3
"""Attention in PyTorch (F.scaled_dot_product_attention), for side-by-side runs with `qkv bench attention`.

The same shapes, under the names that qkv gives them. PyTorch gets the layout it likes best, [B, H, N, D] without
gaps; windows and valid lengths are boolean masks, grouped heads go through enable_gqa. "both" is forward and
backward together.

  python bench/peers/torch_attention.py --threads 2 --shapes b1-h8-n1024-d64-full,b1-h8-n1024-d64-causal
  python bench/peers/torch_attention.py --threads 2 --qkv build/qkv             # measures both, prints a table
"""
import argparse
import json
import re
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

NAME = re.compile(r"b(\d+)-h(\d+)(?:/(\d+))?-n(\d+)(?::(\d+))?-d(\d+)-(full|causal|lengths|window(\d+))$")


def parse(name):
    m = NAME.match(name)
    if not m:
        sys.exit(f"cannot read the shape '{name}'")
    batch, heads, kv, queries, keys, dim, mask, window = m.groups()
    return (int(batch), int(heads), int(kv or heads), int(queries), int(keys or queries), int(dim), mask,
            int(window or 0))


def mask_of(batch, queries, keys, mask, window):
    if mask == "lengths":
        valid = torch.tensor([keys // 4 + (keys - keys // 4) * (b * 5 % 8) // 7 for b in range(batch)])
        return (torch.arange(keys) < valid[:, None])[:, None, None, :]
    if window:
        distance = torch.arange(queries)[:, None] + (keys - queries) - torch.arange(keys)
        return (distance >= 0) & (distance < window)
    return None


def median_seconds(run, budget):
    def clock(calls):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - start) / calls

    clock(1)
    one = clock(1)
    calls = max(1, min(100000, int(4e-3 / one)))
    samples = max(5, min(25, int(budget / (one * calls))))
    return statistics.median(clock(calls) for _ in range(samples))


def measure(name, budget):
    batch, heads, kv, queries, keys, dim, mask, window = parse(name)
    q = torch.randn(batch, heads, queries, dim, requires_grad=True)
    k, v = (torch.randn(batch, kv, keys, dim, requires_grad=True) for _ in range(2))
    gradient = torch.randn(batch, heads, queries, dim)
    how = {"attn_mask": mask_of(batch, queries, keys, mask, window), "is_causal": mask == "causal",
           "enable_gqa": kv != heads}

    def forward():
        with torch.no_grad():
            F.scaled_dot_product_attention(q, k, v, **how)

    def both():
        q.grad = k.grad = v.grad = None
        F.scaled_dot_product_attention(q, k, v, **how).backward(gradient)

    return {"shape": name, "forward": {"seconds": median_seconds(forward, budget)},
            "both": {"seconds": median_seconds(both, budget)}}


def run_qkv(options, more):
    command = [options.qkv, "bench", "attention", "--threads", str(options.threads), "--seconds", str(options.seconds),
               "--shapes", options.shapes, *more]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shapes", default="all", help="as in qkv bench attention; groups of shapes need --qkv")
    parser.add_argument("--seconds", type=float, default=0.5, help="about how long to measure each direction of a shape")
    parser.add_argument("--qkv", help="the qkv program: measured too, shape by shape in turn with PyTorch")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    names = run_qkv(options, ["--list"]).split() if options.qkv else options.shapes.split(",")
    results = []
    for name in names:
        result = {"torch": measure(name, options.seconds)}
        if options.qkv:
            options.shapes = name
            result["qkv"] = json.loads(run_qkv(options, ["--json"]))["shapes"][0]
        results.append(result)
        print(f"{name}: {1e3 * result['torch']['forward']['seconds']:.3f} ms forward", file=sys.stderr)
    if options.json:
        print(json.dumps({"peer": "torch " + torch.__version__, "threads": options.threads, "shapes": results}))
        return
    if not options.qkv:
        for r in (r["torch"] for r in results):
            print(f"{r['shape']:28} {1e3 * r['forward']['seconds']:10.4f} ms forward"
                  f" {1e3 * r['both']['seconds']:10.4f} ms both")
        return
    print(f"| shape, {options.threads} thread(s) | forward qkv | torch {torch.__version__} | ratio | share of FMA peak"
          " | forward + backward qkv | torch | ratio | backward share |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in results:
        ours, theirs = r["qkv"], r["torch"]
        f, b, tf, tb = (x["seconds"] * 1e3 for x in (ours["forward"], ours["both"], theirs["forward"], theirs["both"]))
        print(f"| {ours['shape']} | {f:.3f} ms | {tf:.3f} ms | {tf / f:.2f} | {ours['forward']['share_of_fma_peak']:.0%}"
              f" | {b:.3f} ms | {tb:.3f} ms | {tb / b:.2f} | {ours['backward']['share_of_fma_peak']:.0%} |")


if __name__ == "__main__":
    main()
