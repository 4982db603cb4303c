#!/usr/bin/env python3
"""Texts and tokenizers for train.py: what a probe on a GPU is asked.

    python make.py OUT CIYUAN --zh zh.jsonl zh.txt --en en.jsonl [--megabytes 40]

Documents of the .jsonl files are held out by a hash of their text; a .txt file, whose documents are not known, is cut at
blank lines into pieces of 4 KB and more. Texts for training that share more than 5 % of their runs of 16 characters with
held-out text are left out. Four fifths of the bytes are Chinese. OUT gets train.jsonl, zh.val.jsonl, en.val.jsonl, and
NAME.SIZE.json for each tokenizer of ARMS, learned by CIYUAN (the command) from train.jsonl alone.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess

HELD_OUT = {"zh": 700_000, "en": 400_000}
SHARE = {"zh": 0.8, "en": 0.2}
SHINGLE, COPIED = 16, 0.05
PIECE = 4096

# Name: flags of `ciyuan learn`. The first five are the question; the others are ideas to beat them.
ARMS = {
    "cl100k": "--pattern cl100k --han runs",
    "runs": "--han runs",
    "learn-words": "--han learn-words",
    "words": "--han words",
    "chars": "--han chars",
    "character-boundaries": "--han learn-words --character-boundaries",
    "o200k-words": "--pattern o200k --han learn-words",
    "one-digit": "--pattern qwen2 --han learn-words",
}
# As learn-words, but with this share of the weight for Chinese, by the size of the vocabulary, so that English has as many
# bytes a token as it has with runs. A document is Chinese if a twentieth of its characters are Han.
PARITY = {32768: 0.92}
HAN = 0.05
# A tenth of the tokens are superwords.
SUPERWORDS = "--han learn-words --superwords"
# Merges inside words first, and from this share of the vocabulary on over the edges of words too.
LATE_EDGES = {"late-edges-75": 0.75, "late-edges-50": 0.5}
SMALL, LARGE = 8192, 32768
ARMS_OF_LARGE = ["cl100k", "runs", "learn-words", "late-edges-75", "parity"]


def documents(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if path.endswith(".jsonl"):
        return [json.loads(line)["text"] for line in text.splitlines() if line]
    pieces, piece, size = [], [], 0
    for part in text.split("\n\n"):
        piece.append(part)
        size += len(part.encode()) + 2
        if size >= PIECE:
            pieces.append("\n\n".join(piece))
            piece, size = [], 0
    return pieces + (["\n\n".join(piece)] if piece else [])


def rank(text):
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def shingles(text):
    return {hash(text[at : at + SHINGLE]) for at in range(len(text) - SHINGLE + 1)}


def write(path, texts):
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def texts(out, inputs, total):
    held, rest = {}, {}
    for language, paths in inputs.items():
        known = sorted((t for p in paths if p.endswith(".jsonl") for t in documents(p)), key=rank)
        size, count = 0, 0
        while size < HELD_OUT[language]:
            size += len(known[count].encode())
            count += 1
        held[language] = known[:count]
        rest[language] = known[count:] + [t for p in paths if not p.endswith(".jsonl") for t in documents(p)]
    asked = set().union(*(shingles(text) for texts in held.values() for text in texts))
    train = []
    for language, candidates in rest.items():
        size, copies = 0, 0
        for text in sorted(candidates, key=rank):
            if size >= total * SHARE[language]:
                break
            own = shingles(text)
            if len(own & asked) > COPIED * len(own):
                copies += 1
                continue
            train.append(text)
            size += len(text.encode())
        sizes = [sum(len(t.encode()) for t in texts) for texts in (held[language],)]
        print(f"{language}: {size} bytes to train on, {copies} copies left out; held out {sizes[0]} in {len(held[language])} documents")
    write(out / "train.jsonl", sorted(train, key=rank))
    for language, texts in held.items():
        write(out / f"{language}.val.jsonl", texts)


def by_language(out):
    """The texts for training, in a file for Chinese and one for English."""
    paths = [out / "train.zh.jsonl", out / "train.en.jsonl"]
    with open(out / "train.jsonl", encoding="utf-8") as lines, open(paths[0], "w") as zh, open(paths[1], "w") as en:
        for line in lines:
            text = json.loads(line)["text"]
            han = sum("\u4e00" <= c <= "\u9fff" for c in text)
            (zh if han > HAN * len(text) else en).write(line)
    return [str(path) for path in paths]


def learn(ciyuan, out, name, size):
    def run(flags, target, size, inputs=(str(out / "train.jsonl"),)):
        command = [ciyuan, "learn", *inputs, "--vocab-size", str(size), "-o", str(target), *flags.split()]
        subprocess.run(command, check=True, capture_output=True)

    target = out / f"{name}.{size}.json"
    if target.exists():
        return
    if name in LATE_EDGES:
        first = out / f"part.{size}"
        run("--han learn-words", first, int(size * LATE_EDGES[name]))
        run(f"--han runs --extend {first}", target, size)
        first.unlink()
    elif name == "parity":
        zh, en = by_language(out)
        run(f"--han learn-words --weight {zh}={PARITY[size]} --weight {en}={1 - PARITY[size]}", target, size, (zh, en))
    elif name == "superwords":
        run(f"{SUPERWORDS} {size // 10}", target, size)
    else:
        run(ARMS[name], target, size)
    print(target.name, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("ciyuan")
    parser.add_argument("--zh", nargs="+", required=True)
    parser.add_argument("--en", nargs="+", required=True)
    parser.add_argument("--megabytes", type=float, default=40)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if not (args.out / "train.jsonl").exists():
        texts(args.out, {"zh": args.zh, "en": args.en}, args.megabytes * 1e6)
    for name in [*ARMS, *LATE_EDGES, "superwords"]:
        learn(args.ciyuan, args.out, name, SMALL)
    for name in ARMS_OF_LARGE:
        learn(args.ciyuan, args.out, name, LARGE)


if __name__ == "__main__":
    main()
