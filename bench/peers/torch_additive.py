#!/usr/bin/env python3
"""Additive attention as one writes it in PyTorch, for side-by-side runs with `qkv bench additive`.

The whole of it: both projections, the broadcast sum and its tanh, the weights, softmax, the product with
the values; forward without gradients, and forward + backward to all inputs and weights. The last case is
not run: its broadcast tensors alone would fill the memory of most machines, and the bytes are printed.

The broadcast tensors are so large that glibc gives them back to the system after every operation and the
kernel clears them again: half of the time or more. The peer is at its best with an allocator that keeps them:

  export GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=8589934592
  python bench/peers/torch_additive.py --threads 1 [--json]
"""
import argparse
import concurrent.futures
import json
import multiprocessing
import statistics
import time

import torch
from torch import nn

# batch, queries, keys, hidden units (= width of queries, keys and values)
CASES = [(64, 1, 50, 256), (64, 10, 10, 256), (64, 50, 50, 256), (8, 256, 256, 256)]
TOO_LONG = (1, 4096, 4096, 256)


class AdditiveAttention(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.W_q = nn.Linear(width, hidden, bias=False)
        self.W_k = nn.Linear(width, hidden, bias=False)
        self.w_v = nn.Linear(hidden, 1, bias=False)

    def forward(self, queries, keys, values):
        queries, keys = self.W_q(queries), self.W_k(keys)
        features = torch.tanh(queries.unsqueeze(2) + keys.unsqueeze(1))
        scores = self.w_v(features).squeeze(-1)
        return torch.bmm(torch.softmax(scores, -1), values)


def peak_bytes():
    """The most memory this process has held since forget_peak()."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def forget_peak():
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    return peak_bytes()


def measure(case, backward, threads, repeats):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    batch, query_rows, key_rows, hidden = case
    layer = AdditiveAttention(hidden, hidden)
    queries = torch.randn(batch, query_rows, hidden, requires_grad=True)
    keys = torch.randn(batch, key_rows, hidden, requires_grad=True)
    values = torch.randn(batch, key_rows, hidden, requires_grad=True)
    above = torch.randn(batch, query_rows, hidden)

    def run():
        if not backward:
            with torch.no_grad():
                layer(queries, keys, values)
            return
        for leaf in (queries, keys, values, *layer.parameters()):
            leaf.grad = None
        layer(queries, keys, values).backward(above)

    before = forget_peak()
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": round(statistics.median(seconds), 6), "fastest": round(min(seconds), 6),
            "peak_bytes": peak_bytes() - before}


def in_a_process_of_its_own(*arguments):
    """So that no case finds memory that another one has left."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(measure, *arguments).result()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON line instead of a table")
    options = parser.parse_args()
    results = []
    for case in CASES:
        result = dict(zip(("batch", "queries", "keys", "hidden"), case))
        for name, backward in (("forward", False), ("forward_backward", True)):
            result[name] = in_a_process_of_its_own(case, backward, options.threads, options.repeats)
        results.append(result)
    batch, queries, keys, hidden = TOO_LONG
    # The sum and its tanh live together, forward; so do the tanh and its gradient, backward.
    tensor = 4 * batch * queries * keys * hidden
    too_long = {"batch": batch, "queries": queries, "keys": keys, "hidden": hidden,
                "computed_bytes": 2 * tensor}
    if options.json:
        print(json.dumps({"peer": "torch " + torch.__version__, "threads": options.threads,
                          "cases": results, "not_run": too_long}))
        return
    print(f"torch {torch.__version__}, {options.threads} threads")
    for r in results:
        text = f"B{r['batch']} Q{r['queries']} K{r['keys']} H{r['hidden']}:"
        for name in ("forward", "forward_backward"):
            one = r[name]
            text += f"  {name} {one['seconds'] * 1e3:.2f} ms, {one['peak_bytes'] / 1e6:.0f} MB"
        print(text)
    print(f"B{batch} Q{queries} K{keys} H{hidden}: would hold {2 * tensor / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
