#!/usr/bin/env python3
"""Writes tests/golden/ct2/m2m100: a tiny random M2M100 as CTranslate2's converter leaves it, and its translations.

  golden_ct2.py [DIRECTORY]

Neither building nor testing needs this script; its output is committed. It wants transformers 4.40.2 or later, torch,
sentencepiece and ctranslate2 4.8.5. The directory is what `ct2-transformers-converter --model M2M100 --output_dir DIR
--copy_files sentencepiece.bpe.model` writes of a model with a hundred languages. golden.json has, from English to
French and German, for each line the tokens that M2M100Tokenizer makes of it and the four hypotheses of four beams with
their scores, at most eight tokens long.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import ctranslate2
import sentencepiece
import torch
import transformers as hf
from ctranslate2.converters.transformers import TransformersConverter
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

from export_models import lines_of

TO = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/golden/ct2/m2m100")
MADE_UP = 8  # rows of the vocabulary without a token
SEED = 44  # one with which CTranslate2 forbids no end right behind the language (docs/results.md)


class Converter(TransformersConverter):
    def load_model(self, cls, path, **how):  # older transformers say torch_dtype
        if "dtype" in how and hf.__version__ < "4.56":
            how["torch_dtype"] = getattr(torch, str(how.pop("dtype")).split(".")[-1])
        return super().load_model(cls, path, **how)


def make(folder):
    """The model and its tokeniser, whose languages stand behind the pieces, as folder/model."""
    (folder / "text").write_text("\n".join(lines_of(60, 2)) + "\n")
    spm = folder / "little.model"  # without rules, which would take most of the space
    sentencepiece.SentencePieceTrainer.train(input=str(folder / "text"), model_prefix=str(spm.with_suffix("")),
                                             vocab_size=30, hard_vocab_limit=False, minloglevel=3,
                                             normalization_rule_name="identity")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    names = ["<s>", "<pad>", "</s>", "<unk>"] + [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    codes = FAIRSEQ_LANGUAGE_CODES["m2m100"]
    tokeniser = hf.M2M100Tokenizer(vocab_file=str(folder / "vocab.json"), spm_file=str(spm), src_lang="en",
                                   additional_special_tokens=[f"__{code}__" for code in codes])
    model = hf.M2M100ForConditionalGeneration(hf.M2M100Config(
        vocab_size=len(names) + len(codes) + MADE_UP, d_model=8, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=12, decoder_ffn_dim=12,
        max_position_embeddings=40))
    torch.manual_seed(SEED)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.2 if "shared" in name else 1.0)
        model.model.shared.weight[len(names):] *= 0.3  # else languages are all it says
        model.model.shared.weight[2] *= 2.0            # and no end
    model.save_pretrained(folder / "model")
    tokeniser.save_pretrained(folder / "model")
    return tokeniser


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        tokeniser = make(folder)
        shutil.rmtree(TO, ignore_errors=True)
        TO.parent.mkdir(exist_ok=True)
        Converter(str(folder / "model"), copy_files=["sentencepiece.bpe.model"]).convert(str(TO))
    translator = ctranslate2.Translator(str(TO), intra_threads=1)
    found = []
    for line in lines_of(6, 3):
        tokens = tokeniser.convert_ids_to_tokens(tokeniser(line).input_ids)
        for language in ("fr", "de"):
            prefix = tokeniser.lang_code_to_token[language]
            best = translator.translate_batch([tokens], target_prefix=[[prefix]], beam_size=4, num_hypotheses=4,
                                              return_scores=True, max_decoding_length=8)[0]
            found.append({"line": line, "tokens": tokens, "language": language, "scores": best.scores,
                          "hypotheses": [h[1:] for h in best.hypotheses]})
    (TO / "golden.json").write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
