"""JSON lines to token shards, the whole command, beside other programs on the same tokenizer, cores and text.

    python -m venv v && v/bin/pip install gigatoken==0.10.0 megatron-core==0.16.1 torch datatrove==0.10.1 tokenizers orjson
    v/bin/python shards.py CIYUAN zh.jsonl en.jsonl          # beside the others
    v/bin/python shards.py CIYUAN --sizes 10,100,1000 zh.jsonl  # ciyuan alone, by the megabytes of input: text, repeated

The tokenizer is learned here from the texts: 32,000 tokens with the pattern of GPT-2, which all read from one
tokenizer.json. Each program is a process of its own, which reads the file, encodes, ends each document with the
end-of-text token, and writes what a trainer opens:

- ciyuan encode, to its own shards, and with --layout megatron besides;
- gigatoken to Megatron: `encode_files` of a `JsonlFileSource`, one numpy.insert for the end-of-text tokens, one write of
  the .bin, and the .idx by megatron-core's own writer: what `preprocess_data_fast.py` of Megatron does, with less Python;
- Megatron's builder fed by Hugging Face's tokenizer, `encode_batch` on all cores, as `preprocess_data.py` writes;
- datatrove's JsonlReader and DocumentTokenizer, two tasks of half the lines, two workers.

By turns, median of RUNS. Seconds are those of the whole process, and for the others also those after their imports, by their
own clock: a Python process takes seconds to import torch. MB/s and ratios go by the latter, and by the whole process of
ciyuan. The number of ids must be the same for all.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = int(os.environ.get("RUNS", "5"))
END = "<|endoftext|>"


def by_gigatoken(source, tokenizer, output):
    import awkward
    import gigatoken
    import numpy
    from megatron.core.datasets.indexed_dataset import DType, _IndexWriter

    begun = time.perf_counter()
    encoder = gigatoken.Tokenizer(tokenizer)
    end = next(token["id"] for token in json.load(open(tokenizer))["added_tokens"] if token["content"] == END)
    documents = encoder.encode_files(gigatoken.JsonlFileSource([source], field="text"))
    lengths = awkward.to_numpy(awkward.num(documents))
    ids = awkward.to_numpy(awkward.flatten(documents))
    kind = DType.optimal_dtype(32_000)
    numpy.insert(ids, numpy.cumsum(lengths), end).astype(kind).tofile(output + ".bin")
    lengths = lengths + 1
    with _IndexWriter(output + ".idx", kind) as writer:
        writer.write(lengths.tolist(), None, list(range(len(lengths) + 1)))
    return int(lengths.sum()), time.perf_counter() - begun


def by_megatron(source, tokenizer, output):
    import torch
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder
    from tokenizers import Tokenizer

    begun = time.perf_counter()
    encoder = Tokenizer.from_file(tokenizer)
    end, count = encoder.token_to_id(END), 0
    builder = IndexedDatasetBuilder(output + ".bin", dtype=DType.optimal_dtype(32_000))

    def add(texts):
        total = 0
        for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False):
            ids = [*encoding.ids, end]
            builder.add_document(torch.IntTensor(ids), [len(ids)])
            total += len(ids)
        return total

    texts = []
    for line in open(source, encoding="utf-8"):
        texts.append(json.loads(line)["text"])
        if len(texts) == 1000:
            count += add(texts)
            texts = []
    count += add(texts)
    builder.finalize(output + ".idx")
    return count, time.perf_counter() - begun


def by_datatrove(source, tokenizer, output):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    begun = time.perf_counter()
    # One file is one task there: the halves lie beside it.
    folder = source + ".halves"
    reader = JsonlReader(folder, text_key="text")
    writer = DocumentTokenizer(output, tokenizer_name_or_path=tokenizer, eos_token=END, shuffle_documents=False)
    executor = LocalPipelineExecutor(pipeline=[reader, writer], tasks=2, workers=2, logging_dir=output + ".log")
    executor.run()
    files = [os.path.join(output, name) for name in os.listdir(output) if name.endswith(".ds")]
    return sum(os.path.getsize(file) for file in files) // 2, time.perf_counter() - begun


PEERS = {"gigatoken to Megatron": by_gigatoken, "Megatron with tokenizers": by_megatron, "datatrove": by_datatrove}


def halves(source):
    folder = source + ".halves"
    os.makedirs(folder, exist_ok=True)
    lines = open(source, "rb").read().splitlines(keepends=True)
    for number, part in enumerate([lines[: len(lines) // 2], lines[len(lines) // 2 :]]):
        with open(f"{folder}/{number}.jsonl", "wb") as file:
            file.writelines(part)


def measure(command, output):
    """Seconds, megabytes of memory at the most, and what it printed."""
    shutil.rmtree(os.path.dirname(output), ignore_errors=True)
    os.makedirs(os.path.dirname(output))
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, errors = process.communicate()
    seconds = time.perf_counter() - begun
    if process.returncode:
        sys.exit(f"{command}: {errors.decode()[-2000:]}")
    return seconds, said.decode()


def alone(command):
    """Seconds, seconds of the processors, and the most megabytes, of a process whose parent has no other children."""
    code = (
        "import resource, subprocess, sys, time; begun = time.perf_counter();"
        "subprocess.run(sys.argv[1:], stdout=2, check=True); took = time.perf_counter() - begun;"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(took, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def compare(program, texts, tokenizer, work):
    output = os.path.join(work, "out", "corpus")
    ciyuan = [program, "encode", "-t", tokenizer, "-o", os.path.dirname(output), "--val", "0", "--json", "--quiet"]
    for text in texts:
        source = os.path.join(work, os.path.basename(text))
        shutil.copy(text, source)
        documents = [json.loads(line)["text"] for line in open(source, encoding="utf-8")]
        size = sum(len(text.encode()) for text in documents)
        halves(source)
        commands = {"ciyuan": lambda path: [*ciyuan, path], "ciyuan --layout megatron": lambda path: [*ciyuan, path, "--layout", "megatron"]}
        for name in PEERS:
            commands[name] = lambda path, name=name: [sys.executable, __file__, "--peer", name, path, tokenizer, output]
        seconds, inside, counts = {name: [] for name in commands}, {name: [] for name in commands}, {}
        for _ in range(RUNS):
            for name, command in commands.items():
                took, said = measure(command(source), output)
                told = json.loads(said.splitlines()[-1])
                seconds[name].append(took)
                inside[name].append(told.get("inside", took))
                counts[name] = told["tokens"]
        if len(set(counts.values())) != 1:
            sys.exit(f"not the same ids: {counts}")
        first = statistics.median(seconds["ciyuan"])
        print(f"\n{os.path.basename(text)}: {len(documents)} documents, {size} bytes of text, {counts['ciyuan']} ids\n")
        print("| | seconds, whole process | without imports | MB/s of text | times ciyuan's seconds |\n|---|---|---|---|---|")
        for name in commands:
            cells = [f"{statistics.median(took):.2f} ({min(took):.2f}..{max(took):.2f})" for took in (seconds[name], inside[name])]
            middle = statistics.median(inside[name])
            print(f"| {name} | {cells[0]} | {cells[1]} | {size / 1e6 / middle:.1f} | {middle / first:.1f} |", flush=True)


def sizes(program, texts, tokenizer, work, megabytes):
    output = os.path.join(work, "out", "corpus")
    print("| input | MB | seconds | seconds of the processors | of them ns a byte | MB of memory at the most |\n|---|---|---|---|---|---|")
    for text in texts:
        once = open(text, "rb").read()
        for target in megabytes:
            source = os.path.join(work, "in.jsonl")
            with open(source, "wb") as file:
                for _ in range(max(1, round(target * 1e6 / len(once)))):
                    file.write(once)
            size = os.path.getsize(source)
            command = [program, "encode", source, "-t", tokenizer, "-o", os.path.dirname(output), "--val", "0", "--quiet"]
            runs = []
            for _ in range(RUNS if target <= 100 else 1):
                shutil.rmtree(os.path.dirname(output), ignore_errors=True)
                runs.append(alone(command))
            seconds, processors, memory = zip(*runs)
            middle = statistics.median(processors)
            print(
                f"| {os.path.basename(text)} | {size / 1e6:.0f} | {statistics.median(seconds):.2f} ({min(seconds):.2f}..{max(seconds):.2f}) "
                f"| {middle:.2f} ({min(processors):.2f}..{max(processors):.2f}) | {middle * 1e9 / size:.1f} | {max(memory):.0f} |",
                flush=True,
            )


def main():
    if sys.argv[1] == "--peer":
        name, source, tokenizer, output = sys.argv[2:]
        tokens, seconds = PEERS[name](source, tokenizer, output)
        print(json.dumps({"tokens": tokens, "inside": seconds}))
        return
    program, texts, megabytes = os.path.realpath(sys.argv[1]), sys.argv[2:], None
    if texts[0] == "--sizes":
        megabytes, texts = [float(size) for size in texts[1].split(",")], texts[2:]
    work = tempfile.mkdtemp()
    try:
        tokenizer = os.path.join(work, "tokenizer.json")
        learn = [program, "learn", *texts, "-o", tokenizer, "--vocab-size", "32000", "--pattern", "gpt2", "--han", "runs", "--max-token-bytes", "64"]
        subprocess.run([*learn, "--quiet"], stdout=subprocess.DEVNULL, check=True)
        # The same pattern by the name that gigatoken knows it under.
        spec = json.load(open(tokenizer))
        spec["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        json.dump(spec, open(tokenizer, "w"))
        if megabytes:
            sizes(program, texts, tokenizer, work, megabytes)
        else:
            compare(program, texts, tokenizer, work)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
