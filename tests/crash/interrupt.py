#!/usr/bin/env python3
"""Interrupts commands (SIGINT) at many moments of a larger input, and measures how long they take to end.

    python3 tests/crash/interrupt.py target/release/ciyuan [MEGABYTES [POINTS]]

Each command is run once undisturbed; then again from the beginning and interrupted at POINTS moments of that time. It must
end with exit code 130, nothing half written may be under a final name, and the same command run again must give the same
bytes. Prints a table: command, seconds undisturbed, interruptions, the slowest from the signal to the exit in
milliseconds, how many were wrong. Inputs are the project's own texts, repeated to so many megabytes: many short documents,
and one document that is a quarter of that.
"""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

program = os.path.realpath(sys.argv[1])
megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 200
points = int(sys.argv[3]) if len(sys.argv) > 3 else 6
root = Path(__file__).resolve().parents[2]
work = Path(tempfile.mkdtemp())
os.chdir(work)


def run(*arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def must(*arguments):
    done = run(*arguments)
    if done.returncode:
        sys.exit(f"{arguments}: {done.stderr}")


def make_inputs():
    texts = [path.read_text() for path in sorted((root / "corpora").rglob("*.txt")) if "real" not in path.parts]
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    once = "".join(json.dumps({"text": line}, ensure_ascii=False) + "\n" for line in lines).encode()
    Path("many").mkdir()
    with open("many/a.jsonl", "wb") as file:
        for _ in range(megabytes * 1_000_000 // len(once) + 1):
            file.write(once)
    whole = "\n".join(texts).encode()
    Path("long").mkdir()
    with open("long/a.txt", "wb") as file:
        for _ in range(megabytes * 250_000 // len(whole) + 1):
            file.write(whole)
    must("learn", str(root / "corpora"), "-o", "t.json", "--vocab-size", "4096")
    must("encode", "many", "-t", "t.json", "-o", "shards", "--val", "0.01")
    must("export", "shards", "--layout", "megatron", "-o", "megatron/corpus")


def clear():
    shutil.rmtree("out", ignore_errors=True)


def contents():
    """What is left, but for figures of time."""
    files = [path for path in Path("out").rglob("*") if path.is_file() and path.name not in ("report.json", "report.html", "metrics.jsonl")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def half_written():
    shards = [str(path) for path in Path("out").rglob("*.shard")]
    return shards and run("verify", *shards).returncode != 0


def start(arguments):
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return process, time.monotonic()


encode = ["-t", "t.json", "-o", "out"]
commands = {
    "encode, short documents": [["encode", "many", *encode, "--unit-size", "32MB"]],
    "encode, one long document": [["encode", "long", *encode]],
    "encode --deduplicate": [["encode", "many", *encode, "--deduplicate"]],
    "plan": [["plan", "many", *encode]],
    "run": [["plan", "many", *encode], ["run", "out"]],
    "merge": [["plan", "many", *encode, "--unit-size", "100KB"], ["run", "out"], ["merge", "out"]],
    "learn": [["learn", "many", "-o", "out/t.json", "--vocab-size", "30000"]],
    "learn --memory": [["learn", "many", "--save-counts", "out/c", "--memory", "100KB"]],
    "learn, one long document": [["learn", "long", "-o", "out/t.json", "--vocab-size", "8000"]],
    "shuffle": [["shuffle", "shards", "-o", "out"]],
    "mix": [["mix", "a=shards", "-o", "out"]],
    "import": [["import", "--layout", "megatron", "megatron/corpus", "-o", "out", "-t", "t.json"]],
    "verify": [["verify", "shards"]],
    "train": [["train", "shards", "-o", "out", "--steps", "60"]],
}
for layout in ["megatron", "nanogpt", "llmc", "datatrove", "olmo", "mds", "litdata"]:
    commands[f"export --layout {layout}"] = [["export", "shards", "--layout", layout, "-o", "out/corpus"]]


def prepare(before):
    clear()
    Path("out").mkdir()
    for arguments in before:
        must(*arguments)


def measure(name, before, last):
    prepare(before)
    process, begun = start(last)
    said = process.communicate()[1]
    took = time.monotonic() - begun
    if process.returncode:
        sys.exit(f"{name}: {said.decode()}")
    wanted = contents()
    slowest, wrong, count = 0.0, 0, 0
    for point in range(1, points + 1):
        prepare(before)
        process, _ = start(last)
        time.sleep(took * point / (points + 1))
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1].decode()
        if process.returncode == 0:
            # It was faster this time.
            continue
        count += 1
        slowest = max(slowest, time.monotonic() - sent)
        problem = None
        if process.returncode != 130 or "run the same command again" not in said:
            problem = f"code {process.returncode}: {said}"
        elif half_written():
            problem = "half written"
        else:
            resume = ["--resume"] if last[0] == "train" and Path("out/checkpoint.safetensors").exists() else []
            again = run(*last, *resume)
            if again.returncode or contents() != wanted:
                problem = f"not the same: {again.stderr} {sorted(set(contents()) ^ set(wanted))}"
        if problem:
            wrong += 1
            print(f"{name} at {point}: {problem}", file=sys.stderr)
    print(f"| {name} | {took:.1f} | {count} | {slowest * 1000:.0f} | {wrong} |", flush=True)
    return wrong


try:
    make_inputs()
    print("| command | seconds undisturbed | interrupted | slowest exit, ms | wrong |\n|---|---:|---:|---:|---:|")
    only = sys.argv[4:]
    chosen = {name: steps for name, steps in commands.items() if not only or any(word in name for word in only)}
    total = sum(measure(name, steps[:-1], steps[-1]) for name, steps in chosen.items())
finally:
    os.chdir("/")
    shutil.rmtree(work)
sys.exit(1 if total else 0)
