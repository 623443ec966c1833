#!/usr/bin/env python3
"""Writes tests/golden/hf: tiny random models of Hugging Face's classes, and what those classes make of them.

  golden_hf.py [--only PART_OF_A_NAME] [--ways] [DIRECTORY]

Neither building nor testing needs this script; its output is committed. It wants transformers 4.40.2 and
torch: on Debian 12 `apt-get install python3-torch`, then a virtual environment with --system-site-packages
and `pip install transformers==4.40.2 tokenizers==0.19.1 safetensors sentencepiece sacremoses`. With transformers 5
it writes NAME-v5 of the models whose files have another form there; with a DIRECTORY all of them under their own
names, which the tests take in place of the committed ones: `QKV_GOLDEN_HF=DIRECTORY build/release/tests/systems_test
--gtest_filter='*Golden*:*Imported*:*Foreign*:*Ways*'`.

A folder has what save_pretrained() writes, and golden.safetensors, all numbers F32 (whole ones too):
  N.ids [L], N.types [L], N.target [L']   sequence N, alone and without padding; target: decoder input
  N.hidden.l [L C]                        states before the first layer, after each layer; the last one as
                                          the class gives it, after a final norm where there is one
  N.encoder.l, N.decoder.l                the same of translators
  N.pooled [C], N.logits, N.sentence      whatever the class returns
  N.labels                                a row of the logits each, -1: does not count
  N.weight [L C]                          of a class without logits
  loss []                                 mean cross-entropy over all rows of all sequences that count, and
                                          that of N.sentence added; of one class sum (logit - 1)^2; without
                                          logits sum state * weight + sum pooled
  grad.NAME                               its gradient
  N.greedy, N.beam, N.beam.score          generate(): greedy, 4 beams, length penalty 1
"blocks" has inputs and results of single parts. ways.safetensors, of a few models as they lie there, which --ways
writes alone, has what generate() makes of sequence 0 (a decoder: of its first three tokens):
  best.R, best.R.score                    the four hypotheses of 4 beams
  ngram.greedy, ngram.beam                no_repeat_ngram_size 2
  penalty.greedy                          of decoders: repetition_penalty 1.5; the rest of translators
  bad, bad.words [n 2], bad.score         4 beams with bad_words_ids, which are the first pairs of the best
  suppressed, suppressed.ids, .score      4 beams with suppress_tokens, the first tokens of the best
  forced, forced.id, forced.score         4 beams with forced_bos_token_id
  behind, behind.prefix, behind.score     4 beams that go on from a beginning of the target

"blocks" has inputs and results of single parts; "bert-pairs" a regression over two texts, with pairs.tsv
and the ids, types and logits that BertTokenizerFast and the class make of each line, cut to the positions.
"""
import argparse
import os
import pathlib
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

FIVE = hf.__version__ >= "5"
V, C, L, H, FF, P = 40, 16, 2, 4, 24, 20
LENGTHS = (7, 4)
SEED = 0
MODELS = {}


def redraw(m):
    """Fresh initialisation leaves biases 0 and norms 1, which hides errors; norms near 0 would hide the
    tokens behind the biases."""
    torch.manual_seed(SEED)
    norms = [n.weight for n in m.modules() if "Norm" in type(n).__name__]
    with torch.no_grad():
        for p in m.parameters():
            if p.requires_grad:  # tables of sinusoids are frozen
                p.normal_(1.0 if any(p is n for n in norms) else 0.0, 0.3)
    return m.eval()


# --- encoders -------------------------------------------------------------------------------------------

def bert(cls, kind="Bert", **changes):
    config = dict(vocab_size=V, hidden_size=C, num_hidden_layers=L, num_attention_heads=H,
                  intermediate_size=FF, max_position_embeddings=P, type_vocab_size=2)
    config.update(changes)
    return redraw(getattr(hf, cls)(getattr(hf, kind + "Config")(**config)))


