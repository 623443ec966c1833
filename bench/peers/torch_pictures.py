#!/usr/bin/env python3
"""Networks of pictures and of graphs in PyTorch, beside `qkv bench picture [--step]` and `qkv bench nodes`.

The usual implementations: ViT-Ti/16 and Mixer-S/16 of timm (fused attention), lightweight SwinIR x2 of spandrel (the
published code), GAT of PyTorch Geometric on a random graph of the sizes of Cora with the published dropout.
Prints one JSON line for each.

  pip install torch timm spandrel torch_geometric
  python bench/peers/torch_pictures.py --threads 2 [--step] [--side 256] [--batch 1]
"""
import argparse
import json
import random
import statistics
import time

import torch
from torch import nn


def median(run, runs):
    seconds = []
    for i in range(runs + 2):
        start = time.perf_counter()
        run()
        if i >= 2:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def report(name, o, **found):
    print(json.dumps({"peer": "torch " + torch.__version__, "network": name, "threads": o.threads, **found}))


def swin_ir():
    from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR
    return SwinIR(upscale=2, in_chans=3, img_size=64, window_size=8, img_range=1.0, depths=[6, 6, 6, 6],
                  embed_dim=60, num_heads=[6, 6, 6, 6], mlp_ratio=2, upsampler="pixelshuffledirect",
                  resi_connection="1conv")


def picture(name, model, side, o):
    x = 0.25 * torch.randn(o.batch, 3, side, side)
    model.eval()
    with torch.inference_mode():
        found = {"forward_seconds": median(lambda: model(x), o.runs)}
    if o.step:
        model.train()
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

        def step():
            optimiser.zero_grad(set_to_none=True)
            model(x).square().mean().backward()
            optimiser.step()
        found["step_seconds"] = median(step, o.runs)
    report(name, o, batch=o.batch, side=side, parameters=sum(p.numel() for p in model.parameters()), **found)


class Gat(nn.Module):
    def __init__(self):
        super().__init__()
        from torch_geometric.nn import GATConv
        self.one = GATConv(1433, 8, heads=8, dropout=0.6)
        self.two = GATConv(64, 7, heads=1, concat=False, dropout=0.6)

    def forward(self, x, edges):
        drop = nn.functional.dropout
        x = nn.functional.elu(self.one(drop(x, 0.6, self.training), edges))
        return self.two(drop(x, 0.6, self.training), edges)


def graph(o):
    random.seed(1)
    x = torch.zeros(2708, 1433)
    for row in x:
        row[random.sample(range(1433), 18)] = 1 / 18
    edges = torch.tensor([random.sample(range(2708), 2) for _ in range(5278)]).T
    edges = torch.cat([edges, edges.flip(0)], 1)
    labels = torch.arange(140) % 7
    model = Gat()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=5e-4, fused=True)

    def step():
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x, edges)[:140], labels).backward()
        optimiser.step()
    report("gat", o, seconds_a_step=median(step, 4 * o.runs), parameters=sum(p.numel() for p in model.parameters()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--side", type=int, default=256, help="of SwinIR's input")
    parser.add_argument("--step", action="store_true", help="a training step as well")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks of pictures")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    import timm
    wrap = torch.compile if o.compile else (lambda m: m)
    picture("vit-ti/16", wrap(timm.create_model("vit_tiny_patch16_224")), 224, o)
    picture("mixer-s/16", wrap(timm.create_model("mixer_s16_224")), 224, o)
    picture("swinir-light", wrap(swin_ir()), o.side, o)
    graph(o)


if __name__ == "__main__":
    main()
