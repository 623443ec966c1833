#!/usr/bin/env python3
"""Makes tests/text/tokenisers: tiny tokenisers of every kind and what Hugging Face's libraries make of some lines.

Needs pip install tokenizers==0.19.1 transformers==4.40.2 sentencepiece protobuf (no model is downloaded).
NAME.json is a tokenizer.json, NAME/ a directory of a model without one; NAME.golden.jsonl holds a line for
each text: text (or a pair), ids, pieces, offsets in code points, types, special, and what decoding gives.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders as D, models as M, normalizers as N
from tokenizers import pre_tokenizers as P, processors as R, trainers as T
import transformers
from transformers.convert_slow_tokenizer import SentencePieceExtractor, import_protobuf

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/text/tokenisers"
TEXT = """The cat sat on the mat, and the dog didn't see it.
A small cafe in Paris sells 12 croissants for 3.50 each!
Der Hund läuft schnell über die Straße; das Café schließt um 18:30 Uhr.
the the the cat cat dog dog they're we'll it's
def f(x): return x + 1
王先生，你好！今天天气不错。""".splitlines()
LINES = ["", " ", "The cat didn't sit.", "  two  spaces ", "HÉLLO wörld, Cafe\u0301!", "王先生 says 你好！", "tab\tand\nline\r\n\n  end  ",
         "a[MASK]b [MASK]", "the <mask> cat<mask>", "<s>the</s>", "👨‍👩‍👧 🇩🇪 e\u0323\u0302", "x\x00y\ufffdz\u200b", "12345 3.50 ½ Ⅳ",
         "they're WE'LL 'ſ", "\u3000ＡＢＣ ｶﾞ ﬁ", "x" * 110, "▁a ▁▁ Ġ <0x41>", "addedtok xaddedtok New York", "don't . Is it ? I 'm", "한글 각 ไทย שָׁלוֹם"]
PAIRS = [["The cat", "sat on the mat."], ["", "dog"], ["the <mask>", " the"]]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")


def add(t):
    t.add_tokens([AddedToken("addedtok", single_word=True), AddedToken("New York", lstrip=True, rstrip=True)])


def golden(name, encode, decode, pairs=True):
    with open(OUT / f"{name}.golden.jsonl", "w", encoding="utf-8") as out:
        for text in LINES + (PAIRS if pairs else []):
            row = {"text": text, **encode(text)}
            row["decoded"] = decode(row["ids"])
            out.write(json.dumps(row) + "\n")


def of_fast(name, t):
    def encode(text):
        e = t.encode(*text) if isinstance(text, list) else t.encode(text)
        return {"ids": e.ids, "pieces": e.tokens, "offsets": e.offsets, "types": e.type_ids, "special": e.special_tokens_mask}
    golden(name, encode, t.decode)


def save(name, t):
    add(t)
    t.save(str(OUT / f"{name}.json"), pretty=False)
    of_fast(name, t)


def trained(model, trainer, special, size=260, **parts):
    t = Tokenizer(model)
    for name, part in parts.items():
        setattr(t, name, part)
    t.train_from_iterator(TEXT, trainer(vocab_size=size, special_tokens=special, show_progress=False))
    return t


def around(t, cls, sep, pair_type=1):
    i, j = t.token_to_id(cls), t.token_to_id(sep)
    return R.TemplateProcessing(single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B:{pair_type} {sep}:{pair_type}",
                                special_tokens=[(cls, i), (sep, j)])


def sentencepiece_model(directory, name, **options):
    text = directory / "text"
    text.write_text("\n".join(TEXT), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(directory / name), minloglevel=3,
                                             hard_vocab_limit=False, **options)
    text.unlink()
    (directory / f"{name}.vocab").unlink()
    return directory / f"{name}.model"


def json_files(work):
    for name, lower in (("bert", True), ("bert-cased", False)):
        t = trained(M.WordPiece(unk_token="[UNK]"), T.WordPieceTrainer, SPECIAL, 220,
                    normalizer=N.BertNormalizer(lowercase=lower), pre_tokenizer=P.BertPreTokenizer(), decoder=D.WordPiece())
        t.post_processor = around(t, "[CLS]", "[SEP]") if lower else R.BertProcessing(
            ("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))
        save(name, t)
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)]
    byte_level = lambda **k: T.BpeTrainer(initial_alphabet=P.ByteLevel.alphabet(), **k)
    t = trained(M.BPE(), byte_level, special, 330, pre_tokenizer=P.ByteLevel(add_prefix_space=True), decoder=D.ByteLevel())
    t.post_processor = R.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    save("roberta", t)
    t = trained(M.BPE(), byte_level, ["<|endoftext|>"], 330, normalizer=N.NFC(), decoder=D.ByteLevel(), pre_tokenizer=P.Sequence(
        [P.Split(Regex(LLAMA3), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]))
    t.post_processor = R.Sequence([R.ByteLevel(), R.TemplateProcessing(
        single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|>:1 $B:1", special_tokens=[("<|endoftext|>", 0)])])
    save("llama3", t)
    t = trained(M.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), lambda **k: T.BpeTrainer(end_of_word_suffix="</w>", **k),
                ["<unk>"], 150, normalizer=N.Sequence([N.NFKC(), N.Lowercase()]), pre_tokenizer=P.Whitespace(), decoder=D.BPEDecoder())
    save("bpe-suffix", t)
    t = trained(M.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=True),
                lambda **k: T.BpeTrainer(continuing_subword_prefix="##", **k), ["<unk>"], 150, normalizer=N.NFD(),
                pre_tokenizer=P.Sequence([P.WhitespaceSplit(), P.Punctuation("isolated"), P.Digits(True)]))
    save("bpe-prefix", t)
    t = trained(M.WordLevel(unk_token="[UNK]"), T.WordLevelTrainer, ["[UNK]", "[MASK]"], 60,
                normalizer=N.Sequence([N.NFKD(), N.StripAccents(), N.Strip()]),
                pre_tokenizer=P.Sequence([P.Split(Regex(r"\s+"), "removed"), P.Punctuation("contiguous")]))
    save("words", t)
    rules = work / "rules.tsv"
    rules.write_text("41\t61\nFF21\t61\nFB01\t66 69\n9\t20\n65 301\tE9\n200B\t\n", encoding="utf-8")
    model = sentencepiece_model(work, "unigram", vocab_size=150, model_type="unigram", normalization_rule_tsv=str(rules))
    proto = import_protobuf().ModelProto()
    proto.ParseFromString(model.read_bytes())
    pieces = [(p.piece, p.score) for p in proto.pieces]
    t = Tokenizer(M.Unigram([("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces[3:] + [("<mask>", 0.0)], 3, False))
    t.normalizer = N.Sequence([N.Precompiled(proto.normalizer_spec.precompiled_charsmap), N.Strip(left=False),
                               N.Replace(Regex(" {2,}"), "▁")])
    t.pre_tokenizer, t.decoder = P.Metaspace(prepend_scheme="first"), D.Metaspace(prepend_scheme="first")
    t.add_special_tokens(special)
    t.post_processor = around(t, "<s>", "</s>", 0)
    save("unigram", t)
    llama = sentencepiece_model(work, "llama", vocab_size=400, model_type="bpe", byte_fallback=True,
                                normalization_rule_name="identity", remove_extra_whitespaces=False)
    proto.ParseFromString(llama.read_bytes())
    pieces = [(p.piece, p.score) for p in proto.pieces]
    merges = SentencePieceExtractor(str(llama)).extract(pieces)[1]
    t = Tokenizer(M.BPE({p: i for i, (p, _) in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    t.add_special_tokens(["<unk>", "<s>", AddedToken("</s>", normalized=True)])
    save("bpe-bytes", t)


def directories(work):
    def fast(name, tokeniser):
        of_fast(name, tokeniser.backend_tokenizer)

    d = OUT / "bert-files"
    d.mkdir()
    vocab = json.loads((OUT / "bert-cased.json").read_text())["model"]["vocab"]
    (d / "vocab.txt").write_text("".join(p + "\n" for p in sorted(vocab, key=vocab.get)), encoding="utf-8")
    (d / "tokenizer_config.json").write_text('{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}\n')
    fast("bert-files", transformers.BertTokenizerFast.from_pretrained(d))
    for name, source, cls in (("gpt2-files", "llama3", transformers.GPT2TokenizerFast),
                              ("roberta-files", "roberta", transformers.RobertaTokenizerFast)):
        d = OUT / name
        d.mkdir()
        model = json.loads((OUT / f"{source}.json").read_text())["model"]
        (d / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
        (d / "merges.txt").write_text("#version: 0.2\n" + "".join(m + "\n" for m in model["merges"]), encoding="utf-8")
        kind = cls.__name__.removesuffix("Fast")
        (d / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}) + "\n")
        fast(name, cls.from_pretrained(d))
    d = OUT / "xlmr-files"
    d.mkdir()
    shutil.copy(work / "unigram.model", d / "sentencepiece.bpe.model")
    (d / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}\n')
    fast("xlmr-files", transformers.XLMRobertaTokenizerFast.from_pretrained(d))
    d = OUT / "llama-files"
    d.mkdir()
    shutil.copy(work / "llama.model", d / "tokenizer.model")
    (d / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer", "add_eos_token": true}\n')
    fast("llama-files", transformers.LlamaTokenizerFast.from_pretrained(d))
    d = OUT / "marian-files"
    d.mkdir()
    shutil.copy(work / "unigram.model", d / "source.spm")
    shutil.copy(work / "unigram.model", d / "target.spm")
    sp = sentencepiece.SentencePieceProcessor(model_file=str(d / "source.spm"))
    pieces = ["</s>", "<unk>"] + [sp.id_to_piece(i) for i in range(3, sp.get_piece_size())] + [">>fra<<", "<pad>"]
    (d / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}), encoding="utf-8")
    (d / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer", "source_lang": "de", "target_lang": "fr"}\n')
    t = transformers.MarianTokenizer.from_pretrained(d)
    LINES.extend([">>fra<< The cat", ">>fra<<The dog", "see >>x<< it", ">>xyz<< dog", "the</s> cat<unk> <pad>"])
    golden("marian-files", lambda text: {"ids": t.encode(text)},
           lambda ids: t.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False), pairs=False)


def main():
    os.environ["HF_HUB_OFFLINE"] = "1"
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        json_files(pathlib.Path(folder))
        directories(pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
