"""Encoding by gigatoken, one thread, in the way of src/bin/encode.rs.

    python -m venv v && v/bin/pip install gigatoken==0.10.0
    taskset -c 1 v/bin/python encode_gigatoken.py cl100k_base.tiktoken zh.txt en.txt

A vocabulary whose name ends with .json is a tokenizer.json. The number of ids and their sum are those that the other benchmark prints, when ids are equal.
"""

import statistics
import sys
import time

import gigatoken

RUNS = 5


def documents(text):
    """Lines of a text in documents of about 64 KB."""
    text, found, start = text.encode(), [], 0
    while start < len(text):
        end = text.find(b"\n", start + (64 << 10)) + 1 or len(text)
        found.append(text[start:end])
        start = end
    return found


def load(vocabulary):
    if vocabulary.endswith(".json"):
        return gigatoken.Tokenizer(vocabulary)
    return gigatoken.Tokenizer.from_tiktoken(vocabulary)


def main():
    vocabulary, texts = sys.argv[1], sys.argv[2:]
    for path in texts:
        parts = documents(open(path, newline="", encoding="utf-8").read())
        size = sum(map(len, parts))
        tokenizer = load(vocabulary)
        ids = [tokenizer.encode(part) for part in parts]
        print(f"{path}: {sum(map(len, ids))} ids, sum {sum(int(i.sum(dtype='uint64')) for i in ids)}")
        rates = [[], []]
        for _ in range(RUNS):
            tokenizer = load(vocabulary)
            for rate in rates:
                start = time.perf_counter()
                for part in parts:
                    tokenizer.encode(part)
                rate.append(size / 1e6 / (time.perf_counter() - start))
        cells = [f"{statistics.median(r):.1f} ({min(r):.1f}..{max(r):.1f})" for r in rates]
        print(f"| gigatoken 0.10.0, {path} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
