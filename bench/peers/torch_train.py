#!/usr/bin/env python3
"""One training step of a translation Transformer in PyTorch, for side-by-side runs with `qkv bench train`.

The same mathematics and the same batch: sequences of one length, so that PyTorch pays for no padding;
tied embeddings, dropout, label-smoothed cross-entropy, gradient clipping, Adam. Prints one JSON line.

  python bench/peers/torch_train.py --preset tiny --threads 2
"""
import argparse
import json
import math
import statistics
import time

import torch
from torch import nn

# width, feed-forward, heads, layers, vocabulary, tokens a batch, length, dropout: as in qkv bench train
PRESETS = {
    "tiny": (128, 256, 4, 4, 10000, 4088, 14, 0.3),
    "small": (256, 1024, 4, 3, 10000, 4088, 14, 0.2),
    "base": (512, 2048, 8, 6, 32000, 1024, 32, 0.1),
}


class Translator(nn.Module):
    def __init__(self, width, feed_forward, heads, layers, vocabulary, dropout):
        super().__init__()
        self.scale = math.sqrt(width)
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        self.body = nn.Transformer(width, heads, layers, layers, feed_forward, dropout, batch_first=True)
        # nn.Transformer adds two final norms and drops attention weights; qkv's presets do neither.
        self.body.encoder.norm = None
        self.body.decoder.norm = None
        for module in self.body.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
        self.drop = nn.Dropout(dropout)
        positions = torch.arange(1024).unsqueeze(1) * torch.exp(
            torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        self.register_buffer("positions", torch.cat([positions.sin(), positions.cos()], 1))

    def embed(self, ids):
        return self.drop(self.table(ids) * self.scale + self.positions[: ids.shape[1]])

    def forward(self, source, target):
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        hidden = self.body(self.embed(source), self.embed(target), tgt_mask=causal, tgt_is_causal=True)
        return hidden @ self.table.weight.t()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    width, feed_forward, heads, layers, vocabulary, tokens, length, dropout = PRESETS[options.preset]
    batch = tokens // length
    model = Translator(width, feed_forward, heads, layers, vocabulary, dropout)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-8, fused=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    seconds = []
    for step in range(options.steps + 2):
        source = torch.randint(4, vocabulary, (batch, length))
        target = torch.randint(4, vocabulary, (batch, length + 1))
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        logits = model(source, target[:, :-1])
        loss = loss_of(logits.flatten(0, 1), target[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 25.0)
        optimiser.step()
        if step >= 2:
            seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    print(json.dumps({
        "peer": "torch " + torch.__version__, "preset": options.preset, "threads": options.threads,
        "seconds_a_step": round(median, 4), "fastest": round(min(seconds), 4),
        "target_tokens_a_second": round(batch * length / median),
        "parameters": sum(p.numel() for p in model.parameters()),
    }))


if __name__ == "__main__":
    main()
