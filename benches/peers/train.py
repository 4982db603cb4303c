"""Tokens a second of training a GPT of GPT-2's form, in f32 or bf16: ciyuan and PyTorch (eager and torch.compile), by turns.

    python -m venv v && v/bin/pip install torch==2.15.0
    cargo bench --no-run --bench train && v/bin/python benches/peers/train.py target/release/deps/train-... C1 1 5

The last arguments: configuration (C1, C2 or default, as in benches/train.rs), threads, rounds. In each round every program
makes STEPS steps, each with its forward and backward pass, clipping of gradients and AdamW. Rows give the median of all
rounds, the lowest and the highest, and the ratio of ciyuan's median to it, of the same arithmetic. PyTorch takes its fused
AdamW and scaled_dot_product_attention, and goes by torch.autocast in bfloat16. PRECISION in the environment: f32, bf16, or
both, by a comma, in one run; f32 by default. PEERS likewise: eager, compile. Pause other work yourself.
"""

import os
import statistics
import subprocess
import sys
import time

STEPS = 2
PRECISIONS = os.environ.get("PRECISION", "f32").split(",")
SIZES = {
    "C1": dict(V=4096, T=256, L=6, H=8, C=256, B=16),
    "C2": dict(V=8192, T=512, L=6, H=6, C=384, B=8),
    "default": dict(V=2048, T=128, L=2, H=4, C=96, B=8),
}


def worker(mode, precision, size, threads):
    """Makes STEPS steps for each line of its input, and prints tokens a second."""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    V, T, L, H, C, B = (size[key] for key in "VTLHCB")

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
            self.attn, self.proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.fc, self.out = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

        def forward(self, x):
            heads = (part.view(B, T, H, C // H).transpose(1, 2) for part in self.attn(self.ln_1(x)).split(C, 2))
            y = F.scaled_dot_product_attention(*heads, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
            return x + self.out(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(T, C)
            self.blocks, self.ln_f = nn.ModuleList(Block() for _ in range(L)), nn.LayerNorm(C)
            nn.init.normal_(self.wte.weight, 0, 0.02)
            nn.init.normal_(self.wpe.weight, 0, 0.02)

        def forward(self, inputs, targets):
            x = self.wte(inputs) + self.wpe.weight
            for block in self.blocks:
                x = block(x)
            logits = self.ln_f(x) @ self.wte.weight.t()
            return F.cross_entropy(logits.view(-1, V), targets.flatten())

    model = Gpt()
    run = torch.compile(model) if mode == "compile" else model
    adam = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True)

    def step():
        ids = torch.randint(0, V, (B, T + 1))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)

    for _ in range(2):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        print(B * T * STEPS / (time.perf_counter() - start), flush=True)


def main(bench, name, threads, rounds):
    def peer(mode, precision):
        arguments = [sys.executable, __file__, "--worker", mode, precision, name, threads]
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def own(precision):
        environment = dict(os.environ, RAYON_NUM_THREADS=threads, STEPS=str(STEPS), OPTIMIZER="adamw", PRECISION=precision)
        table = subprocess.run([bench, name], env=environment, capture_output=True, text=True, check=True).stdout
        return float(table.splitlines()[-1].split("|")[3])

    modes = os.environ.get("PEERS", "eager,compile").split(",")
    peers = {(mode, precision): peer(mode, precision) for precision in PRECISIONS for mode in modes}
    for process in peers.values():
        assert process.stdout.readline() == "ready\n"
    rates = {(mode, precision): [] for precision in PRECISIONS for mode in ["ciyuan", *modes]}
    for _ in range(int(rounds)):
        for (mode, precision), values in rates.items():
            if mode == "ciyuan":
                values.append(own(precision))
                continue
            process = peers[mode, precision]
            process.stdin.write("\n")
            process.stdin.flush()
            values.append(float(process.stdout.readline()))
    for process in peers.values():
        process.stdin.close()
    print(f"| {name}, {threads} threads | tokens/s | lowest..highest | ciyuan is faster by |")
    for (mode, precision), values in rates.items():
        median = statistics.median(values)
        ours = statistics.median(rates["ciyuan", precision])
        print(f"| {mode} {precision} | {median:.0f} | {min(values):.0f}..{max(values):.0f} | {ours / median:.2f} |")


if sys.argv[1] == "--worker":
    worker(sys.argv[2], sys.argv[3], SIZES[sys.argv[4]], int(sys.argv[5]))
else:
    main(*sys.argv[1:])
