#!/usr/bin/env python3
"""Holds what `qkv export` writes to the programs it is written for.

  check_export.py QKV [--only PART_OF_A_NAME] [--keep FOLDER]

QKV is the program. It trains small models on made-up text, takes the golden ones of tests/golden/hf besides,
exports all of them, and loads each directory with transformers: nothing may be missing, unexpected or of
another shape; numbers must be qkv's own within 1e-5 (log p of given translations and texts, probabilities of
hidden words and labels, vectors; of golden models those that transformers gave before); tokens of 300 lines must
have the same numbers, alone and as a whole text. Then transformers saves model and tokeniser again, and qkv must
give the same answers with what it wrote. Where ctranslate2 is there, its converter takes translators and language
models and must give qkv's texts; where sentence-transformers is there, it must give qkv's vectors of the encoders.

Without torch (transformers 5 beside an old torch) configurations and tokenisers alone are checked.
Run by hand; needs transformers, safetensors, sentencepiece; torch, ctranslate2 and sentence-transformers where
they shall be checked. Ends with 1 where anything differs.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import transformers as hf
from safetensors import safe_open

from export_models import GOLDEN, LINES, TEXTS, Tool, lines_of, make_golden, make_own

hf.utils.logging.disable_progress_bar()
try:
    import torch
    hf.AutoModel.from_config  # transformers hides its models where torch is too old
    TORCH = hf.utils.is_torch_available()
except (ImportError, AttributeError):
    TORCH = False
try:
    import ctranslate2
except ImportError:
    ctranslate2 = None
try:
    import sentence_transformers
except ImportError:
    sentence_transformers = None

NEAR = 1e-5


class Differs(Exception):
    pass


def load(to):
    config = json.loads((to / "config.json").read_text())
    name = config["architectures"][0]
    cls = getattr(hf, name)
    model, report = cls.from_pretrained(to, output_loading_info=True)
    found = {key: list(value) for key, value in report.items() if value}
    if found:
        raise Differs(f"loading report: {found}")
    return model.eval()


def near(here, there):
    here, there = torch.as_tensor(here, dtype=torch.float64), torch.as_tensor(there, dtype=torch.float64)
    if here.shape != there.shape:
        raise Differs(f"shapes {tuple(here.shape)} and {tuple(there.shape)}")
    worst = float((here - there).abs().max()) if here.numel() else 0.0
    if not worst < NEAR:
        raise Differs(f"numbers differ by {worst:.1e}")
    return worst


def same(a, b, at=""):
    """What two directories answered, numbers within NEAR."""
    if isinstance(a, float) or isinstance(b, float):
        if abs(a - b) > NEAR:
            raise Differs(f"saved again{at}: {a}, {b}")
    elif isinstance(a, (list, dict)) and type(a) is type(b) and len(a) == len(b):
        for key in a if isinstance(a, dict) else range(len(a)):
            same(a[key], b[key], f"{at}/{key}")
    elif a != b:
        raise Differs(f"saved again{at}: {a}, {b}")


def answers(qkv, form, directory):
    words = "w5 w9 w11 w7\nw8 w20 w33\n" + "\n".join(lines_of(6, 10)) + "\n"
    of = ["--model", directory]
    if form == "MarianMTModel":
        return qkv.json("translate", *of, "--n-best", 4, "--max-length", 8, text=words)
    if form.endswith("CausalLM") or "LMHead" in form:
        return qkv.json("perplexity", *of, "--tokens", text=words)
    if form.endswith("TokenClassification"):
        return qkv.json("tag", *of, "--scores", text=words)
    if form.endswith("SequenceClassification"):
        return qkv.json("classify", *of, "--scores", text=words)
    return qkv.json("embed", *of, text=words)


def check_again(qkv, to, form, model):
    """Both ways: what transformers saves of it."""
    back = to.parent / (to.name + "-back")
    if form == "MarianMTModel":
        model._keys_to_ignore_on_save = None  # keeps the tables of positions
    model.save_pretrained(back)
    hf.AutoTokenizer.from_pretrained(to).save_pretrained(back)
    for file in (to / "modules.json", *to.glob("[0-9]_*")):  # which transformers does not know
        if file.exists():
            (shutil.copytree if file.is_dir() else shutil.copy)(file, back / file.name)
    notes = [line for line in qkv("info", back).splitlines() if " note " in line and "manifest" not in line]
    if form != "M2M100ForConditionalGeneration":
        same(answers(qkv, form, to), answers(qkv, form, back))
        for flags in (["--bare"], []):
            texts = "\n".join(TEXTS) + "\n"
            if qkv("tokenise", *flags, "--model", to, text=texts) != qkv("tokenise", *flags, "--model", back, text=texts):
                raise Differs("saved again: other tokens")
    return "again" + "".join("; " + n.strip() for n in notes)


def check_sentences(qkv, to):
    m = sentence_transformers.SentenceTransformer(str(to), device="cpu")
    lines = lines_of(20, 11)
    here = m.encode(lines)
    there = [r["vector"] for r in qkv.json("embed", "--model", to, text="\n".join(lines) + "\n")]
    worst = near(here, there)
    back = to.parent / (to.name + "-sentences")
    m.save(str(back))
    near([r["vector"] for r in qkv.json("embed", "--model", back, text="\n".join(lines) + "\n")], there)
    return f"sentence-transformers {worst:.1e}"


def check_golden(qkv, name, own, to, model):
    worst = 0.0
    with safe_open(GOLDEN / name.removeprefix("golden-") / "golden.safetensors", "pt") as g:
        names = set(g.keys())
        if "vectors" in names:  # of golden_dense.py
            lines = (GOLDEN / name.removeprefix("golden-") / "lines.txt").read_text()
            vectors = [r["vector"] for r in qkv.json("embed", "--model", to, text=lines)]
            return near(vectors, g.get_tensor("vectors"))
        for n in ("0", "1"):
            ids = g.get_tensor(f"{n}.ids").long()[None]
            inputs = {"input_ids": ids}
            if f"{n}.types" in names:
                inputs["token_type_ids"] = g.get_tensor(f"{n}.types").long()[None]
            pad = model.config.pad_token_id
            if f"{n}.target" in names:
                inputs["decoder_input_ids"] = g.get_tensor(f"{n}.target").long()[None]
            out = model(**inputs)
            if f"{n}.logits" in names:
                there = g.get_tensor(f"{n}.logits")
                here = (out.prediction_logits if hasattr(out, "prediction_logits") else out.logits)[0]
                there = there.reshape(-1, there.shape[-1]) if here.dim() > 1 else there.reshape(-1)
                if model.config.model_type == "marian":  # its pad, the last, can no longer be produced
                    last = min(pad, there.shape[-1] - 1)
                    here, there = here[..., :last], there[..., :last]
                worst = max(worst, near(here, there))
            else:
                worst = max(worst, near(out.last_hidden_state[0], g.get_tensor(f"{n}.hidden.2")))
    return worst


# As the others search. Where as many hypotheses as there are beams have ended at the very limit, transformers 4 leaves
# out those that go on, and 5 counts them; without stopping early both do.
SEARCH = ["--beam", 4, "--max-length", 8, "--at-limit", "cut", *([] if hf.__version__ >= "5" else ["--stop", "worst"])]
EARLY = {} if hf.__version__ >= "5" else {"early_stopping": False}


def check_translator(qkv, name, own, to, model):
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    sources = lines_of(12, 3)
    found = qkv.json("translate", "--model", own, *SEARCH, text="\n".join(sources) + "\n")
    worst = 0.0
    for source, t in zip(sources, found):
        inputs = tokeniser(source, return_tensors="pt")
        pieces = tokeniser.target_encoder if tokeniser.separate_vocabs else tokeniser.encoder
        target = [pieces[p] for p in t["tokens"]] + [model.config.eos_token_id]
        start = [model.config.decoder_start_token_id] + target[:-1]
        logits = model(**inputs, decoder_input_ids=torch.tensor([start])).logits[0]
        log_p = logits.log_softmax(-1)[range(len(target)), target]
        scores = t["token_scores"]
        worst = max(worst, near(scores, log_p[:len(scores)]))
        beams = model.generate(**inputs, num_beams=4, max_new_tokens=8, **EARLY)[0]
        said = tokeniser.decode(beams, skip_special_tokens=True)
        if said != t["text"]:
            raise Differs(f"generate: '{said}', qkv: '{t['text']}'")
    return worst


def converted(to, files=()):
    out = to.parent / (to.name + "-ct2")
    from golden_ct2 import Converter
    Converter(str(to), copy_files=list(files)).convert(str(out), force=True)
    return str(out)


def not_in_ctranslate2(config):
    """What its converter (4.8.5) has not, or passes over."""
    if config["model_type"] == "mpt":
        return "no MptConfig"
    if config["model_type"] == "gpt2" and (config["scale_attn_by_inverse_layer_idx"] or not config["scale_attn_weights"]):
        return "no other scale of scores"
    if config["model_type"] == "llama":
        if config["head_dim"] * config["num_attention_heads"] != config["hidden_size"]:
            return "no width of heads of its own"
        if config["attention_bias"] or config["mlp_bias"]:
            return "no biases of Llama"
        if hf.__version__ >= "5" and config["rope_parameters"] != {"rope_type": "default", "rope_theta": 10000.0}:
            return "no rope_parameters"
    return ""


def check_ctranslate2_language(qkv, own, to):
    lacks = not_in_ctranslate2(json.loads((to / "config.json").read_text()))
    if lacks:
        return lacks
    generator = ctranslate2.Generator(converted(to), intra_threads=1)
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    never = json.loads((to / "generation_config.json").read_text()).get("suppress_tokens", [])
    bans = [[t] for t in tokeniser.convert_ids_to_tokens(never)]
    worst, equal, prompts = 0.0, 0, ["w5 w9 w11", "w20 w7", "w30"] if to.name.startswith("golden") else \
        [" ".join(line.split()[:3]) for line in lines_of(8, 12)]
    said = qkv.json("generate", "--model", own, "--prompts", "--greedy", "--tokens", 8, text="\n".join(prompts) + "\n")
    for prompt, mine in zip(prompts, said, strict=True):
        pieces = tokeniser.convert_ids_to_tokens(tokeniser(prompt).input_ids)
        best = generator.generate_batch([pieces], max_length=8, sampling_topk=1, include_prompt_in_result=False,
                                        suppress_sequences=bans or None)[0]
        text = tokeniser.decode(best.sequences_ids[0], skip_special_tokens=True)
        equal += text.split() == mine["text"].split()
        there = [r["log_probability"] for r in qkv.json("perplexity", "--model", to, "--tokens", text=prompt + "\n")
                 if "log_probability" in r]
        start = tokeniser.bos_token  # qkv's first number is that of the first token behind it
        scored = generator.score_batch([[start] + pieces])[0].log_probs
        n = min(len(scored), len(there))
        worst = max(worst, near(scored[:n], there[:n]))
    return f"{equal} of {len(prompts)}, {worst:.1e}"


def check_ctranslate2(qkv, name, own, to):
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    translator = ctranslate2.Translator(converted(to), intra_threads=1)
    sources = lines_of(12, 3)
    found = qkv.json("translate", "--model", own, *SEARCH, text="\n".join(sources) + "\n")
    greedy = qkv.json("translate", "--model", own, *SEARCH, "--beam", 1, text="\n".join(sources) + "\n")
    never = json.loads((to / "generation_config.json").read_text()).get("bad_words_ids", [])
    tokens = [[t] for t in tokeniser.convert_ids_to_tokens([w[0] for w in never]) if t not in ("<pad>", "<unk>")]
    equal, worst = {1: 0, 4: 0}, 0.0
    for source, t, one in zip(sources, found, greedy):
        pieces = tokeniser.convert_ids_to_tokens(tokeniser(source).input_ids)
        for beam, own_tokens in ((4, t["tokens"]), (1, one["tokens"])):
            best = translator.translate_batch([pieces], beam_size=beam, length_penalty=1, return_scores=True, patience=1,
                                              max_decoding_length=8, disable_unk=True, suppress_sequences=tokens)[0]
            equal[beam] += best.hypotheses[0] == own_tokens
        # What CTranslate2 may not produce leaves its sum, so the search is compared by its texts alone.
        scored = translator.score_batch([pieces], [t["tokens"]])[0].log_probs
        worst = max(worst, near(scored[:len(t["tokens"])], t["token_scores"][:len(t["tokens"])]))
    return f"greedy {equal[1]}, 4 beams {equal[4]} of {len(sources)}, {worst:.1e}"


def check_many(qkv, name, own, to, model):
    """An M2M100 with its hundred languages: log p of transformers, hypotheses and scores of CTranslate2."""
    tokeniser = hf.AutoTokenizer.from_pretrained(to, src_lang="en")
    translator = ctranslate2.Translator(converted(to, ["sentencepiece.bpe.model"]), intra_threads=1)
    worst, lines = 0.0, lines_of(12, 3)
    for language in ("fr", "de"):
        ask = ["--source-language", "en", "--target-language", language, "--n-best", 4, *SEARCH]
        found = qkv.json("translate", "--model", own, *ask, text="\n".join(lines) + "\n")
        again = qkv.json("translate", "--model", to.parent / (to.name + "-ct2"), *ask, text="\n".join(lines) + "\n")
        for key in ("tokens", "token_scores"):  # what its converter wrote opens, too
            same([t[key] for t in found], [t[key] for t in again])
        first = tokeniser.get_lang_id(language)
        for number, line in enumerate(lines, 1):
            inputs = tokeniser(line, return_tensors="pt")
            said = [t for t in found if t["line"] == number]
            for t in said:
                if "<pad>" in t["tokens"]:  # which transformers gives no position
                    continue
                target = tokeniser.convert_tokens_to_ids(t["tokens"]) + [model.config.eos_token_id]
                start = [model.config.decoder_start_token_id, first] + target[:-1]
                log_p = model(**inputs, decoder_input_ids=torch.tensor([start])).logits[0].log_softmax(-1)[1:]
                scores = t["token_scores"]
                worst = max(worst, near(scores, log_p[range(len(target)), target][:len(scores)]))
            best = translator.translate_batch(
                [tokeniser.convert_ids_to_tokens(inputs.input_ids[0])], target_prefix=[[f"__{language}__"]], beam_size=4,
                num_hypotheses=4, return_scores=True, max_decoding_length=8)[0]
            if [h[1:] for h in best.hypotheses] != [t["tokens"] for t in said]:
                raise Differs(f"ctranslate2: {best.hypotheses}, qkv: {[t['tokens'] for t in said]}")
            worst = max(worst, near(best.scores, [t["score"] for t in said]))
    return worst


def check_language(qkv, name, own, to, model):
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    worst = 0.0
    for line in lines_of(6, 4):
        text = line + "\n"
        there = [r["log_probability"] for r in qkv.json("perplexity", "--model", own, "--tokens", text=text)
                 if "log_probability" in r]
        ids = tokeniser(text, return_tensors="pt").input_ids
        log_p = model(input_ids=ids).logits[0].log_softmax(-1)
        here = log_p[range(ids.shape[1] - 1), ids[0, 1:]]
        worst = max(worst, near(here, there))
    return worst


def check_bert(qkv, name, own, to, model):
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    worst = 0.0
    for line in lines_of(6, 5):
        words = line.split()
        words[1] = "[MASK]"
        text = " ".join(words)
        there = qkv.json("fill", "--model", own, "--top", 7, text=text + "\n")[0]["masks"][0]
        inputs = tokeniser(text, return_tensors="pt")
        at = inputs.input_ids[0].tolist().index(tokeniser.mask_token_id)
        out = model(**inputs)
        logits = out.prediction_logits if hasattr(out, "prediction_logits") else out.logits
        p = logits[0, at].softmax(-1)
        worst = max(worst, near([p[c["id"]].item() for c in there], [c["probability"] for c in there]))
    vector = qkv.json("embed", "--model", own, text=LINES[0] + "\n")[0]["vector"]
    base = hf.AutoModel.from_pretrained(to)
    here = base(**tokeniser(LINES[0], return_tensors="pt")).last_hidden_state[0].mean(0)
    return max(worst, near(here, vector))


def check_labels(qkv, name, own, to, model):
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    names, worst = model.config.id2label, 0.0
    for line in lines_of(6, 6):
        if "classif" in name:
            there = qkv.json("classify", "--model", own, "--scores", text=line + "\n")[0]["scores"]
            p = model(**tokeniser(line, return_tensors="pt")).logits[0].softmax(-1)
            worst = max(worst, near([p[i].item() for i in names], [there[names[i]] for i in names]))
        else:
            there = qkv.json("tag", "--model", own, "--scores", text=line + "\n")[0]
            inputs = tokeniser(there["words"], is_split_into_words=True, return_tensors="pt")
            log_p = model(**inputs).logits[0].log_softmax(-1)
            first = [inputs.word_ids().index(w) for w in range(len(there["words"]))]
            tags = [names[int(log_p[t].argmax())] for t in first]
            if tags != there["tags"]:
                raise Differs(f"tags {tags}, qkv {there['tags']}")
            worst = max(worst, near(sum(log_p[t].max().item() for t in first), there["log_probability"]))
    return worst


def check_tokens(qkv, own, to):
    tokeniser = hf.AutoTokenizer.from_pretrained(to)
    marian = "Marian" in type(tokeniser).__name__
    for bare in (True, False):
        flags = ["--bare"] if bare else []
        # Our own models put nothing around a text that their exports have not
        ran = qkv("tokenise", *flags, "--model", own if bare else to, text="\n".join(TEXTS) + "\n")
        for line, ids in zip(TEXTS, (l.split() for l in ran.splitlines()), strict=True):
            if marian and bare:
                there = tokeniser.convert_tokens_to_ids(tokeniser.tokenize(line))
            else:
                there = tokeniser(line, add_special_tokens=not bare).input_ids
            if [int(i) for i in ids] != list(there):
                raise Differs(f"tokens of '{line[:20]}': {there[:12]}, qkv {ids[:12]}")
    return len(TEXTS)


def is_newer(config):
    """Llama with what 4.40 passes over."""
    version = tuple(map(int, hf.__version__.split(".")[:2]))
    return config["model_type"] == "llama" and version < (4, 45) and (
        config["mlp_bias"] or config["head_dim"] * config["num_attention_heads"] != config["hidden_size"]
        or (config["rope_scaling"] or {}).get("rope_type") == "llama3")


def check(qkv, name, own, folder):
    to = folder / (name + "-hf")
    form = qkv("export", own, to).split(": ")[-1].strip()
    said = [form]
    if is_newer(json.loads((to / "config.json").read_text())):
        return said + ["has a field that its class knows from 4.45 on"]
    hf.AutoConfig.from_pretrained(to)
    if "m2m100" not in name:  # qkv tokenise has no verb for its pieces
        said.append(f"{check_tokens(qkv, own, to)} lines")
    if not TORCH:
        return said
    if not hasattr(hf, form):
        return said + ["no class here"]
    model = load(to)
    checks = {"golden": check_golden, "translator": check_translator, "language": check_language,
              "bert": check_bert, "many": check_many, "classifier": check_labels, "tagger": check_labels}
    with torch.no_grad():
        said.append(f"{checks[name.split('-')[0]](qkv, name, own, to, model):.1e}")
        said.append(check_again(qkv, to, form, model))
    if sentence_transformers and (to / "modules.json").exists():
        said.append(check_sentences(qkv, to))
    # Of two vocabularies its converter wants a piece for every row.
    if ctranslate2 and form == "MarianMTModel" and name.startswith("translator") and "two" not in name:
        said.append(f"ctranslate2 {check_ctranslate2(qkv, name, own, to)}")
    if ctranslate2 and form in ("GPT2LMHeadModel", "LlamaForCausalLM", "MptForCausalLM"):
        said.append(f"ctranslate2 {check_ctranslate2_language(qkv, own, to)}")
    return said


REFUSED = {  # golden models that qkv itself does not read, and why they are no loss here
    "golden-bert-masked-untied", "golden-roberta-classes", "golden-gpt2-classes"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("qkv")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    given = parser.parse_args()
    qkv = Tool(given.qkv)
    folder = pathlib.Path(given.keep or tempfile.mkdtemp(prefix="export-"))
    folder.mkdir(parents=True, exist_ok=True)
    models = make_golden(folder)
    if "golden" not in given.only:
        models |= make_own(qkv, folder, given.only)
    if TORCH and ctranslate2:
        from golden_ct2 import make
        (folder / "m2m100").mkdir()
        make(folder / "m2m100")
        models["many-m2m100"] = folder / "m2m100" / "model"
    print(f"transformers {hf.__version__}, torch {torch.__version__ if TORCH else 'none'}, "
          f"ctranslate2 {ctranslate2.__version__ if ctranslate2 else 'none'}")
    wrong = 0
    for name, own in models.items():
        if given.only not in name or name in REFUSED:
            continue
        try:
            print(f"{name:36}", *check(qkv, name, own, folder), sep="  ")
        except Exception as e:  # the others shall be seen, too
            wrong += 1
            print(f"{name:36}  WRONG: {type(e).__name__}: {e}")
    if not given.keep:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
