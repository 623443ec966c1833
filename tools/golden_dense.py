#!/usr/bin/env python3
"""Writes tests/golden/hf/bert-dense…: the model bert-bare with modules of sentence-transformers behind it.

  golden_dense.py [DIRECTORY]

Neither building nor testing needs this script; its output is committed. It wants sentence-transformers 6.2.0,
transformers 5.23.0 and torch, and DIRECTORY (tests/golden/hf) has what golden_hf.py writes. A folder has what
SentenceTransformer.save() writes but for tokenisers, and
  lines.txt                   texts
  golden.safetensors          vectors [4 W]: theirs; unscaled [4 W]: before a last Normalize; weight [4 W];
                              grad.NAME: the gradient of sum unscaled * weight, NAME as in module 0, or
                              "2.linear.weight" of module 2
"""
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from torch import nn

GOLDEN = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/golden/hf")
LINES = ["w5 w6 w7", "w8", "w9 w10 w11 w12 w13", "w30 w31"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, 40)]
MODELS = {
    "bert-dense": ("mean", [Dense(16, 6), Normalize()]),
    "bert-dense-many": ("cls", [
        Normalize(),
        Dense(16, 12, bias=False, activation_function=nn.GELU()),
        Dense(12, 12, activation_function=nn.SiLU(), use_residual=True),
        Normalize(),
        Dense(12, 9, activation_function=nn.ELU(), use_residual=True),
        Dense(9, 9, activation_function=nn.Sigmoid()),
        Dense(9, 8, activation_function=nn.ReLU(), bias=False, use_residual=True),
        Dense(8, 7, activation_function=nn.Identity())]),
}


def make(name, pooling, behind, folder):
    for file in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN / "bert-bare" / file, folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}\n')
    torch.manual_seed(0)
    for module in behind:
        for p in module.parameters():
            nn.init.normal_(p, 0, 0.3)
    word = Transformer(str(folder), max_seq_length=16)
    model = SentenceTransformer(modules=[word, Pooling(16, pooling_mode=pooling), *behind], device="cpu").eval()
    to = GOLDEN / name
    shutil.rmtree(to, ignore_errors=True)
    model.save(str(to))
    for file in ("README.md", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (to / file).unlink(missing_ok=True)
    (to / "lines.txt").write_text("\n".join(LINES) + "\n")
    features = model.preprocess(LINES) if hasattr(model, "preprocess") else model.tokenize(LINES)
    last = len(model) - isinstance(behind[-1], Normalize)
    for module in list(model)[:last]:
        features = module(features)
    unscaled = features["sentence_embedding"]
    weight = torch.randn_like(unscaled)
    (unscaled * weight).sum().backward()
    golden = {"vectors": model.encode(LINES, convert_to_tensor=True), "unscaled": unscaled, "weight": weight}
    for i, module in enumerate(behind):
        golden |= {f"grad.{i + 2}.{key}": p.grad for key, p in module.named_parameters()}
    encoder = dict(word.auto_model.named_parameters())
    for key in ("encoder.layer.1.output.dense.weight", "encoder.layer.0.attention.self.query.weight"):
        golden["grad." + key] = encoder[key].grad
    save_file({key: x.detach().float().contiguous() for key, x in golden.items()}, to / "golden.safetensors")
    print(name, *unscaled.shape, f"{unscaled.abs().max():.2f}")


for name, (pooling, behind) in MODELS.items():
    with tempfile.TemporaryDirectory() as folder:
        make(name, pooling, behind, pathlib.Path(folder))
