"""Learning 32,768 tokens with the pattern of cl100k: ciyuan and the trainers of its peers, each in a process of its own.

    python -m venv v && v/bin/pip install rustbpe==0.1.0 tokenizers==0.23.3 gigatoken==0.10.0 sentencepiece==0.2.3
    cargo build --release && v/bin/python benches/peers/learn.py target/release/ciyuan zh.txt en.txt

Seconds from the start of the process to its end without loading Python's modules, and the peak of memory, of three runs
by turns: the median (fastest..slowest). ciyuan writes its tokenizer, the others keep it. gigatoken has the pattern of
r50k and no other, sentencepiece none; a text is read by lines for sentencepiece and rustbpe, by the whole for the rest.
With `--cores 1` before the rest all are pinned to one core; `--peers rustbpe,gigatoken`, before it too, runs these alone.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 3
VOCABULARY = 32768
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


def lines(path):
    with open(path, newline="", encoding="utf-8") as file:
        yield from file


def rustbpe(path):
    import rustbpe

    start = time.perf_counter()
    rustbpe.Tokenizer().train_from_iterator(lines(path), VOCABULARY, pattern=PATTERN)
    return start


def tokenizers(path):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    start = time.perf_counter()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines(path), trainer)
    return start


def gigatoken(path):
    import gigatoken

    start = time.perf_counter()
    gigatoken.train_bpe(path, VOCABULARY, [])
    return start


def sentencepiece(path):
    import sentencepiece

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            input=path,
            model_prefix=os.path.join(folder, "m"),
            vocab_size=VOCABULARY,
            model_type="bpe",
            byte_fallback=True,
            max_sentence_length=1 << 24,
            num_threads=len(os.sched_getaffinity(0)),
            minloglevel=2,
        )
    return start


PEERS = {peer.__name__: peer for peer in (rustbpe, tokenizers, gigatoken, sentencepiece)}


def child(peer, path):
    start = PEERS[peer](path)
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def measured(command):
    """Seconds and kilobytes of ciyuan, by the process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_maxrss


def ways(program, path, folder, peers):
    out = os.path.join(folder, "tokenizer.json")
    learn = [program, "learn", path, "-o", out, "--vocab-size", str(VOCABULARY), "--pattern", "cl100k", "--quiet"]
    yield "ciyuan, runs", lambda: measured([*learn, "--special", "none", "--han", "runs"])
    yield "ciyuan, words", lambda: measured([*learn, "--special", "none"])
    for peer in peers:
        command = [sys.executable, __file__, "--peer", peer, path]
        yield peer, lambda command=command: tuple(map(float, subprocess.check_output(command).split()[-2:]))


def main():
    arguments = sys.argv[1:]
    if arguments[0] == "--peer":
        return child(*arguments[1:])
    if arguments[0] == "--cores":
        os.sched_setaffinity(0, range(os.cpu_count() - int(arguments[1]), os.cpu_count()))
        arguments = arguments[2:]
    peers = list(PEERS)
    if arguments[0] == "--peers":
        peers = arguments[1].split(",")
        arguments = arguments[2:]
    program, *paths = arguments
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            found = {}
            for _ in range(RUNS):
                for name, run in ways(program, path, folder, peers):
                    found.setdefault(name, []).append(run())
            for name, runs in found.items():
                seconds = sorted(run[0] for run in runs)
                memory = statistics.median(run[1] for run in runs) / 1024
                middle = statistics.median(seconds)
                print(f"| {name}, {path} | {middle:.2f} ({seconds[0]:.2f}..{seconds[-1]:.2f}) s | {memory:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
