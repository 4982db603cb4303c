"""The files of `cargo bench --bench read -- FOLDER TEXT...`, read by others in the same way: one thread, documents counted.

    python -m venv v && v/bin/pip install datatrove==0.10.1 pyarrow orjson zstandard
    v/bin/python read.py FOLDER zh en

Rows: Python's json, orjson (where it is there), and the readers of datatrove for JSON Lines and Parquet. Megabytes are
those of the decompressed file, for Parquet those of the text; medians of five runs by turns.
"""

import json
import logging
import statistics
import sys
import time

RUNS = 5


def with_module(module):
    def read(path):
        with open(path, "rb") as lines:
            return sum(len(module.loads(line)["text"]) for line in lines)

    return read


def with_datatrove(reader_of):
    def read(path):
        folder, name = path.rsplit("/", 1)
        return sum(len(document.text) for document in reader_of(folder, glob_pattern=name).run())

    return read


def readers():
    found = {"json": (with_module(json), "jsonl")}
    try:
        import orjson

        found["orjson"] = (with_module(orjson), "jsonl")
    except ImportError:
        pass
    try:
        from datatrove.pipeline.readers import JsonlReader, ParquetReader

        found["datatrove jsonl"] = (with_datatrove(JsonlReader), "jsonl")
        found["datatrove jsonl.zst"] = (with_datatrove(JsonlReader), "jsonl.zst")
        found["datatrove parquet"] = (with_datatrove(ParquetReader), "parquet")
    except ImportError as error:
        print(f"no datatrove: {error}")
    return found


def main():
    logging.disable(logging.CRITICAL)
    try:
        from loguru import logger

        logger.remove()
    except ImportError:
        pass
    folder, names = sys.argv[1], sys.argv[2:]
    for name in names:
        lines = open(f"{folder}/{name}.jsonl", "rb").read()
        text = sum(len(json.loads(line)["text"].encode()) for line in lines.splitlines())
        times = {}
        for _ in range(RUNS):
            for label, (read, end) in readers().items():
                start = time.perf_counter()
                try:
                    read(f"{folder}/{name}.{end}")
                except Exception as error:  # a reader that lacks a package
                    print(f"{label}: {error}")
                    continue
                times.setdefault((label, end), []).append(time.perf_counter() - start)
        print(f"\n{name}\n\n| | MB/s |\n|---|---|")
        for (label, end), seconds in times.items():
            size = text if end == "parquet" else len(lines)
            print(f"| {label} | {size / 1e6 / statistics.median(seconds):.0f} |")


if __name__ == "__main__":
    main()