def distilbert(cls, **changes):
    return redraw(getattr(hf, cls)(hf.DistilBertConfig(
        vocab_size=V, dim=C, n_layers=L, n_heads=H, hidden_dim=FF, max_position_embeddings=P, **changes)))


roberta = dict(type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)
three = {0: "O", 1: "B-X", 2: "I-X"}
MODELS |= {
    "bert-bare": lambda: bert("BertModel"),
    "bert-pretraining": lambda: bert("BertForPreTraining"),
    "bert-masked": lambda: bert("BertForMaskedLM", hidden_act="gelu_new"),
    "bert-masked-untied": lambda: bert("BertForMaskedLM", tie_word_embeddings=False),
    "bert-tags": lambda: bert("BertForTokenClassification", id2label=three, hidden_size=18,
                              num_attention_heads=3),
    "bert-classes": lambda: bert("BertForSequenceClassification", num_labels=4),
    "bert-several": lambda: bert("BertForSequenceClassification", num_labels=3,
                                 problem_type="multi_label_classification"),
    "bert-pairs": lambda: bert("BertForSequenceClassification", num_labels=1, problem_type="regression"),
    "distilbert-masked": lambda: distilbert("DistilBertForMaskedLM"),
    "distilbert-masked-sinusoid": lambda: distilbert("DistilBertForMaskedLM", sinusoidal_pos_embds=True),
    "distilbert-classes": lambda: distilbert("DistilBertForSequenceClassification", num_labels=2),
    "distilbert-tags": lambda: distilbert("DistilBertForTokenClassification", id2label=three),
    "roberta-masked": lambda: bert("RobertaForMaskedLM", "Roberta", **roberta),
    "roberta-classes": lambda: bert("RobertaForSequenceClassification", "Roberta", num_labels=1, **roberta),
    "xlm-roberta-tags": lambda: bert("XLMRobertaForTokenClassification", "XLMRoberta", id2label=three,
                                     **roberta),
    "xlm-roberta-classes": lambda: bert("XLMRobertaForSequenceClassification", "XLMRoberta", num_labels=3,
                                        **roberta),
    "albert-masked": lambda: bert("AlbertForMaskedLM", "Albert", embedding_size=8),
}

# --- translators ----------------------------------------------------------------------------------------


def marian(**changes):
    config = dict(vocab_size=V, decoder_vocab_size=V, d_model=C, encoder_layers=L, decoder_layers=L,
                  encoder_attention_heads=H, decoder_attention_heads=H, encoder_ffn_dim=FF,
                  decoder_ffn_dim=FF, max_position_embeddings=P, activation_function="swish",
                  scale_embedding=True, eos_token_id=0, forced_eos_token_id=0, pad_token_id=V - 1,
                  decoder_start_token_id=V - 1, bad_words_ids=[[V - 1]], max_length=12, num_beams=4)
    config.update(changes)
    pad = config["pad_token_id"]
    m = redraw(hf.MarianMTModel(hf.MarianConfig(**config)))
    with torch.no_grad():
        m.final_logits_bias.normal_(0, 0.3)
        m.final_logits_bias[0, pad] = 0
        for table in {m.get_encoder().embed_tokens, m.get_decoder().embed_tokens}:
            table.weight[pad] = 0
    m.generation_config.renormalize_logits = True  # as OPUS-MT: no probability is lost to pad
    if FIVE:  # which passes over them among the network's
        m.generation_config.update(bad_words_ids=[[pad]], max_length=12, num_beams=4)
    return m


def m2m100():
    m = redraw(hf.M2M100ForConditionalGeneration(hf.M2M100Config(
        vocab_size=V, d_model=C, encoder_layers=L, decoder_layers=L, encoder_attention_heads=H,
        decoder_attention_heads=H, encoder_ffn_dim=FF, decoder_ffn_dim=FF, max_position_embeddings=P,
        scale_embedding=True, encoder_layerdrop=0.0, decoder_layerdrop=0.0, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, decoder_start_token_id=2, max_length=12)))
    if FIVE:
        m.generation_config.max_length = 12
    return m


