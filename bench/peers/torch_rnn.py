#!/usr/bin/env python3
"""One training step of a GRU translator with Bahdanau attention in PyTorch, beside `qkv bench rnn`.

The same mathematics and the same batch: one GRU layer on each side (nn.GRU in the encoder, nn.GRUCell in the
decoder's loop, whose input is the context and the embedding), additive attention asked by the state before the
step, sequences of one length so that nothing is padded, cross-entropy, gradient clipping, Adam. Everything that
needs no context is taken out of the loop, as one would for speed: embeddings' products, keys, vocabulary. Prints
one JSON line.

  python bench/peers/torch_rnn.py --threads 1 [--embedding 32 --width 32]
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


class Translator(nn.Module):
    def __init__(self, vocabulary, embedding, width):
        super().__init__()
        self.source = nn.Embedding(vocabulary, embedding)
        self.target = nn.Embedding(vocabulary, embedding)
        self.encoder = nn.GRU(embedding, width, batch_first=True)
        self.from_embedding = nn.Linear(embedding, 3 * width)
        self.from_context = nn.Linear(width, 3 * width, bias=False)
        self.from_state = nn.Linear(width, 3 * width)
        self.W_q = nn.Linear(width, width, bias=False)
        self.W_k = nn.Linear(width, width, bias=False)
        self.w_v = nn.Linear(width, 1, bias=False)
        self.output = nn.Linear(width, vocabulary)

    def forward(self, source, target):
        memory, state = self.encoder(self.source(source))
        state = state[0]
        keys = self.W_k(memory)
        products = self.from_embedding(self.target(target))
        hidden = []
        for t in range(target.shape[1]):
            scores = self.w_v(torch.tanh(self.W_q(state).unsqueeze(1) + keys)).squeeze(-1)
            context = torch.bmm(torch.softmax(scores, -1).unsqueeze(1), memory).squeeze(1)
            r_x, z_x, n_x = (products[:, t] + self.from_context(context)).chunk(3, -1)
            r_h, z_h, n_h = self.from_state(state).chunk(3, -1)
            r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
            n = torch.tanh(n_x + r * n_h)
            state = n + z * (state - n)
            hidden.append(state)
        return self.output(torch.stack(hidden, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=10000)
    parser.add_argument("--embedding", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    model = Translator(o.vocabulary, o.embedding, o.width)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-8, fused=True)
    loss_of = nn.CrossEntropyLoss()
    seconds = []
    for step in range(o.steps + 2):
        source = torch.randint(4, o.vocabulary, (o.batch, o.length))
        target = torch.randint(4, o.vocabulary, (o.batch, o.length + 1))
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(model(source, target[:, :-1]).flatten(0, 1), target[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step >= 2:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "peer": "torch " + torch.__version__, "threads": o.threads, "embedding": o.embedding, "width": o.width,
        "seconds_a_step": round(statistics.median(seconds), 4), "fastest": round(min(seconds), 4),
        "parameters": sum(p.numel() for p in model.parameters()),
    }))


if __name__ == "__main__":
    main()
