#!/usr/bin/env python3
"""The probe's protocol in PyTorch on a GPU: an independent training, at more bytes than a CPU has time for.

    python train.py DIR CIYUAN OUT.json --size 8192 --seeds 5 [--rates 6e-3] [--megabytes N] NAME...

DIR is what make.py left. Each tokenizer is used by CIYUAN (the command) to encode the texts into shards, which are read
here as numpy arrays. Then as src/pipeline/probing says: windows of the same bytes, equal steps, paired seeds (a seed gives
the body's weights, a token's vector by its bytes, and the order of documents), Muon for the matrices of the layers and
AdamW for the rest, warm-up, stable, decay; a second end at equal computing, branched where its decay begins.

All trainings of a call are one model whose tensors have a leading axis, so that small models fill a GPU.
"""

import argparse
import hashlib
import json
import math
import pathlib
import struct
import subprocess
import time

import numpy as np
import torch
import torch.nn.functional as F

CONTEXT_BYTES, BATCH = 1024, 8
WIDTH, LAYERS, HEADS = 192, 4, 6
HEAD = WIDTH // HEADS
HIDDEN = (-(-8 * WIDTH // 3) + 15) // 16 * 16
DECAY, WARMUP, WEIGHT_DECAY, BETAS, EPS, CLIP, MOMENTUM = 0.4, 0.05, 0.1, (0.9, 0.99), 1e-8, 1.0, 0.95
IDS_AT = 4096
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Arm:
    """A tokenizer, and the texts in its tokens."""

    def __init__(self, folder, ciyuan, name, size, limit):
        self.name = name
        path = folder / f"{name}.{size}.json"
        file = json.loads(path.read_text(encoding="utf-8"))
        vocab = dict(file["model"]["vocab"])
        added = {token["content"]: token["id"] for token in file["added_tokens"]}
        self.end = added["<|endoftext|>"]
        vocab.update(added)
        self.tokens = [None] * (max(vocab.values()) + 1)
        for token, number in vocab.items():
            self.tokens[number] = token
        # A character of a token stands for a byte.
        lengths = np.array([len(token or "") for token in self.tokens])
        self.train = shard(folder, ciyuan, path, "train.jsonl", self.end)
        sizes = np.array([lengths[ids].sum() for ids in self.train])
        kept = int(np.searchsorted(np.cumsum(sizes), limit)) if limit else len(sizes)
        self.train, self.bytes = self.train[:kept], int(sizes[:kept].sum())
        self.bytes_per_token = self.bytes / sum(len(ids) for ids in self.train)
        self.window = round(CONTEXT_BYTES / self.bytes_per_token)
        self.held, self.held_bytes = {}, {}
        for language in ("zh", "en"):
            texts = [json.loads(line)["text"] for line in open(folder / f"{language}.val.jsonl", encoding="utf-8")]
            self.held[language] = shard(folder, ciyuan, path, f"{language}.val.jsonl", self.end)
            self.held_bytes[language] = [len(text.encode()) for text in texts]
            # Every byte is in a token.
            assert [int(lengths[ids].sum()) for ids in self.held[language]] == self.held_bytes[language], name
        self.windows = sum(len(ids) + 1 for ids in self.train) // self.window
        body = LAYERS * (4 * WIDTH * WIDTH + 3 * WIDTH * HIDDEN)
        per_token = 6 * (body + len(self.tokens) * WIDTH) + 6 * LAYERS * WIDTH * self.window
        self.cost = per_token / self.bytes_per_token

    def stream(self, seed):
        """All documents in the order of a seed, each behind what ends the one before."""
        order = np.random.default_rng(seed).permutation(len(self.train))
        end = np.array([self.end], dtype=np.uint16)
        parts = [end]
        for number in order:
            parts += [self.train[number], end]
        return np.concatenate(parts)

    def vectors(self, seed):
        """A vector for each token, by its bytes and the seed: hashes counted up, made normal (Box and Muller)."""
        keys = [hashlib.blake2b((t or str(i)).encode(), digest_size=8).digest() for i, t in enumerate(self.tokens)]
        base = np.frombuffer(b"".join(keys), dtype=np.uint64)[:, None] ^ np.uint64(seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1)
        x = base + np.arange(1, WIDTH + 1, dtype=np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2**53
        radius, angle = np.sqrt(-2 * np.log(1 - x[:, ::2])), 2 * np.pi * x[:, 1::2]
        return 0.02 * np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


def shard(folder, ciyuan, tokenizer, texts, end):
    """Encodes a file of texts, and gives the ids of each document."""
    out = folder / f"{tokenizer.stem}.{texts}.shards"
    command = [ciyuan, "encode", "-t", str(tokenizer), "-o", str(out), "--val", "0", str(folder / texts)]
    subprocess.run(command, check=True, capture_output=True)
    parts = []
    for path in sorted((out / "train").glob("*.shard")):
        head = path.read_bytes()[:IDS_AT]
        width, count = header(head)
        parts.append(np.fromfile(path, dtype=f"<u{width}", count=count, offset=IDS_AT))
    ids = np.concatenate(parts).astype(np.uint16)
    ends = np.flatnonzero(ids == end)
    return [ids[start:stop] for start, stop in zip(np.concatenate([[0], ends[:-1] + 1]), ends)]


def header(head):
    """Bytes of an id, and how many there are, as src/shard/header.rs writes them."""
    assert head[:8] == b"\x89CIYUAN\n", head[:8]
    return head[16], struct.unpack_from("<Q", head, 41)[0]


def new_parameters(arm, seed):
    """Weights of a model, by a seed: the body's are the same for all tokenizers."""
    random = torch.Generator().manual_seed(seed)

    def matrix(inputs, outputs, scale=1.0):
        return torch.randn(inputs, outputs, generator=random) * (0.02 * scale)

    made = {"wte": torch.from_numpy(arm.vectors(seed)), "ln_f": torch.ones(WIDTH)}
    residual = 1 / math.sqrt(2 * LAYERS)
    for layer in range(LAYERS):
        made[f"{layer}.norm1"], made[f"{layer}.norm2"] = torch.ones(WIDTH), torch.ones(WIDTH)
        made[f"{layer}.norm_q"], made[f"{layer}.norm_k"] = torch.ones(HEAD), torch.ones(HEAD)
        for name in ("q", "k", "v"):
            made[f"{layer}.{name}"] = matrix(WIDTH, WIDTH)
        made[f"{layer}.o"] = matrix(WIDTH, WIDTH, residual)
        made[f"{layer}.fc"] = matrix(WIDTH, 2 * HIDDEN)
        made[f"{layer}.down"] = matrix(HIDDEN, WIDTH, residual)
    return made


def rms(x, scale):
    """Normalised by the last axis; `scale` has one row for each training."""
    x = F.rms_norm(x.float(), (x.shape[-1],), eps=1e-6)
    return x * scale.view(scale.shape[0], *[1] * (x.dim() - 2), scale.shape[-1])


def forward(w, ids):
    """What is before the output matrix: [trainings, rows * places, width] of ids [trainings, rows, places]."""
    trainings, rows, places = ids.shape
    which = torch.arange(trainings, device=ids.device).view(-1, 1, 1)
    vocab = w["wte"].shape[1]
    x = F.embedding(ids + which * vocab, w["wte"].view(trainings * vocab, WIDTH)).view(trainings, -1, WIDTH)
    angles = torch.arange(places, device=ids.device)[:, None] * 10000.0 ** (
        -2.0 * torch.arange(HEAD // 2, device=ids.device) / HEAD
    )
    angles = torch.cat([angles, angles], dim=1)
    cos, sin = angles.cos(), angles.sin()

    def rotated(x):
        half = torch.cat([-x[..., HEAD // 2 :], x[..., : HEAD // 2]], dim=-1)
        return x * cos + half * sin

    def heads(x):
        return x.view(trainings, rows, places, HEADS, HEAD).transpose(2, 3)

    for layer in range(LAYERS):
        y = rms(x, w[f"{layer}.norm1"])
        q, k, v = (heads(torch.bmm(y, w[f"{layer}.{name}"])) for name in ("q", "k", "v"))
        q, k = rotated(rms(q, w[f"{layer}.norm_q"])), rotated(rms(k, w[f"{layer}.norm_k"]))
        q, k = (part.to(v.dtype).flatten(0, 1) for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v.flatten(0, 1), is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(trainings, rows * places, WIDTH)
        x = x + torch.bmm(mixed, w[f"{layer}.o"])
        gate, value = torch.bmm(rms(x, w[f"{layer}.norm2"]), w[f"{layer}.fc"]).chunk(2, dim=-1)
        x = x + torch.bmm(F.silu(gate) * value, w[f"{layer}.down"])
    return rms(x, w["ln_f"])


def nats(w, ids, targets):
    """Nats of each target; 0 where it is -100."""
    with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=DEVICE == "cuda"):
        hidden = forward(w, ids)
        logits = torch.bmm(hidden, w["wte"].transpose(1, 2))
    losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="none")
    return losses.view(targets.shape)


def orthogonal(u):
    """Newton and Schulz, as src/model/muon.rs."""
    tall = u.shape[1] > u.shape[2]
    x = u.transpose(1, 2) if tall else u
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    x = x.bfloat16() if DEVICE == "cuda" else x
    for _ in range(5):
        a = torch.bmm(x, x.transpose(1, 2))
        x = 3.4445 * x + torch.bmm(-4.7750 * a + 2.0315 * torch.bmm(a, a), x)
    x = x.float()
    return x.transpose(1, 2) if tall else x


class Trainings:
    """Models in training, stacked; each has its own rate, number of steps, and steps done."""

    def __init__(self, arms, runs, steps, state=None, done=None, compiled=False):
        self.arms, self.runs = arms, runs
        self.nats = torch.compile(nats, dynamic=False) if compiled else nats
        self.steps = torch.tensor(steps, device=DEVICE, dtype=torch.float32)
        self.done = torch.tensor(done or [0] * len(runs), device=DEVICE, dtype=torch.float32)
        self.rates = torch.tensor([run["rate"] for run in runs], device=DEVICE)
        self.state = state or self.fresh()
        streams = [arms[run["arm"]].stream(run["seed"]) for run in runs]
        base = np.cumsum([0] + [len(stream) for stream in streams[:-1]])
        self.ids = torch.from_numpy(np.concatenate(streams).astype(np.int32)).to(DEVICE)
        self.base = torch.tensor(base, device=DEVICE)
        self.window = torch.tensor([arms[run["arm"]].window for run in runs], device=DEVICE)
        self.windows = torch.tensor([arms[run["arm"]].windows for run in runs], device=DEVICE)
        self.places = torch.arange(int(self.window.max()) + 1, device=DEVICE)

    def fresh(self):
        made = [new_parameters(self.arms[run["arm"]], run["seed"]) for run in self.runs]
        weights = {name: torch.stack([one[name] for one in made]).to(DEVICE) for name in made[0]}
        state = {"w": weights, "m": {}, "v": {}}
        for name, weight in weights.items():
            state["m"][name] = torch.zeros_like(weight)
            if not hidden(name):
                state["v"][name] = torch.zeros_like(weight)
        return state

    def taken(self, which):
        """Copies of the state of some trainings."""
        return {part: {name: x[which].clone() for name, x in tensors.items()} for part, tensors in self.state.items()}

    def batch(self):
        row = torch.arange(BATCH, device=DEVICE)
        number = (self.done.long()[:, None] * BATCH + row[None, :]) % self.windows[:, None]
        start = self.base[:, None] + number * self.window[:, None]
        at = (start[:, :, None] + self.places).clamp_max(len(self.ids) - 1)
        ids = self.ids[at].long()
        inside = self.places[:-1][None, None, :] < self.window[:, None, None]
        return ids[:, :, :-1], torch.where(inside, ids[:, :, 1:], -100)

    def step(self):
        """One step of all; gives their losses in nats a token."""
        weights = self.state["w"]
        for weight in weights.values():
            weight.requires_grad_(True)
        inputs, targets = self.batch()
        losses = self.nats(weights, inputs, targets).flatten(1).sum(1) / (self.window * BATCH)
        grads = dict(zip(weights, torch.autograd.grad(losses.sum(), list(weights.values()))))
        with torch.no_grad():
            self.update(grads)
        return losses.detach()

    def update(self, grads):
        step = self.done + 1
        up = (step / (WARMUP * self.steps).clamp_min(1.0)).clamp_max(1.0)
        rate = self.rates * up * ((self.steps - step + 1) / (DECAY * self.steps).clamp_min(1.0)).clamp(0.0, 1.0)
        norm = sum(g.flatten(1).square().sum(1) for g in grads.values()).sqrt()
        scale = (CLIP / norm.clamp_min(1e-12)).clamp_max(1.0)
        first, second = 1 - BETAS[0] ** step, 1 - BETAS[1] ** step

        def each(x, like):
            return x.view(-1, *[1] * (like.dim() - 1))

        for name, weight in self.state["w"].items():
            weight.requires_grad_(False)
            g, m = grads[name] * each(scale, weight), self.state["m"][name]
            if hidden(name):
                m.mul_(MOMENTUM).add_(g)
                factor = 0.2 * math.sqrt(max(weight.shape[1:]))
                move = factor * orthogonal(g + MOMENTUM * m)
            else:
                v = self.state["v"][name]
                m.lerp_(g, 1 - BETAS[0])
                v.lerp_(g * g, 1 - BETAS[1])
                move = (m / each(first, m)) / ((v / each(second, v)).sqrt() + EPS)
            if weight.dim() == 3:
                weight.mul_(1 - each(rate, weight) * WEIGHT_DECAY)
            weight.sub_(each(rate, weight) * move)
        self.done += (step <= self.steps).float()


def hidden(name):
    return name.split(".")[-1] in ("q", "k", "v", "o", "fc", "down")


@torch.no_grad()
def assess(state, arms, runs):
    """Bits of each held-out document, by training and language."""
    answers = [None] * len(runs)
    for number, arm in enumerate(arms):
        which = [at for at, run in enumerate(runs) if run["arm"] == number]
        if not which:
            continue
        weights = {name: x[which] for name, x in state["w"].items()}
        answer = [{} for _ in which]
        for language, documents in arm.held.items():
            bits = held_out(weights, arm, documents, len(which))
            for at in range(len(which)):
                answer[at][language] = [round(x, 3) for x in bits[at].tolist()]
        for at, one in zip(which, answer):
            answers[at] = one
    return answers


def held_out(weights, arm, documents, trainings):
    """[trainings, documents]: windows advance by half; every token is scored once, behind the end-of-text token."""
    window = arm.window
    rows, targets, owner = [], [], []
    for number, ids in enumerate(documents):
        sequence = np.concatenate([[arm.end], ids]).astype(np.int64)
        scored, count = 0, len(ids)
        while scored < count:
            end = min(window, count) if scored == 0 else min(scored + -(-window // 2), count)
            start = max(end - window, 0)
            row, target = np.zeros(window, dtype=np.int64), np.full(window, -100, dtype=np.int64)
            row[: end - start] = sequence[start:end]
            target[scored - start : end - start] = sequence[scored + 1 : end + 1]
            rows.append(row)
            targets.append(target)
            owner.append(number)
            scored = end
    bits = torch.zeros(trainings, len(documents), dtype=torch.float64, device=DEVICE)
    rows, targets = (torch.from_numpy(np.stack(x)).to(DEVICE) for x in (rows, targets))
    owner = torch.tensor(owner, device=DEVICE)
    for at in range(0, len(rows), 32):
        inputs, wanted = (x[None, at : at + 32].expand(trainings, -1, -1) for x in (rows, targets))
        losses = nats(weights, inputs, wanted).double().sum(2) / math.log(2)
        bits.index_add_(1, owner[at : at + 32], losses)
    return bits.cpu()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("ciyuan")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="+", help="NAME or NAME:SEEDS")
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--rates", default="6e-3")
    parser.add_argument("--megabytes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    limit = args.megabytes * 1e6 if args.megabytes else None
    names, seeds = [], []
    for name in args.names:
        name, _, count = name.partition(":")
        names.append(name)
        seeds.append(int(count or args.seeds))
    arms = [Arm(args.folder, args.ciyuan, name, args.size, limit) for name in names]
    steps = args.steps or min(arm.windows for arm in arms) // BATCH
    cheapest = min(arm.cost for arm in arms)
    short = [int(steps * cheapest / arm.cost) for arm in arms]
    for arm, steps_of in zip(arms, short):
        print(f"{arm.name}: {arm.bytes_per_token:.3f} bytes a token, window {arm.window}, equal computing {steps_of}/{steps} steps")
    runs = [
        {"arm": number, "seed": args.first_seed + seed, "rate": float(rate)}
        for number in range(len(arms))
        for seed in range(seeds[number])
        for rate in args.rates.split(",")
    ]
    record = {"size": args.size, "steps": steps, "torch": torch.__version__, "runs": []}
    record["arms"] = [
        dict(name=arm.name, bytes_per_token=arm.bytes_per_token, bytes=arm.bytes, short=steps_of, held_bytes=arm.held_bytes,
             held_tokens={language: sum(map(len, ids)) for language, ids in arm.held.items()})
        for arm, steps_of in zip(arms, short)
    ]
    branches, curve, begin = {}, [], time.time()
    branch_at = [int((1 - DECAY) * short[run["arm"]]) if short[run["arm"]] < steps else None for run in runs]
    trainings = Trainings(arms, runs, [steps] * len(runs), compiled=args.compile)
    for step in range(steps):
        for at in [at for at, first in enumerate(branch_at) if first == step]:
            branches[at] = trainings.taken([at])
        losses = trainings.step()
        if step % max(steps // 50, 1) == 0 or step + 1 == steps:
            curve.append((step, [round(x, 4) for x in losses.tolist()]))
            print(f"step {step}: {losses.mean().item():.4f}, {time.time() - begin:.1f} s", flush=True)
    full = assess(trainings.state, arms, runs)
    which = sorted(branches)
    ends = list(full)
    del trainings
    if which:
        state = {
            part: {name: torch.cat([branches[at][part][name] for at in which]) for name in branches[which[0]][part]}
            for part in branches[which[0]]
        }
        branches.clear()
        own = [runs[at] for at in which]
        trainings = Trainings(arms, own, [short[run["arm"]] for run in own], state, [branch_at[at] for at in which], args.compile)
        for _ in range(max(short[run["arm"]] - branch_at[at] for run, at in zip(own, which))):
            trainings.step()
        for at, answer in zip(which, assess(trainings.state, arms, own)):
            ends[at] = answer
    for run, at_bytes, at_compute in zip(runs, full, ends):
        record["runs"].append(dict(run, arm=names[run["arm"]], equal_bytes=at_bytes, equal_compute=at_compute))
    record.update(curve=curve, seconds=time.time() - begin)
    args.out.write_text(json.dumps(record))
    for run in record["runs"]:
        arm = next(arm for arm in record["arms"] if arm["name"] == run["arm"])
        figures = [
            sum(run[end][language]) / sum(arm["held_bytes"][language])
            for end in ("equal_bytes", "equal_compute")
            for language in ("zh", "en")
        ]
        print(run["arm"], run["seed"], run["rate"], " ".join(f"{x:.4f}" for x in figures))
    print(f"{time.time() - begin:.1f} s")


if __name__ == "__main__":
    main()
