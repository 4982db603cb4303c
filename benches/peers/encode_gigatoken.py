"""Encoding by gigatoken, one thread, in the way of src/bin/encode.rs.

    python -m venv v && v/bin/pip install gigatoken==0.10.0
    taskset -c 1 v/bin/python encode_gigatoken.py cl100k_base.tiktoken zh.txt en.txt

The number of ids and their sum are those that the other benchmark prints, when ids are equal.
"""

import statistics
import sys
import time

import gigatoken

RUNS = 5


def documents(text):
    """Lines of a text in documents of about 64 KB."""
    found, size, lines = [], 0, []
    for line in text.encode().splitlines(keepends=True):
        lines.append(line)
        size += len(line)
        if size >= 1 << 16:
            found.append(b"".join(lines))
            size, lines = 0, []
    if lines:
        found.append(b"".join(lines))
    return found


def main():
    vocabulary, texts = sys.argv[1], sys.argv[2:]
    for path in texts:
        parts = documents(open(path, newline="", encoding="utf-8").read())
        size = sum(map(len, parts))
        tokenizer = gigatoken.Tokenizer.from_tiktoken(vocabulary)
        ids = [tokenizer.encode(part) for part in parts]
        print(f"{path}: {sum(map(len, ids))} ids, sum {sum(int(i.sum(dtype='uint64')) for i in ids)}")
        rates = [[], []]
        for _ in range(RUNS):
            tokenizer = gigatoken.Tokenizer.from_tiktoken(vocabulary)
            for rate in rates:
                start = time.perf_counter()
                for part in parts:
                    tokenizer.encode(part)
                rate.append(size / 1e6 / (time.perf_counter() - start))
        cells = [f"{statistics.median(r):.1f} ({min(r):.1f}..{max(r):.1f})" for r in rates]
        print(f"| gigatoken 0.10.0, {path} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
