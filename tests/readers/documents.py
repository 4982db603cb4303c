"""The documents of the golden files: the same rule stands in tests/layouts.rs."""

CASES = {
    # name: (vocabulary, end of text, step between documents, step between ids, bytes of an id)
    "narrow": (300, 299, 131, 17, 2),
    "wide": (70_000, 69_999, 13_131, 1_717, 4),
}

# The corpus has two shards; this many documents are in the first.
IN_FIRST_SHARD = 12


def documents(case):
    """Thirty documents, the end-of-text token at the end of each."""
    _, end, across, along, _ = CASES[case]
    lengths = [260 if d == 13 else d * 7 % 11 + 1 for d in range(30)]
    return [[(d * across + i * along) % end for i in range(n)] + [end] for d, n in enumerate(lengths)]
