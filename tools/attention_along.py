#!/usr/bin/env python3
"""How far a decoder's attention runs along the sound: the diagonal of sound -> text, as numbers.

    tools/attention_along.py QKV MODEL DIGITS/test.frames.tsv [--most 50]

For each sound whose text is found as it is in the list, `QKV look` gives the cross-attention of the last
layer (mean of the heads, the end left out). Printed:
    monotone     share of steps whose mean time lies behind that of the step before
    correlation  of a symbol's number with its mean time, the mean over sounds of two symbols or more
    inside       the mean weight on the stretch of the symbol that is spelled; by chance: its share of time
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile


def stretches(path):
    for line in path.read_text().splitlines():
        name, *parts = line.split("\t")
        fields = [part.split(":", 2) for part in parts]
        yield path.parent / name, [(float(b), float(e), label) for b, e, label in fields]


def cross(arguments, sound):
    """(texts of the rows, weights [steps][rows], seconds of each row)"""
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "maps.json"
        subprocess.run([arguments.qkv, "look", str(sound), "--model", str(arguments.model), "--output", str(target),
                        "--threads", "1"], check=True, stderr=subprocess.DEVNULL)
        maps = json.loads(target.read_text())
    found = [m for m in maps["maps"] if m["kind"] == "cross"]
    if not found:
        sys.exit(f"{arguments.model}: has no decoder that attends")
    last = [m["weights"] for m in found if m["layer"] == max(m["layer"] for m in found)]
    weights = [[sum(column) / len(last) for column in zip(*rows)] for rows in zip(*last)]
    return maps["target"][:-1], weights[:-1], [float(s) for s in maps["source"]]


def correlation(xs, ys):
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    xy = sum((x - mx) * (y - my) for x, y in zip(xs, ys))
    xx, yy = sum((x - mx) ** 2 for x in xs), sum((y - my) ** 2 for y in ys)
    return xy / (xx * yy) ** 0.5 if xx * yy > 0 else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qkv", help="the program")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("frames", type=pathlib.Path, help="a list of stretches, one symbol each")
    parser.add_argument("--most", type=int, default=10**9, help="so many sounds at most")
    arguments = parser.parse_args()
    looked = right = steps = forward = 0
    inside, chance, correlations = [], [], []
    for sound, spans in stretches(arguments.frames):
        if looked == arguments.most:
            break
        looked += 1
        texts, weights, seconds = cross(arguments, sound)
        if texts != [label for _, _, label in spans]:
            continue
        right += 1
        hop = seconds[1] - seconds[0]
        means = [sum(w * (s + hop / 2) for w, s in zip(row, seconds)) / sum(row) for row in weights]
        steps += len(means) - 1
        forward += sum(b > a for a, b in zip(means, means[1:]))
        if len(means) > 1:
            correlations.append(correlation(range(len(means)), means))
        for row, (begin, end, _) in zip(weights, spans):
            inside.append(sum(w for w, s in zip(row, seconds) if begin <= s + hop / 2 < end) / sum(row))
            chance.append((end - begin) / (seconds[-1] + hop))
    if not steps:
        sys.exit("no text was right")
    print(f"{right} of {looked} texts right; monotone {100 * forward / steps:.1f} % of {steps} steps, correlation "
          f"{sum(correlations) / len(correlations):.3f}, inside {100 * sum(inside) / len(inside):.1f} % "
          f"(by chance {100 * sum(chance) / len(chance):.1f} %)")


if __name__ == "__main__":
    main()