MODELS |= {
    "marian": lambda: marian(),
    "marian-two-tables": lambda: marian(share_encoder_decoder_embeddings=False, decoder_vocab_size=36,
                                        pad_token_id=35, decoder_start_token_id=35, bad_words_ids=[[35]],
                                        activation_function="relu", tie_word_embeddings=False,
                                        encoder_layers=1),
    "m2m100": m2m100,
}

# --- language models ------------------------------------------------------------------------------------


def gpt2(cls, **changes):
    config = dict(vocab_size=V, n_embd=C, n_layer=L, n_head=H, n_positions=P, n_inner=FF, bos_token_id=V - 1,
                  eos_token_id=V - 1, pad_token_id=V - 1)
    config.update(changes)
    return redraw(getattr(hf, cls)(hf.GPT2Config(**config)))


def mpt(**changes):
    config = dict(vocab_size=V, d_model=C, n_layers=L, n_heads=H, max_seq_len=P, bos_token_id=V - 1,
                  eos_token_id=V - 1, pad_token_id=V - 1)
    config.update(changes)
    return redraw(hf.MptForCausalLM(hf.MptConfig(**config)))


def llama(**changes):
    """Fields that 4.40.2 does not know yet (head_dim, mlp_bias, llama3) are built in by hand."""
    config = dict(vocab_size=V, hidden_size=C, intermediate_size=FF, num_hidden_layers=L,
                  num_attention_heads=H, num_key_value_heads=2, max_position_embeddings=P, bos_token_id=V - 2,
                  eos_token_id=V - 1, pad_token_id=V - 1)
    if FIVE:
        rope = changes.pop("rope_scaling", {})
        if "llama3" in changes:
            rope = dict(rope_type="llama3", **changes.pop("llama3"))
        kind = rope.pop("type", rope.pop("rope_type", "default"))
        changes["rope_parameters"] = dict(rope_type=kind, rope_theta=changes.pop("rope_theta", 10000.0), **rope)
        return redraw(hf.LlamaForCausalLM(hf.LlamaConfig(**{**config, **changes})))
    later = {k: changes.pop(k) for k in ("head_dim", "mlp_bias", "llama3") if k in changes}
    config.update(changes)
    config = hf.LlamaConfig(**config)
    m = hf.LlamaForCausalLM(config)
    for layer in m.model.layers:
        a, width = layer.self_attn, config.hidden_size
        if "head_dim" in later:
            d = a.head_dim = config.head_dim = later["head_dim"]
            a.hidden_size = a.num_heads * d
            a.q_proj = torch.nn.Linear(width, a.num_heads * d, bias=False)
            a.k_proj = torch.nn.Linear(width, a.num_key_value_heads * d, bias=False)
            a.v_proj = torch.nn.Linear(width, a.num_key_value_heads * d, bias=False)
            a.o_proj = torch.nn.Linear(a.num_heads * d, width, bias=False)
            a.rotary_emb = type(a.rotary_emb)(d, config.max_position_embeddings, base=config.rope_theta)
        if "mlp_bias" in later:
            config.mlp_bias = True
            for part in ("gate_proj", "up_proj", "down_proj"):
                old = getattr(layer.mlp, part)
                setattr(layer.mlp, part, torch.nn.Linear(old.in_features, old.out_features))
        if "llama3" in later:
            a.rotary_emb.inv_freq = llama3(a.rotary_emb.inv_freq, **later["llama3"])
    if "llama3" in later:
        config.rope_scaling = dict(rope_type="llama3", **later["llama3"])
    return redraw(m)


