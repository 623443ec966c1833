#!/usr/bin/env python3
"""Strings of spoken digits from single recordings, the same on every machine.

    tools/spoken_digits.py ../shared/data/spoken-digits DIGITS

writes, for `train` (numbers 5-49 of each speaker and digit, 2,000 strings) and `test` (numbers 0-4, 200
strings):
    DIGITS/train/0000.wav ...   8 kHz, 16-bit, mono
    DIGITS/train.text.tsv       digits TAB path, for qkv train sound --task text
    DIGITS/train.frames.tsv     path TAB start:end:digit ... in seconds, for --task frame

One generator a set, x <- 1664525 x + 1013904223 mod 2^32 from its seed (train 1, test 2); draw(m) =
floor(m (x >> 8) / 2^24) after each step. A string: n = 3 + draw(5), a speaker, a gap, then n times a digit,
a number, its recording, a gap; a gap is 400 + draw(2000) samples of noise .002 ((x >> 8) / 2^24 - 1/2).
`--check` compares digits, rows and the first strings with what is known of them.
"""
import argparse
import array
import pathlib
import sys
import wave

RATE, HOP = 8000, 80
SETS = {"train": (1, 5, 50, 2000), "test": (2, 0, 5, 200)}
KNOWN = {
    "train": (10033, 623881, ["8065", "431", "708", "0336", "714008"], [293, 141, 213, 350, 423]),
    "test": (1003, 61932, ["0076", "8215", "82918"], [255, 212, 347]),
}


class Generator:
    def __init__(self, seed):
        self.x = seed

    def step(self):
        self.x = (1664525 * self.x + 1013904223) % 2**32
        return self.x >> 8

    def draw(self, m):
        return m * self.step() >> 24


def recordings(folder):
    """{(speaker, digit, number): samples}"""
    found = {}
    for path in sorted((folder / "recordings").glob("*.wav")):
        digit, speaker, number = path.stem.split("_")
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
                sys.exit(f"{path}: not 8 kHz, mono, 16 bits")
            samples = array.array("h", file.readframes(file.getnframes()))
        if sys.byteorder == "big":
            samples.byteswap()
        found[speaker, int(digit), int(number)] = samples
    if not found:
        sys.exit(f"{folder}: no recordings/*.wav")
    return found


def gap(random):
    """Noise, rounded to 16 bits."""
    count = 400 + random.draw(2000)
    return array.array("h", (round(0.002 * (random.step() / 2**24 - 0.5) * 32768) for _ in range(count)))


def strings(found, seed, low, high, count):
    """(digits, samples, [(begin, end) of each digit's recording])"""
    speakers = sorted({speaker for speaker, _, _ in found})
    random = Generator(seed)
    for _ in range(count):
        n = 3 + random.draw(5)
        speaker = speakers[random.draw(len(speakers))]
        samples = gap(random)
        digits, places = "", []
        for _ in range(n):
            digit = random.draw(10)
            number = low + random.draw(high - low)
            recording = found[speaker, digit, number]
            places.append((len(samples), len(samples) + len(recording)))
            samples += recording
            samples += gap(random)
            digits += str(digit)
        yield digits, samples, places


def write_wave(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        data = array.array("h", samples)
        if sys.byteorder == "big":
            data.byteswap()
        file.writeframes(data.tobytes())


def write_set(found, name, folder, check):
    seed, low, high, count = SETS[name]
    (folder / name).mkdir(parents=True, exist_ok=True)
    first, lengths, digits_in_all, rows = [], [], 0, 0
    with open(folder / f"{name}.text.tsv", "w") as text, open(folder / f"{name}.frames.tsv", "w") as frames:
        for i, (digits, samples, places) in enumerate(strings(found, seed, low, high, count)):
            path = f"{name}/{i:04d}.wav"
            write_wave(folder / path, samples)
            text.write(f"{digits}\t{path}\n")
            parts = [f"{b / RATE:.6f}:{e / RATE:.6f}:{d}" for d, (b, e) in zip(digits, places)]
            frames.write("\t".join([path, *parts]) + "\n")
            digits_in_all += len(digits)
            rows += len(samples) // HOP
            first.append(digits)
            lengths.append(len(samples) // HOP)
    print(f"{name}: {count} strings, {digits_in_all} digits, {rows} rows; first {' '.join(first[:5])}")
    if check:
        known = KNOWN[name]
        n = len(known[2])
        if (digits_in_all, rows, first[:n], lengths[:n]) != known:
            sys.exit(f"{name}: expected {known}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=pathlib.Path, help="the folder with recordings/*.wav")
    parser.add_argument("output", type=pathlib.Path, help="the folder to write")
    parser.add_argument("--check", action="store_true", help="stop where a set is not the known one")
    arguments = parser.parse_args()
    found = recordings(arguments.recordings)
    for name in SETS:
        write_set(found, name, arguments.output, arguments.check)


if __name__ == "__main__":
    main()
