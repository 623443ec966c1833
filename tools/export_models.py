"""The models that check_export.py exports: some that qkv trains on made-up text, and the golden ones with the tokenisers
that they lack; and the texts to ask them with. Wants sentencepiece for the golden translators."""
import json
import pathlib
import random
import shutil
import subprocess

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/hf"
LINES = ["the red boat waits .", "A dog runs to the mill, a boat!", "green boat", "dog's mill - 3.14 %",
         "the old mill burns", "h\u00e9llo w\u00f6rld \u738b\u5148\u751f \U0001f600", "a" * 90, "", "  two  spaces "]
WORDS = "the a red green old dog boat mill runs waits burns to in . ,".split()


def lines_of(count, seed):
    draw = random.Random(seed)
    return [" ".join(draw.choice(WORDS) for _ in range(draw.randint(3, 9))) for _ in range(count)]


def odd_lines(count, seed):
    """Letters of many scripts, digits, signs, runs of blanks."""
    draw = random.Random(seed)
    signs = "aaabcdefghijklmnoprstuwxyz" * 2 + "ABCXYZ0123456789      .,!?'-()%&\u00e9\u00df\u0142\u03b1\u0436\u05d0\u0639\u0915\u0e01\u4e2d\u6587\uac00\U0001f600"
    return ["".join(draw.choice(signs) for _ in range(draw.randint(1, 60))).strip() for _ in range(count)]


TEXTS = LINES + lines_of(140, 8) + odd_lines(151, 9)


class Tool:
    def __init__(self, program):
        self.program = program

    def __call__(self, *words, text=""):
        ran = subprocess.run([self.program, *map(str, words)], input=text, capture_output=True, text=True)
        if ran.returncode != 0:
            raise RuntimeError(f"qkv {' '.join(map(str, words))}: {ran.stderr.strip()[-300:]}")
        return ran.stdout

    def json(self, *words, text=""):
        return [json.loads(line) for line in self(*words, "--json", text=text).splitlines()]


def make_own(qkv, folder, only):
    """{name: directory} of models that qkv trains, a few steps each; BERT's two begin with it."""
    a, b = folder / "text.a", folder / "text.b"
    sources = lines_of(120, 1)
    a.write_text("\n".join(sources) + "\n")
    b.write_text("\n".join(" ".join(reversed(s.upper().split())) for s in sources) + "\n")
    few = ["--threads", 1, "--warm-up", 5, "--rate", 0.01]
    made = {}

    def train(name, *words):
        made[name] = folder / name
        if only not in name and name != "bert":
            return
        qkv("train", *words, "--model", made[name], *few)

    pairs = ["translate", "--train", a, b, "--valid", a, b, "--width", 32, "--heads", 4, "--layers", 2,
             "--feed-forward", 48, "--steps", 12]
    train("translator-bpe", *pairs, "--vocabulary", 60, "--preset", "small")
    train("translator-blocks", *pairs, "--vocabulary", 60, "--preset", "tiny")
    train("translator-learned", *pairs, "--vocabulary", 60, "--preset", "small", "--tokeniser", "unigram",
          "--positions", "learned")
    train("translator-two", *pairs, "--vocabulary", 60, "--preset", "small", "--separate")
    text = ["lm", "--train", a, "--width", 32, "--layers", 2, "--heads", 4, "--context", 64, "--steps", 12]
    train("language-alibi", *text, "--preset", "words", "--tokeniser", "bpe", "--vocabulary", 60)
    train("language-characters", *text)
    train("language-unigram", *text, "--tokeniser", "unigram", "--vocabulary", 60)
    train("language-space", *text, "--tokeniser", "space")
    masks = ["mlm", "--train", a, "--width", 32, "--layers", 2, "--heads", 4, "--length", 24, "--vocabulary", 60,
             "--steps", 12, "--by-line"]
    train("bert", *masks)
    table, tags = folder / "table.tsv", folder / "tags"
    table.write_text("".join(f"{'yes' if 'red' in s else 'no'}\t{s}\n" for s in sources))
    tags.write_text("\n".join("".join(f"{w} {'A' if w in ('red', 'green') else 'N'}\n" for w in s.split())
                              for s in sources))
    start = ["--init", made["bert"], "--steps", 12]
    train("classifier", "classify", "--train", table, *start, "--pooling", "token")
    train("tagger", "tag", "--train", tags, *start, "--crf", "false")
    return made