def llama3(frequencies, factor, low_freq_factor, high_freq_factor, original_max_position_embeddings):
    """The published rule: long waves are stretched, short ones kept, those between mixed."""
    out = []
    for f in frequencies.double().tolist():
        turns = original_max_position_embeddings * f / (2 * torch.pi)
        kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor)
        kept = min(max(kept, 0.0), 1.0)
        out.append((1 - kept) * f / factor + kept * f)
    return torch.tensor(out, dtype=torch.float32)


MODELS |= {
    "gpt2": lambda: gpt2("GPT2LMHeadModel"),
    "gpt2-flags": lambda: gpt2("GPT2LMHeadModel", n_embd=18, n_head=3, n_inner=None,
                               activation_function="relu", scale_attn_by_inverse_layer_idx=True,
                               scale_attn_weights=False,
                               tie_word_embeddings=False),
    "gpt2-classes": lambda: gpt2("GPT2ForSequenceClassification", num_labels=3),
    "gpt-neo": lambda: redraw(hf.GPTNeoForCausalLM(hf.GPTNeoConfig(
        vocab_size=V, hidden_size=C, num_layers=L, num_heads=H, intermediate_size=FF,
        max_position_embeddings=P, attention_types=[[["global", "local"], 1]], window_size=3,
        bos_token_id=V - 1, eos_token_id=V - 1, pad_token_id=V - 1))),
    "mpt": lambda: mpt(),
    "mpt-three-heads": lambda: mpt(d_model=18, n_heads=3, logit_scale=0.5),
    "llama": lambda: llama(),
    "llama-one-key": lambda: llama(num_key_value_heads=1, tie_word_embeddings=True, rms_norm_eps=1e-3),
    "llama-all-keys": lambda: llama(num_key_value_heads=4, rope_theta=500.0, attention_bias=True,
                                    mlp_bias=True),
    "llama-head-dim": lambda: llama(head_dim=6, num_attention_heads=2, num_key_value_heads=1),
    "llama-linear": lambda: llama(rope_scaling={"type": "linear", "factor": 4.0}),
    "llama-llama3": lambda: llama(llama3=dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                              original_max_position_embeddings=8192),
                                  hidden_size=24, num_attention_heads=2, num_key_value_heads=1,
                                  rope_theta=500000.0),
}

# --- what they make of it -------------------------------------------------------------------------------


def cross_entropy(pairs):
    logits = torch.cat([a for a, _ in pairs])
    labels = torch.cat([b for _, b in pairs])
    if labels.is_floating_point():
        return F.binary_cross_entropy_with_logits(logits, labels)
    return F.cross_entropy(logits, labels, ignore_index=-1)


def draw_labels(m, ids, rows, classes):
    name = type(m).__name__
    if "CausalLM" in name or name == "GPT2LMHeadModel":
        return torch.cat([ids[0, 1:], torch.tensor([-1])])
    if getattr(m.config, "problem_type", None) == "multi_label_classification":
        return torch.randint(2, (rows, classes)).float()
    labels = torch.randint(classes, (rows,))
    if rows > 1:
        labels[1] = -1
    return labels


def run_plain(m, n, out, lm, sentences, sums):
    config = m.config
    ids = torch.randint(3, config.vocab_size - 2, (1, LENGTHS[n]))
    given = dict(input_ids=ids)
    out[f"{n}.ids"] = ids[0]
    if getattr(config, "type_vocab_size", 0) == 2:
        types = (torch.arange(LENGTHS[n]) >= 3).long()[None]
        given["token_type_ids"] = types
        out[f"{n}.types"] = types[0]
    result = m(**given, output_hidden_states=True)
    for i, state in enumerate(result.hidden_states):
        out[f"{n}.hidden.{i}"] = state[0]
    if result.get("pooler_output") is not None:
        out[f"{n}.pooled"] = result.pooler_output[0]
    logits = result.get("logits", result.get("prediction_logits"))
    if logits is None:
        weight = torch.randn(result.last_hidden_state[0].shape)
        out[f"{n}.weight"] = weight
        sums.append((result.last_hidden_state[0] * weight).sum() + result.pooler_output.sum())
        return
    rows = logits.reshape(-1, logits.shape[-1])
    out[f"{n}.logits"] = rows
    labels = draw_labels(m, ids, rows.shape[0], rows.shape[1])
    out[f"{n}.labels"] = labels
    lm.append((rows, labels))
    if "seq_relationship_logits" in result:
        out[f"{n}.sentence"] = result.seq_relationship_logits
        follows = torch.tensor([n % 2])
        out[f"{n}.sentence.labels"] = follows
        sentences.append((result.seq_relationship_logits, follows))
    if "CausalLM" in type(m).__name__ or "LMHead" in type(m).__name__:
        generate(m, n, ids[:, :3], out)


