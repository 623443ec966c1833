#!/usr/bin/env python3
"""Hugging Face's tokenizers beside `qkv tokenise`: the same tokens of the same lines, and lines a second.

  python bench/peers/tokenisers.py compare --qkv build/release/qkv --data DIR
  python bench/peers/tokenisers.py speed --qkv build/release/qkv --data DIR --text FILE

Needs pip install tokenizers. DIR holds bert-base-uncased/vocab.txt, gpt2/{vocab.json,merges.txt} and
sentencepiece/{test_model.model,botchan.txt}. Of the vocabularies there tokenisers of the kinds that published
models have are put together; those that nobody ships alone are trained on the text.

compare  10,000 lines of every kind (and as many pairs as make a tenth of them): ids, pieces, offsets, types, which
         are special, and what decoding gives with and without special tokens. Exit code 1 where one differs.
speed    each round once: the library call (`qkv bench tokenise` beside encode_batch, or encode_batch_fast where
         there is one), and the whole program from the start, standard input to standard output (`qkv tokenise`
         beside the same in Python). Medians of the rounds.
"""
import argparse
import gzip
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
FIXED = [
    "", " ", "  ", "\t", "\n", "a", " Hello  world ", "trailing   ", "tab\tand\nnewline\r\n end", "\r\n\r\n x", "a\u00a0b",
    "don't they're WE'LL I'M he'D 'S 'ſ x'ſ 'Re 'LL'", "HÉLLO Ünïcödé", "İstanbul ıI İ", "ﬁne ﬂow ﬃ Ⅷ ① ½ ㎏ ﷺ", "\u3000全角　空格\u3000",
    "王先生，你好！今天天气不错。", "日本語のテキスト、カタカナ。ｶﾅ", "한국어 텍스트 한글 각", "ไทยภาษาเขียนไม่เว้นวรรค", "العربية مع تَشْكِيل",
    "עברית שָׁלוֹם", "हिन्दी में पाठ क्षि", "தமிழ் நி", "🙂 😀👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷", "a\u0301e\u0300\u0323o\u0323\u0302 \u1ec7",
    "q\u0307\u0323 \u0323\u0307", "x\x00y\x00", "\ufffd a\ufffdb", "\u200bzero\u200cwidth\u200djoin\ufeff", "\x01\x02\x7f\x85 c",
    "a\u2028b\u2029c", "x" * 100, "x" * 101, "z" * 300, "é" * 101, "<s>hi</s>", "a[MASK]b [MASK]", "a  <mask>  b", "[mask] [Mask]",
    "word<|endoftext|>word", " <|endoftext|> x", "<0x41><0x0A>", "▁under▁score", " ▁ ", "▁▁", "Ġ Ċ ĠĠa", "1234567 12 3.14 1,000 ½ ² Ⅳ ٣٤٥",
    "http://example.com/a?b=c&d=e#f", "“quotes” ‘single’ … – —", "!!!??...,,,", "$100 €5", "__init__ snake_case", "\n\n\nthree",
    "end \n \n ", "  \n  x", " \t\n\r\u000b\u000c ", "ß ẞ ς Σ ΌΣΟΣ", "ǅ ǆ Ǆ", "\U00010400\U0001d400 𝔘𝔫𝔦 𐐷",
    "\U0002b820\U0002b900\U0002b920\U0002a6df\U0002a700", "\ue000\U000f0000", "\u0378\u0379", "ᄀ깍 가각", "ﾊﾟﾊﾞ が か\u3099",
    "New York newyork added addedtok xaddedtokx", "addedtok addedtok.", "\u1e9b\u0323 \u212b \u2126", "e\u0301" * 30, "\u0301abc",
    "\u1100\u1161\u11a8\u11a8", "\u0e33\u0e01\u0e33", "\u200f\u202eRTL\u202c", "soft\xadhyphen", "A\u030a Å", "ⓐⒷ ⑴"]
BLOCKS = [(0x20, 0x7e), (0xa0, 0x24f), (0x300, 0x36f), (0x370, 0x5ff), (0x600, 0x6ff), (0x900, 0x97f), (0xe00, 0xe7f), (0x1100, 0x11ff),
          (0x1e00, 0x1fff), (0x2000, 0x206f), (0x2070, 0x24ff), (0x2500, 0x27bf), (0x3000, 0x30ff), (0x3130, 0x318f), (0x3200, 0x33ff),
          (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xfe00, 0xffef), (0x10000, 0x10fff), (0x1d400, 0x1d7ff),
          (0x1f000, 0x1faff), (0x20000, 0x2a6df), (0x2f800, 0x2fa1f), (0, 0x10ffff)]
