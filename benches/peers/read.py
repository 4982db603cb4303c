"""The files of `cargo bench --bench read -- FOLDER TEXT...`, read by others in the same way: one thread, documents counted.

    python -m venv v && v/bin/pip install datatrove==0.10.1 gigatoken==0.10.0 pyarrow orjson zstandard
    v/bin/python read.py FOLDER zh en

Rows: Python's json, orjson, pyarrow, the readers of datatrove, and gigatoken's file sources. These give texts to its
encoder alone, so that its rows are what `encode_files` takes with a tokenizer of 256 bytes, on as many threads as
RAYON_NUM_THREADS says. Megabytes are those of the decompressed file, for Parquet those of the text; medians of five runs by
turns. The benchmark itself runs this between its own rows, each reader `--once`.
"""

import json
import logging
import os
import statistics
import sys
import tempfile
import time

RUNS = 5


def timed(read):
    def run(path):
        start = time.perf_counter()
        read(path)
        return time.perf_counter() - start

    return run


def with_module(module):
    def read(path):
        with open(path, "rb") as lines:
            return sum(len(module.loads(line)["text"]) for line in lines)

    return timed(read)


def lines_of_text(path):
    with open(path, encoding="utf-8", newline="\n") as lines:
        return sum(len(line) for line in lines)


def lines_of_gb18030(path):
    with open(path, encoding="gb18030", newline="\n") as lines:
        return sum(len(line) for line in lines)


def with_datatrove(reader_of):
    def read(path):
        folder, name = path.rsplit("/", 1)
        return sum(len(document.text) for document in reader_of(folder, glob_pattern=name).run())

    return timed(read)


def with_pyarrow():
    import pyarrow.parquet

    def read(path):
        file = pyarrow.parquet.ParquetFile(path)
        batches = file.iter_batches(batch_size=1000, columns=["text"], use_threads=False)
        return sum(len(text) for batch in batches for text in batch.column(0).to_pylist())

    return timed(read)


def with_gigatoken():
    import gigatoken

    alphabet = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in alphabet}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + len(letters) - len(alphabet)))
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "vocab": {letters[byte]: byte for byte in range(256)}, "merges": []}
    spec = {"version": "1.0", "added_tokens": [], "pre_tokenizer": level, "decoder": level, "model": model}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        with open(path, "w") as file:
            json.dump(spec, file)
        tokenizer = gigatoken.Tokenizer(path)

    sources = {"jsonl": gigatoken.JsonlFileSource, "parquet": gigatoken.ParquetFileSource}
    return timed(lambda path: tokenizer.encode_files(sources[path.rsplit(".", 1)[1]]([path])))


def readers():
    found = {
        "Python's json": (with_module(json), "jsonl"),
        "Python, lines": (timed(lines_of_text), "txt"),
        "Python, lines of GB18030": (timed(lines_of_gb18030), "gb18030.txt"),
    }
    try:
        import orjson

        found["orjson"] = (with_module(orjson), "jsonl")
    except ImportError:
        pass
    try:
        from datatrove.pipeline.readers import JsonlReader, ParquetReader

        found["datatrove jsonl"] = (with_datatrove(JsonlReader), "jsonl")
        found["datatrove jsonl.gz"] = (with_datatrove(JsonlReader), "jsonl.gz")
        found["datatrove jsonl.zst"] = (with_datatrove(JsonlReader), "jsonl.zst")
        found["datatrove parquet"] = (with_datatrove(ParquetReader), "parquet")
        found["pyarrow parquet"] = (with_pyarrow(), "parquet")
    except ImportError as error:
        print(f"no datatrove: {error}")
    try:
        found["gigatoken jsonl, and encoded"] = (with_gigatoken(), "jsonl")
        found["gigatoken parquet, and encoded"] = (with_gigatoken(), "parquet")
    except ImportError:
        pass
    return found


def run_once(folder, name):
    """A row for each reader: its name, megabytes, seconds."""
    size = os.path.getsize(f"{folder}/{name}.jsonl")
    with open(f"{folder}/{name}.jsonl", "rb") as lines:
        text = sum(len(json.loads(line)["text"].encode()) for line in lines)
    sizes = {"parquet": text, "txt": os.path.getsize(f"{folder}/{name}.txt")}
    sizes["gb18030.txt"] = sizes["txt"]
    for label, (read, end) in readers().items():
        try:
            yield label, sizes.get(end, size) / 1e6, read(f"{folder}/{name}.{end}")
        except Exception as error:  # a reader that lacks a package
            print(f"{label}: {error}", file=sys.stderr)


def main():
    logging.disable(logging.CRITICAL)
    try:
        from loguru import logger

        logger.remove()
    except ImportError:
        pass
    if sys.argv[1] == "--once":
        for label, megabytes, seconds in run_once(*sys.argv[2:]):
            print(f"{label}\t{megabytes}\t{seconds}")
        return
    folder, names = sys.argv[1], sys.argv[2:]
    for name in names:
        rates = {}
        for _ in range(RUNS):
            for label, megabytes, seconds in run_once(folder, name):
                rates.setdefault(label, []).append(megabytes / seconds)
        print(f"\n{name}\n\n| | MB/s |\n|---|---|")
        for label, found in rates.items():
            print(f"| {label} | {statistics.median(found):.0f} |")


if __name__ == "__main__":
    main()