def run_translator(m, n, out, lm):
    config = m.config
    most = min(config.vocab_size, getattr(config, "decoder_vocab_size", V))
    ids = torch.randint(3, most - 2, (1, LENGTHS[n]))
    ids[0, -1] = config.eos_token_id
    target = torch.randint(3, most - 2, (1, LENGTHS[n] - 1))
    target[0, 0] = config.decoder_start_token_id
    result = m(input_ids=ids, decoder_input_ids=target, output_hidden_states=True)
    out |= {f"{n}.ids": ids[0], f"{n}.target": target[0], f"{n}.logits": result.logits[0]}
    for side in ("encoder", "decoder"):
        for i, state in enumerate(result[f"{side}_hidden_states"]):
            out[f"{n}.{side}.{i}"] = state[0]
    labels = torch.cat([target[0, 1:], torch.tensor([config.eos_token_id])])
    out[f"{n}.labels"] = labels
    rows = result.logits[0]
    if config.model_type == "marian":  # whose own program has no pad
        rows = rows.masked_fill(torch.arange(rows.shape[1]) == config.pad_token_id, -torch.inf)
    lm.append((rows, labels))
    generate(m, n, ids, out)


def generate(m, n, ids, out):
    with torch.no_grad():
        how = dict(max_length=12, do_sample=False, return_dict_in_generate=True, output_scores=True)
        mask = torch.ones_like(ids)
        out[f"{n}.greedy"] = m.generate(ids, attention_mask=mask, num_beams=1, **how).sequences[0]
        beam = m.generate(ids, attention_mask=mask, num_beams=4, length_penalty=1.0, early_stopping=False,
                          **how)
        out[f"{n}.beam"] = beam.sequences[0]
        out[f"{n}.beam.score"] = beam.sequences_scores[0]


def kept_gradients(m):
    """The first table, a matrix in the middle, and a vector of a late norm."""
    names = [k for k, p in m.named_parameters() if p.requires_grad and p.grad is not None]
    matrices = [k for k in names if m.get_parameter(k).dim() == 2]
    vectors = [k for k in names if m.get_parameter(k).dim() == 1]
    return dict.fromkeys([matrices[0], matrices[len(matrices) // 2], vectors[-1]])


def answers(m):
    torch.manual_seed(1)
    out, lm, sentences, sums = {}, [], [], []
    for n in range(len(LENGTHS)):
        if m.config.is_encoder_decoder:
            run_translator(m, n, out, lm)
        else:
            run_plain(m, n, out, lm, sentences, sums)
    if sums:
        out["loss"] = sum(sums)
    elif lm[0][0].shape[-1] == 1:
        out["loss"] = sum((logits - 1).square().sum() for logits, _ in lm)
    else:
        out["loss"] = cross_entropy(lm) + (cross_entropy(sentences) if sentences else 0)
    return out


def words(first, count):
    return " ".join(f"w{5 + (first + 7 * i) % (V - 5)}" for i in range(count))


# Short ones, one with an empty text, and each way to be too long: the first, the second, both, none of
# them by much.
PAIRS = [(words(1, 3), words(2, 4)), (words(3, 1), ""), (words(4, 30), words(5, 2)), (words(6, 3), words(7, 25)),
         (words(8, 12), words(9, 12)), (words(10, 9), words(11, 20)), (words(12, 9), words(13, 9)),
         ("W7w9 w8, unseen", "w6 .")]


def pair_answers(m, folder):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, V)]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("".join(p + "\n" for p in pieces))
    (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS))
    tokeniser = hf.BertTokenizerFast(str(folder / "vocab.txt"))
    out, losses = {}, []
    for n, (a, b) in enumerate(PAIRS):
        given = tokeniser([a], [b], truncation=True, max_length=P, return_tensors="pt")
        logits = m(**given).logits
        out |= {f"{n}.ids": given["input_ids"][0], f"{n}.types": given["token_type_ids"][0],
                f"{n}.logits": logits}
        losses.append((logits - 1).square().sum())
    out["loss"] = sum(losses)
    return out


