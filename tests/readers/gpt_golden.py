#!/usr/bin/env python3
"""Writes tests/golden/gpt.json and gpt.gradients: what PyTorch makes of small GPTs of several forms.

    pip install torch==2.15.0 numpy
    python tests/readers/gpt_golden.py tests/golden

Weights and ids follow formulas (`weights`, `ids`), which the test in src/model/golden.rs has too. All is computed in f64.
Gradients are those of the mean loss of the first window, in the order of the tensors, as f32, little-endian. The losses
are those of 200 steps of torch.optim.AdamW from the same weights, in nats a token before each update.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

SIZE = dict(vocab_size=40, context=12, layers=2, heads=4, width=24)
GPT2 = dict(positions="learned", norm="layer", activation="gelu", qk_norm=False, biases=True, tied=True, kv_heads=None)
MODERN = dict(positions="rotary", norm="rms", activation="swiglu", qk_norm=True, biases=False, tied=True, kv_heads=2)
OTHER = dict(positions="rotary", norm="layer", activation="relu2", qk_norm=False, biases=False, tied=False, kv_heads=1)
STEPS, BATCH, RATE, WARMUP = 200, 4, 3e-3, 0.05


def mix(x):
    """MurmurHash3's last step, on 32 bits."""
    x = np.asarray(x, dtype=np.uint64) & 0xFFFFFFFF
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35)]:
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(16))


def ids(step):
    """A batch: BATCH rows of T + 1 ids, which can be learned in part."""
    row = np.arange(BATCH)[:, None]
    at = np.arange(SIZE["context"] + 1)[None, :]
    noise = mix(step * 1000 + row * 100 + at) % 3
    return torch.from_numpy(((step * 5 + row * 3 + at * 7 + noise.astype(np.int64)) % SIZE["vocab_size"]))


