#!/usr/bin/env python3
"""Tables of what train.py left: python table.py OUT.json BASE [RATE]

Bits per byte with the deviation over seeds; differences from BASE in percent, pairs of equal seeds, with an interval of 95 %
by Student's distribution over seeds, and in braces one by a bootstrap over held-out documents of the mean over seeds.
"""

import json
import sys

import numpy as np

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
RESAMPLES = 10_000


def main(path, base, rate=None):
    record = json.load(open(path))
    arms = {arm["name"]: arm for arm in record["arms"]}
    runs = [run for run in record["runs"] if rate is None or run["rate"] == float(rate)]
    print(f"{path}: {record['size']} tokens, {record['steps']} steps, torch {record['torch']}")
    print("| tokenizer | bytes a token zh / en | seeds | end | bpb zh (sd) | bpb en (sd) | zh against it | en against it |")
    print("|---|---|---|---|---|---|---|---|")
    for name, arm in arms.items():
        per_token = [sum(arm["held_bytes"][x]) / arm["held_tokens"][x] for x in ("zh", "en")]
        for end in ("equal_bytes", "equal_compute"):
            cells, against = [], []
            for language in ("zh", "en"):
                sizes = np.array(arms[name]["held_bytes"][language])
                own = {run["seed"]: np.array(run[end][language]) for run in runs if run["arm"] == name}
                bpb = np.array([bits.sum() for bits in own.values()]) / sizes.sum()
                cells.append(f"{bpb.mean():.4f} ({bpb.std(ddof=1) if len(bpb) > 1 else 0:.4f})")
                against.append(difference(own, base_bits(runs, base, end, language), sizes) if name != base else "")
            print(f"| {name} | {per_token[0]:.3f} / {per_token[1]:.3f} | {len(own)} | {end.replace('_', ' ')} | {' | '.join(cells + against)} |")


def base_bits(runs, base, end, language):
    return {run["seed"]: np.array(run[end][language]) for run in runs if run["arm"] == base}


def difference(own, other, sizes):
    """Of bits in percent, with its intervals."""
    seeds = [seed for seed in own if seed in other]
    ones, others = (np.array([x[seed] for seed in seeds]) for x in (own, other))
    single = 100 * (ones.sum(1) / others.sum(1) - 1)
    half = STUDENT[len(seeds) - 1] * single.std(ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else float("nan")
    drawn = np.random.default_rng(1).integers(0, len(sizes), (RESAMPLES, len(sizes)))
    means = [100 * (ones.mean(0)[rows].sum(1) / others.mean(0)[rows].sum(1) - 1) for rows in np.array_split(drawn, 20)]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    mean = single.mean()
    return f"{mean:+.2f} % [{mean - half:+.2f}, {mean + half:+.2f}] {{{low:+.2f}, {high:+.2f}}}"


if __name__ == "__main__":
    main(*sys.argv[1:])