def says_something(out):
    """Most random models say one word again and again, which proves little."""
    return "0.greedy" not in out or (len(set(out["0.greedy"].tolist())) > 4 and
                                     out["0.greedy"].tolist() != out["0.beam"].tolist())


def write(name, folder):
    global SEED
    for SEED in range(2000):
        m = MODELS[name]()
        shutil.rmtree(folder, ignore_errors=True)
        out = pair_answers(m, folder) if name == "bert-pairs" else answers(m)
        if says_something(out):
            break
    else:
        raise SystemExit(f"{name}: no seed says more than one word")
    m.save_pretrained(folder, safe_serialization=True)
    out["loss"].backward()
    for k in kept_gradients(m):
        out[f"grad.{k}"] = m.get_parameter(k).grad
    out = {k: v.detach().to(torch.float32).contiguous().clone() for k, v in out.items()}
    save_file(out, folder / "golden.safetensors")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: seed {SEED}, {size} bytes, loss {out['loss'].item():.6f}", flush=True)


WAYS = ("gpt2", "llama", "marian", "m2m100")
# Of transformers 5: no position_embedding_type; rope_parameters; what attn_config repeats; targets' tables of
# decoder_vocab_size rows.
OTHERWISE = ("bert-masked", "llama-llama3", "llama-linear", "mpt", "marian-two-tables")


def ways(folder):
    """The model as it lies in the folder, asked in many ways."""
    config = hf.AutoConfig.from_pretrained(folder)
    cls = getattr(hf, config.architectures[0])
    m = cls.from_pretrained(folder).eval()
    m.generation_config._from_model_config = False  # or it is made anew of the model's configuration
    translates = config.is_encoder_decoder
    golden = load_file(folder / "golden.safetensors")
    ids = golden["0.ids"].long()[None]
    ids = ids if translates else ids[:, :3]
    begun = 1 if translates else ids.shape[1]
    how = dict(attention_mask=torch.ones_like(ids), max_length=12, do_sample=False, return_dict_in_generate=True, output_scores=True)
    wide = dict(num_beams=4, length_penalty=1.0, early_stopping=False)
    out = {}

    def keep(name, **changes):
        with torch.no_grad():
            found = m.generate(ids, **{**how, **wide, **changes})
        out[name] = found.sequences[0]
        if found.get("sequences_scores") is not None:
            out[name + ".score"] = found.sequences_scores[0]
        return found

    found = keep("best", num_return_sequences=4)
    for r in range(4):
        out[f"best.{r}"], out[f"best.{r}.score"] = found.sequences[r], found.sequences_scores[r]
    best = out.pop("best")
    del out["best.score"]
    if not m.generation_config.renormalize_logits:  # which would spread what is banned over the rest
        keep("ngram.greedy", no_repeat_ngram_size=2, num_beams=1)
        keep("ngram.beam", no_repeat_ngram_size=2)
    if not translates:
        keep("penalty.greedy", repetition_penalty=1.5, num_beams=1)
    elif not m.generation_config.renormalize_logits:
        pairs = [best[i:i + 2].tolist() for i in (begun, begun + 1)]
        out["bad.words"] = torch.tensor(pairs)
        keep("bad", bad_words_ids=pairs)
        out["suppressed.ids"] = best[begun:begun + 2]
        keep("suppressed", suppress_tokens=best[begun:begun + 2].tolist())
    if translates:
        out["forced.id"] = torch.tensor([5])
        keep("forced", forced_bos_token_id=5)
        prefix = torch.tensor([[config.decoder_start_token_id, 7, 9]])
        out["behind.prefix"] = prefix[0, 1:]
        keep("behind", decoder_input_ids=prefix)
    save_file({k: v.to(torch.float32).contiguous().clone() for k, v in out.items()}, folder / "ways.safetensors")
    print(f"{folder.name}: {len(out)} answers", flush=True)


