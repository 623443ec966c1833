#!/usr/bin/env python3
"""What transformers makes of a directory, beside what qkv makes of it as it lies there.

  python bench/peers/transformers_answers.py embed DIR --text LINES [--lines 1000]
  python bench/peers/transformers_answers.py classify DIR --text LINES
  python bench/peers/transformers_answers.py generate DIR --text PROMPTS [--tokens 40] [--chat FORM]

Needs pip install torch transformers. embed: what SentenceTransformer(DIR).encode gives where sentence-transformers is
there (held to 1e-6), else the mean of the last states, of length 1, as all-MiniLM-L6-v2's
directory wants it (its limit of 256 tokens included); the greatest difference of a number. classify: the same label,
and the greatest difference of a probability. generate: the same greedy text, of a chat model with its own template (needs jinja2). Exit code 1
where they differ.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
import transformers as hf
from safetensors import safe_open

try:
    import sentence_transformers
except ImportError:
    sentence_transformers = None


def asked(o, verb, lines, *flags):
    run = subprocess.run([o.qkv, verb, "--threads", str(o.threads), "--model", str(o.directory), *flags], input="".join(x + "\n" for x in lines), stdout=subprocess.PIPE,
                         check=True, encoding="utf-8")
    return run.stdout.split("\n")[:-1]


def limit_of(directory):
    path = directory / "sentence_bert_config.json"
    return json.loads(path.read_text())["max_seq_length"] if path.exists() else None


def embed_sentences(o, lines):
    model = sentence_transformers.SentenceTransformer(str(o.directory), device="cpu")
    ours = torch.tensor([[float(x) for x in line.split()] for line in asked(o, "embed", lines)])
    worst = (torch.as_tensor(model.encode(lines)) - ours).abs().max().item()
    print(f"sentence-transformers {sentence_transformers.__version__}, {len(lines)} lines, vectors of {ours.shape[1]}: "
          f"the greatest difference is {worst:.1e}")
    return worst > 1e-6


def embed(o, lines):
    if sentence_transformers and (o.directory / "modules.json").exists():
        return embed_sentences(o, lines)
    t, m = hf.AutoTokenizer.from_pretrained(o.directory), hf.AutoModel.from_pretrained(o.directory).eval()
    ours = [[float(x) for x in line.split()] for line in asked(o, "embed", lines)]
    worst = 0.0
    for i, line in enumerate(lines):
        ids = t(line.strip(), truncation=True, padding=False, max_length=limit_of(o.directory), return_tensors="pt")
        with torch.no_grad():
            vector = torch.nn.functional.normalize(m(**ids).last_hidden_state[0].mean(0), dim=0)
        worst = max(worst, (vector - torch.tensor(ours[i])).abs().max().item())
    print(f"{len(lines)} lines, vectors of {len(ours[0])}: the greatest difference is {worst:.1e}")
    return worst > 1e-5


def classify(o, lines):
    with safe_open(o.directory / "model.safetensors", "pt") as f:  # what config.json says may be wrong
        rows = f.get_slice("classifier.weight").get_shape()[0]
    t = hf.AutoTokenizer.from_pretrained(o.directory)
    m = hf.AutoModelForSequenceClassification.from_pretrained(o.directory, num_labels=rows).eval()
    ours = [json.loads(x) for x in asked(o, "classify", lines, "--json")]
    worst, other = 0.0, 0
    for line, mine in zip(lines, ours, strict=True):
        with torch.no_grad():
            p = m(**t(line, truncation=True, return_tensors="pt")).logits[0].softmax(-1)
        other += mine["label"] != m.config.id2label[int(p.argmax())]
        worst = max(worst, abs(p.max().item() - mine["probability"]))
    print(f"{len(lines)} lines, {p.numel()} labels: {other} other labels, the greatest difference of a probability is {worst:.1e}")
    return other > 0 or worst > 1e-5


def generate(o, lines):
    t, m = hf.AutoTokenizer.from_pretrained(o.directory), hf.AutoModelForCausalLM.from_pretrained(o.directory).eval()
    flags = ["--prompts", "--json", "--greedy", "--tokens", str(o.tokens), *(["--chat", o.chat] if o.chat else [])]
    ours = [json.loads(x)["text"] for x in asked(o, "generate", lines, *flags)]
    other = 0
    for line, mine in zip(lines, ours, strict=True):
        if o.chat:
            line = t.apply_chat_template([{"role": "user", "content": line}], tokenize=False, add_generation_prompt=True)
        ids = t(line, return_tensors="pt", add_special_tokens=not o.chat).input_ids
        with torch.no_grad():
            out = m.generate(ids, max_new_tokens=o.tokens, do_sample=False, pad_token_id=t.pad_token_id or t.eos_token_id)
        theirs = t.decode(out[0, ids.shape[1]:], skip_special_tokens=True)
        other += mine != theirs
        print(json.dumps({"prompt": line, "text": theirs, "qkv": "the same" if mine == theirs else mine}, ensure_ascii=False))
    return other > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["embed", "classify", "generate"])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--qkv", default="build/release/qkv")
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--chat", default="")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    lines = [x for x in o.text.read_text(encoding="utf-8").split("\n") if x][:o.lines]
    return int({"embed": embed, "classify": classify, "generate": generate}[o.what](o, lines))


if __name__ == "__main__":
    sys.exit(main())