def words_json(specials, count):
    vocab = {t: i for i, t in enumerate(specials)}
    vocab |= {f"w{i}": i for i in range(len(specials), count)}
    added = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i, t in enumerate(specials)]
    around = None
    if specials:
        cls, sep = specials[0], specials[2]
        one = lambda t: {"SpecialToken": {"id": t, "type_id": 0}}
        text = lambda t: {"Sequence": {"id": t, "type_id": 0}}
        around = {"type": "TemplateProcessing", "single": [one(cls), text("A"), one(sep)],
                  "pair": [one(cls), text("A"), one(sep), text("B"), one(sep)],
                  "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in (cls, sep)}}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": around, "decoder": None,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": specials[3] if specials else "w0"}}


def spm_model(folder):
    import sentencepiece
    text, model = folder / "spm.txt", folder / "little"
    text.write_text("\n".join(lines_of(60, 2)) + "\n")
    if not model.with_suffix(".model").exists():
        sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(model), vocab_size=30,
                                                 hard_vocab_limit=False, minloglevel=3)
    return model.with_suffix(".model")


def give_tokeniser(name, folder, to):
    """What golden directories lack."""
    config = json.loads((to / "config.json").read_text())
    kind, count = config["model_type"], config["vocab_size"]
    if kind in ("bert", "distilbert"):
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, count)]
        (to / "vocab.txt").write_text("\n".join(pieces) + "\n")
    elif kind in ("roberta", "xlm-roberta", "albert"):
        names = ["[CLS]", "<pad>", "[SEP]", "<unk>", "[MASK]"] if kind == "albert" else \
            ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        (to / "tokenizer.json").write_text(json.dumps(words_json(names, count)))
    elif kind in ("marian", "m2m_100"):
        import sentencepiece
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(spm_model(folder)))
        own = [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]
        for file, size in (("vocab.json", count), ("target_vocab.json", config.get("decoder_vocab_size", count))):
            if file.startswith("target") and size == count:
                continue
            pad, end = config["pad_token_id"], config["eos_token_id"]
            free = [i for i in range(size) if i not in (pad, end)]
            names = (["<unk>"] if kind == "marian" else ["<s>", "<unk>"]) + own + [f"other{i}" for i in range(size)]
            ids = {"</s>": end, "<pad>": pad} | dict(zip(names, free))
            (to / file).write_text(json.dumps(ids))
        for file in (["source.spm", "target.spm"] if kind == "marian" else ["sentencepiece.bpe.model"]):
            shutil.copy(spm_model(folder), to / file)
    else:
        names = {role: f"w{config[role + '_id']}" for role in ("bos_token", "eos_token")} | {"unk_token": "w0"}
        (to / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
        words = words_json([], count)
        words["added_tokens"] = [dict(id=int(t[1:]), content=t, single_word=False, lstrip=False, rstrip=False,
                                      normalized=False, special=True) for t in sorted(set(names.values()))]
        (to / "tokenizer.json").write_text(json.dumps(words))


def make_golden(folder):
    made = {}
    for model in sorted(GOLDEN.iterdir()):
        if not (model / "config.json").exists():
            continue
        to = folder / ("golden-" + model.name)
        shutil.copytree(model, to, ignore=shutil.ignore_patterns("golden.safetensors", "ways.safetensors", "*.txt", "*.tsv"))
        give_tokeniser(model.name, folder, to)
        made[to.name] = to
    return made