def tensors(form):
    """Names and shapes, in order."""
    v, t, c, h = (SIZE[key] for key in ("vocab_size", "context", "width", "heads"))
    d, k = c // h, form["kv_heads"] or h
    hidden = (-(-8 * c // 3) + 15) // 16 * 16 if form["activation"] == "swiglu" else 4 * c
    fan = 2 * hidden if form["activation"] == "swiglu" else hidden
    yield "wte.weight", (v, c)
    if form["positions"] == "learned":
        yield "wpe.weight", (t, c)

    def norm(name):
        yield name + ".weight", (c,)
        if form["biases"] and form["norm"] == "layer":
            yield name + ".bias", (c,)

    def linear(name, inputs, outputs):
        yield name + ".weight", (inputs, outputs)
        if form["biases"]:
            yield name + ".bias", (outputs,)

    for layer in range(SIZE["layers"]):
        p = f"h.{layer}."
        yield from norm(p + "ln_1")
        yield from linear(p + "attn.c_attn", c, (h + 2 * k) * d)
        if form["qk_norm"]:
            yield p + "attn.q_norm.weight", (d,)
            yield p + "attn.k_norm.weight", (d,)
        yield from linear(p + "attn.c_proj", c, c)
        yield from norm(p + "ln_2")
        yield from linear(p + "mlp.c_fc", c, fan)
        yield from linear(p + "mlp.c_proj", hidden, c)
    yield from norm("ln_f")
    if not form["tied"]:
        yield "lm_head.weight", (v, c)


def weights(form):
    """Matrices between -0.15 and 0.15, biases between -0.1 and 0.1, scales between 0.9 and 1.1."""
    start, all_weights = 0, {}
    for name, shape in tensors(form):
        count = math.prod(shape)
        values = mix(np.arange(start, start + count)).astype(np.float64) / 2**32 - 0.5
        values = values * 0.3 if len(shape) == 2 else values * 0.2
        if len(shape) == 1 and name.endswith(".weight"):
            values += 1.0
        values = values.astype(np.float32).astype(np.float64).reshape(shape)
        all_weights[name] = torch.from_numpy(values).requires_grad_()
        start += count
    return all_weights


def loss_of(form, w, rows):
    inputs, targets = rows[:, :-1], rows[:, 1:]
    b, t = inputs.shape
    c, h = SIZE["width"], SIZE["heads"]
    d, k = c // h, form["kv_heads"] or h

    def norm(x, name):
        if form["norm"] == "layer":
            return F.layer_norm(x, (c,), w[name + ".weight"], w.get(name + ".bias"), 1e-5)
        return F.rms_norm(x, (c,), w[name + ".weight"], 1e-6)

    def linear(x, name):
        return F.linear(x, w[name + ".weight"].t(), w.get(name + ".bias"))

    def rotated(x):
        if form["positions"] != "rotary":
            return x
        angles = torch.arange(t)[:, None] * 10000.0 ** (-2.0 * torch.arange(d // 2) / d)[None, :]
        angles = torch.cat([angles, angles], dim=1)
        half = torch.cat([-x[..., d // 2 :], x[..., : d // 2]], dim=-1)
        return x * angles.cos() + half * angles.sin()

    x = F.embedding(inputs, w["wte.weight"])
    if form["positions"] == "learned":
        x = x + w["wpe.weight"][:t]
    for layer in range(SIZE["layers"]):
        p = f"h.{layer}."
        q, key, value = linear(norm(x, p + "ln_1"), p + "attn.c_attn").split([h * d, k * d, k * d], dim=2)
        q, key, value = (part.view(b, t, -1, d).transpose(1, 2) for part in (q, key, value))
        if form["qk_norm"]:
            q = F.rms_norm(q, (d,), w[p + "attn.q_norm.weight"], 1e-6)
            key = F.rms_norm(key, (d,), w[p + "attn.k_norm.weight"], 1e-6)
        q, key = rotated(q), rotated(key)
        key, value = (part.repeat_interleave(h // k, dim=1) for part in (key, value))
        mixed = F.scaled_dot_product_attention(q, key, value, is_causal=True)
        x = x + linear(mixed.transpose(1, 2).reshape(b, t, c), p + "attn.c_proj")
        y = linear(norm(x, p + "ln_2"), p + "mlp.c_fc")
        if form["activation"] == "gelu":
            y = F.gelu(y, approximate="tanh")
        elif form["activation"] == "relu2":
            y = F.relu(y).square()
        else:
            gate, value = y.chunk(2, dim=-1)
            y = F.silu(gate) * value
        x = x + linear(y, p + "mlp.c_proj")
    logits = norm(x, "ln_f") @ (w["wte.weight"] if form["tied"] else w["lm_head.weight"]).t()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def rate(step):
    """Linear up, then a cosine down to a tenth."""
    rise = max(WARMUP * STEPS, 1.0)
    if step <= rise:
        return RATE * step / rise
    fall = min((step - rise) / max(STEPS - rise, 1.0), 1.0)
    return RATE * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * fall)))


def curve(form):
    w = weights(form)
    groups = [[x for x in w.values() if x.dim() == dim] for dim in (2, 1)]
    groups = [dict(params=params, weight_decay=decay) for params, decay in zip(groups, (0.1, 0.0))]
    adam = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), eps=1e-8)
    losses = []
    for step in range(1, STEPS + 1):
        for group in adam.param_groups:
            group["lr"] = rate(step)
        adam.zero_grad()
        loss = loss_of(form, w, ids(step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        adam.step()
        losses.append(loss.item())
    return losses


def main(folder):
    models, gradients = [], []
    for form in (GPT2, MODERN, OTHER):
        w = weights(form)
        loss = loss_of(form, w, ids(0)[:1])
        loss.backward()
        gradients += [x.grad.numpy().astype("<f4").tobytes() for x in w.values()]
        names = [dict(name=name, shape=list(x.shape)) for name, x in w.items()]
        config = dict(SIZE, form=form)
        losses = [float(f"{x:.9f}") for x in curve(form)]
        models.append(dict(config=config, tensors=names, loss=loss.item(), losses=losses))
    with open(f"{folder}/gpt.gradients", "wb") as file:
        file.write(b"".join(gradients))
    with open(f"{folder}/gpt.json", "w") as file:
        json.dump(dict(torch=torch.__version__, models=models), file, separators=(",", ":"))
        file.write("\n")
    for model in models:
        print(model["config"]["form"], model["loss"], model["losses"][0], model["losses"][-1])


main(sys.argv[1])
