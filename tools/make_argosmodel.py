#!/usr/bin/env python3
"""Packs a translator of CTranslate2 as a package of Argos Translate.

  make_argosmodel.py MODEL_DIRECTORY FROM TO OUT.argosmodel [--pieces sentencepiece.model]

FROM and TO are the codes of the languages ("ar", "en"). Without --pieces every token of the source's
vocabulary is a letter of its own, as those of a transliterator are; that wants `pip install sentencepiece`.
Neither building nor testing needs this script.
"""
import argparse
import json
import pathlib
import tempfile
import zipfile


def tokens_of(directory):
    for name in ("source_vocabulary", "shared_vocabulary"):
        if (path := directory / f"{name}.json").exists():
            return json.loads(path.read_text("utf-8"))
        if (path := directory / f"{name}.txt").exists():
            return path.read_text("utf-8").splitlines()
    raise SystemExit(f"{directory}: has no source_vocabulary or shared_vocabulary, .txt or .json")


def letters_model(tokens):
    """A model that cuts text into these letters, with no space before it."""
    import sentencepiece
    letters = [t for t in tokens if not t.startswith("<")]
    if long := [t for t in letters if len(t) != 1]:
        raise SystemExit(f"tokens of several letters, such as {long[0]!r}: give their model, --pieces")
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(folder) / "pieces"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(letters), model_prefix=str(prefix), model_type="char",
            vocab_size=len(letters) + 3, hard_vocab_limit=False, character_coverage=1.0,
            add_dummy_prefix=False, normalization_rule_name="identity", minloglevel=2)
        return prefix.with_suffix(".model").read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--pieces", type=pathlib.Path)
    a = parser.parse_args()
    pieces = a.pieces.read_bytes() if a.pieces else letters_model(tokens_of(a.model))
    metadata = {"package_version": "1.0", "argos_version": "1.0", "type": "translate",
                "from_code": a.source, "from_name": a.source, "to_code": a.target, "to_name": a.target}
    top = f"translate-{a.source}_{a.target}-1_0"
    with zipfile.ZipFile(a.out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(f"{top}/metadata.json", json.dumps(metadata, indent=2))
        package.writestr(f"{top}/sentencepiece.model", pieces)
        for path in sorted(a.model.iterdir()):
            if path.is_file():
                package.write(path, f"{top}/model/{path.name}")
    print(f"{a.out}: {a.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
