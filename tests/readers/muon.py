"""Golden values of Muon: python tests/readers/muon.py prints what `src/model/muon.rs` is tested with.

The update is written out in float64 here (Jordan's iteration, Nesterov's momentum, the factor of Moonlight), and compared
with torch.optim.Muon, which iterates in bfloat16 and so agrees to its three digits.
"""

import math

import torch

RATE, DECAY, MOMENTUM = 0.01, 0.1, 0.95


def orthogonal(u):
    x = u.T if u.shape[0] > u.shape[1] else u
    x = x / x.norm()
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if u.shape[0] > u.shape[1] else x


def gradient(step, rows, columns):
    return torch.tensor([[math.sin(i * i + 3 * i * j + 2 * j * j + step) for j in range(columns)] for i in range(rows)], dtype=torch.float64)


print("torch", torch.__version__)
for rows, columns in [(3, 5), (5, 3)]:
    weight = torch.tensor([[0.1 * math.cos(i + 2 * j) for j in range(columns)] for i in range(rows)], dtype=torch.float64)
    own = torch.nn.Parameter(weight.float().clone())
    theirs = torch.optim.Muon([own], lr=RATE, weight_decay=DECAY, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw")
    momentum, start = torch.zeros_like(weight), weight.clone()
    for step in (1, 2):
        g = gradient(step, rows, columns)
        momentum = MOMENTUM * momentum + g
        scale = 0.2 * math.sqrt(max(rows, columns))
        weight = weight * (1 - RATE * DECAY) - RATE * scale * orthogonal(g + MOMENTUM * momentum)
        own.grad = g.float()
        theirs.step()
    moved = (weight - start).norm()
    assert (own.detach().double() - weight).norm() < 0.02 * moved, (own, weight)
    print(rows, columns, ", ".join(f"{value:.9f}" for value in weight.flatten().tolist()))