WORDS = ["the", "of", "Hello", "[MASK]", "<mask>", "</s>", "<s>", "don't", "addedtok", "New York", "123", "é", "中", "한", "🙂", "▁a", " ",
         "  ", "\t", "\n", "  <mask>", "a\u0301", "'s", "'LL", "\u200d", "<|endoftext|>", "\x00", "\ufffd"]


def read_text(path):
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f]


def texts(data, count):
    """Lines of every kind: fixed ones, published ones, and ones put together at random."""
    draw = random.Random(7)
    lines = list(FIXED)
    lines += [x.split("\t")[0] for x in read_text(data / "bert-base-uncased/squad-dev-questions.tsv.gz")[:count // 5]]
    lines += read_text(data / "sentencepiece/botchan.txt")[:count // 5]
    lines.append(json.loads((data / "gpt2/encoded_sample.json").read_text())["text"])
    while len(lines) < count:
        text, mode = "", draw.random()
        for _ in range(draw.randint(1, 25)):
            if mode < 0.3 or draw.random() < 0.3:
                text += draw.choice(WORDS) + (" " if draw.random() < 0.5 else "")
                continue
            point = draw.randint(*draw.choice(BLOCKS))
            text += "A" if 0xd800 <= point <= 0xdfff else chr(point)
            text += " " if draw.random() < 0.2 else ""
        lines.append(text)
    pairs = [[lines[i], lines[(7 * i + 3) % count]] for i in range(0, count, 10)]
    return lines[:count] + pairs


def fields_of(message):
    """(number, value) of a protocol buffer: bytes, or the four bytes of a float."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        size = varint() if kind in (0, 2) else 8 if kind == 1 else 4
        if kind == 0:
            yield key >> 3, size
            continue
        yield key >> 3, message[at:at + size]
        at += size


def read_sentencepiece(path):
    """Pieces with their scores, and the table of characters."""
    pieces, table = [], b""
    for number, value in fields_of(path.read_bytes()):
        if number == 1:
            piece = dict(fields_of(value))
            pieces.append((piece[1].decode(), struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0]))
        elif number == 3:
            table = dict(fields_of(value)).get(2, b"")
    return pieces, table


def tokenisers(data):
    """name, tokeniser: of the kinds that people have."""
    import tokenizers
    from tokenizers import AddedToken, Regex, Tokenizer
    from tokenizers import decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as R, trainers as T
    training = read_text(data / "sentencepiece/botchan.txt")
    training += [x.split("\t")[0] for x in read_text(data / "bert-base-uncased/squad-dev-questions.tsv.gz")]

    def with_added(t, special):
        t.add_special_tokens(special)
        t.add_tokens([AddedToken("addedtok", single_word=True), AddedToken("New York"), AddedToken("newyork", lstrip=True, rstrip=True)])
        return t

    def around(cls, sep, a, b, pair_type=1):
        return R.TemplateProcessing(single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B:{pair_type} {sep}:{pair_type}",
                                    special_tokens=[(cls, a), (sep, b)])

    words = {w: i for i, w in enumerate(read_text(data / "bert-base-uncased/vocab.txt"))}
    for name, lower in (("WordPiece, bert-base-uncased", True), ("WordPiece, cased", False)):
        t = Tokenizer(M.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=100))
        t.normalizer, t.pre_tokenizer, t.decoder = N.BertNormalizer(lowercase=lower), P.BertPreTokenizer(), D.WordPiece()
        t.post_processor = around("[CLS]", "[SEP]", 101, 102)
        yield name, with_added(t, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])

    def byte_level(**settings):
        t = Tokenizer(M.BPE.from_file(str(data / "gpt2/vocab.json"), str(data / "gpt2/merges.txt"), **settings))
        t.decoder = D.ByteLevel()
        return t

    t = byte_level()
    t.pre_tokenizer, t.post_processor = P.ByteLevel(add_prefix_space=False), R.ByteLevel(trim_offsets=False)
    yield "byte-level BPE, GPT-2", with_added(t, ["<|endoftext|>"])
    newer = tuple(map(int, tokenizers.__version__.split(".")[:2])) >= (0, 20)  # before, such words had no offsets
    t = byte_level(**({"ignore_merges": True} if newer else {}))
    t.pre_tokenizer = P.Sequence([P.Split(Regex(LLAMA3), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.post_processor = R.Sequence([R.ByteLevel(), R.TemplateProcessing(
        single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|>:1 $B:1", special_tokens=[("<|endoftext|>", 50256)])])
    yield "byte-level BPE, Llama 3", with_added(t, ["<|endoftext|>"])
    t = byte_level()
    t.pre_tokenizer = P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)])
    yield "byte-level BPE, SmolLM2", with_added(t, ["<|endoftext|>"])

    small, table = read_sentencepiece(data / "sentencepiece/test_model.model")
    trained = Tokenizer(M.Unigram())
    trained.normalizer, trained.pre_tokenizer = N.Precompiled(table), P.Metaspace()
    trained.train_from_iterator(training, T.UnigramTrainer(vocab_size=8000, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False))
    large = [tuple(x) for x in json.loads(trained.to_str())["model"]["vocab"]]
    hexes = [(f"<0x{b:02X}>", -20.0) for b in range(256)]
    for name, pieces, bytes_too in (("Unigram, 1,000 pieces", small[3:], False), ("Unigram, 8,000 pieces, XLM-R", large[1:], False),
                                    ("Unigram, byte fallback", large[1:] + hexes, True)):
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        t = Tokenizer(M.Unigram([(s, 0.0) for s in special] + pieces + [("<mask>", 0.0)], 3, bytes_too))
        t.normalizer = N.Sequence([N.Precompiled(table), N.Strip(left=False), N.Replace(Regex(" {2,}"), "▁")])
        t.pre_tokenizer, t.decoder = P.Metaspace(), D.Metaspace()
        t.post_processor = around("<s>", "</s>", 0, 2, 0)
        yield name, with_added(t, special + [AddedToken("<mask>", lstrip=True)])

    trained = Tokenizer(M.BPE())
    trained.normalizer, trained.pre_tokenizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), P.Metaspace(prepend_scheme="never")
    trained.train_from_iterator(training, T.BpeTrainer(vocab_size=8000, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>"] + [h for h, _ in hexes] + sorted(model["vocab"], key=model["vocab"].get)
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    t = Tokenizer(M.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = trained.normalizer
    t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    t.post_processor = R.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    yield "BPE, byte fallback, Llama 2", with_added(t, ["<unk>", "<s>", "</s>"])


def asked(qkv, directory, lines, *flags):
    run = subprocess.run([qkv, "tokenise", "--model", str(directory), "--json", *flags], input="".join(x + "\n" for x in lines),
                         stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return [json.loads(x) for x in run.stdout.split("\n")[:-1]]


def in_code_points(spans, which, text):
    """Offsets of bytes as offsets of characters; `which`: the text of a pair that each is of."""
    tables = []
    for part in text:
        table, at = {}, 0
        for i, c in enumerate(part):
            table[at] = i
            at += len(c.encode())
        table[at] = len(part)
        tables.append(table)
    return [(tables[w][a], tables[w][b]) if w >= 0 else (0, 0) for (a, b), w in zip(spans, which)]


def saved(o, folder):
    """Those that are asked for, one after the other in the same directory."""
    directory = folder / "model"
    directory.mkdir(exist_ok=True)
    for name, t in tokenisers(o.data):
        if o.only in name:
            t.save(str(directory / "tokenizer.json"))
            yield name, t, directory


def compare(o, folder):
    lines = texts(o.data, o.lines)
    quoted = [json.dumps(x) for x in lines]
    wrong = 0
    for name, t, directory in saved(o, folder):
        theirs = [t.encode(x) if isinstance(x, str) else t.encode(*x) for x in lines]
        ours = asked(o.qkv, directory, quoted, "--quoted")
        numbers = [" ".join(map(str, e.ids)) for e in theirs]
        decoded = [asked(o.qkv, directory, numbers, "--decode", *flags) for flags in ((), ("--bare",))]
        differ = {}
        for i, (line, e, mine) in enumerate(zip(lines, theirs, ours, strict=True)):
            parts = [line] if isinstance(line, str) else line
            which = [-1 if s is None else s for s in e.sequence_ids]
            spans = in_code_points(mine["offsets"], which, parts) if len(which) == len(mine["offsets"]) else None
            found = {"ids": mine["ids"] == e.ids, "pieces": mine["pieces"] == e.tokens, "offsets": spans == e.offsets,
                     "types": mine["types"] == e.type_ids, "special": mine["special"] == e.special_tokens_mask,
                     "decoded": decoded[0][i]["text"] == t.decode(e.ids),
                     "decoded whole": decoded[1][i]["text"] == t.decode(e.ids, skip_special_tokens=False)}
            for what, same in found.items():
                if not same:
                    differ.setdefault(what, []).append(line)
        wrong += len(differ)
        print(f"{name}: {len(lines)} texts, {sum(len(e.ids) for e in theirs)} tokens: " +
              ("the same" if not differ else ", ".join(f"{len(x)} differ in {w}, first {ascii(x[0])[:80]}" for w, x in differ.items())), flush=True)
    return 1 if wrong else 0


PROGRAM = """
import sys
from tokenizers import Tokenizer
t = Tokenizer.from_file(sys.argv[1])
encode = getattr(t, "encode_batch_fast", t.encode_batch)
lines = sys.stdin.read().split("\\n")[:-1]
for at in range(0, len(lines), 8192):
    sys.stdout.write("".join(" ".join(map(str, e.ids)) + "\\n" for e in encode(lines[at:at + 8192])))
"""


def seconds_of(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def speed(o, folder):
    os.environ["RAYON_NUM_THREADS"] = str(o.threads)  # before the library starts its threads
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    import tokenizers
    lines = [x for x in read_text(o.text) if x]
    lines = (lines * (o.lines // len(lines) + 1))[:o.lines]
    text = folder / "text"
    text.write_text("".join(x + "\n" for x in lines), encoding="utf-8")
    print(f"tokenizers {tokenizers.__version__}, {len(lines)} lines of {o.text}, {o.threads} threads, medians of {o.rounds} rounds")
    print("| tokeniser | call: theirs | ours | ratio | program: theirs | ours | ratio |\n|---|---|---|---|---|---|---|")
    for name, t, directory in saved(o, folder):
        encode = getattr(t, "encode_batch_fast", t.encode_batch)
        encode(lines)  # warms up
        rates, programs = ([], []), ([], [])
        for _ in range(o.rounds):
            rates[0].append(len(lines) / seconds_of(lambda: encode(lines))[0])
            out = subprocess.run([o.qkv, "bench", "tokenise", "--json", "--runs", "1", "--threads", str(o.threads), "--model", str(directory),
                                  str(text)], stdout=subprocess.PIPE, check=True)
            rates[1].append(json.loads(out.stdout)["lines_a_second"])
            answers = []
            for i, command in enumerate(([sys.executable, "-c", PROGRAM, str(directory / "tokenizer.json")],
                                         [o.qkv, "tokenise", "--threads", str(o.threads), "--model", str(directory)])):
                with open(text, "rb") as source:
                    taken, run = seconds_of(lambda: subprocess.run(command, stdin=source, stdout=subprocess.PIPE, check=True))
                programs[i].append(len(lines) / taken)
                answers.append(run.stdout)
            if answers[0] != answers[1]:
                sys.exit(f"{name}: not the same tokens")
        cells = []
        for theirs, ours in (rates, programs):
            a, b = statistics.median(theirs), statistics.median(ours)
            cells += [f"{a:,.0f}", f"{b:,.0f}", f"{b / a:.1f}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["compare", "speed"])
    parser.add_argument("--qkv", default="build/release/qkv")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, help="for speed: a file, perhaps gzipped")
    parser.add_argument("--lines", type=int, help="default: 10,000 to compare, 50,000 for speed")
    parser.add_argument("--only", default="", help="tokenisers with this in their names")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    o = parser.parse_args()
    if o.what == "speed" and o.text is None:
        parser.error("speed needs --text")
    o.lines = o.lines or (10000 if o.what == "compare" else 50000)
    with tempfile.TemporaryDirectory() as folder:
        return (compare if o.what == "compare" else speed)(o, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