def blocks():
    """Parts of models that are not here as a whole: weights as they lie there, [out in]."""
    from transformers.models.gpt_neox import modeling_gpt_neox as neox
    from transformers.models.gptj import modeling_gptj as gptj
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from transformers.models.t5.modeling_t5 import T5DenseGatedActDense
    torch.manual_seed(0)
    out = {"x": torch.randn(5, C, requires_grad=True), "dy": torch.randn(5, C)}

    def run(name, module):
        redraw(module)
        y = module(out["x"])
        out[name] = y
        inputs = [out["x"], *module.parameters()]
        out[name + ".dx"], *grads = torch.autograd.grad((y * out["dy"]).sum(), inputs)
        for (k, p), g in zip(module.named_parameters(), grads):
            out.update({f"{name}.{k}": p, f"{name}.grad.{k}": g})

    run("rms", LlamaRMSNorm(C, eps=1e-2))
    for name in ("gelu_new", "silu", "relu"):
        config = hf.T5Config(d_model=C, d_ff=FF, feed_forward_proj="gated-" + name, dropout_rate=0.0)
        config.dense_act_fn = name
        run("gated." + name, T5DenseGatedActDense(config))
    places = torch.tensor([0, 1, 2, 7, 100, 4000])
    q = out["heads"] = torch.randn(6, 3, 8)  # [T H D]
    out["places"] = places
    batch = q.permute(1, 0, 2)[None]  # [1 H T D]
    table = neox.GPTNeoXRotaryEmbedding(4, 5000, base=10000)  # rotary_pct 0.5 of D 8
    cos, sin = table(batch, seq_len=5000)
    turned, _ = neox.apply_rotary_pos_emb(batch[..., :4], batch[..., :4], cos, sin, places[None])
    out["rotary.neox"] = torch.cat([turned, batch[..., 4:]], -1)[0].permute(1, 0, 2)
    angles = gptj.create_sinusoidal_positions(5000, 8)[places]  # sines, then cosines
    sin, cos = angles[None].split(4, -1)
    out["rotary.gptj"] = gptj.apply_rotary_pos_emb(q[None], sin, cos)[0]
    return out


def write_blocks(folder):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().to(torch.float32).contiguous().clone() for k, v in blocks().items()},
              folder / "golden.safetensors")


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--ways", action="store_true", help="of the models that are there, ways.safetensors alone")
    parser.add_argument("directory", nargs="?", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    committed = options.directory is None
    directory = here / "tests/golden/hf" if committed else options.directory
    some = OTHERWISE if FIVE and committed else MODELS
    if options.only in "blocks" and not options.ways and not FIVE:
        write_blocks(directory / "blocks")
    for name in some:
        if options.only in name and not options.ways:
            write(name, directory / (name + "-v5" if FIVE and committed else name))
    for name in () if FIVE and committed else WAYS:
        if options.only in name:
            ways(directory / name)
    if FIVE and not committed:  # tests ask for these names, too
        for name in OTHERWISE:
            if options.only in name:
                shutil.copytree(directory / name, directory / (name + "-v5"), dirs_exist_ok=True)


if __name__ == "__main__":
    main()
