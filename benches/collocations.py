"""Words of Chinese that stand beside each other more often than chance would have it, as a dictionary of words.

    ciyuan segment < zh.txt | python benches/collocations.py 2 10 > joined.txt
    ciyuan learn zh.txt en.txt --txt-documents lines --vocab-size 4096 --user-dict joined.txt -o joined.json

Pairs of words whose pointwise mutual information (Church and Hanks 1990) is at least the first number, in nats, and that
stand there at least so often as the second one says. With them as words, merges may go over the edge inside such a pair.
"""

import collections
import math
import re
import sys

HAN = re.compile("[\u4e00-\u9fff]+")
# So frequent that the pair is always taken as a word.
FREQUENCY = 1_000_000


def main():
    least, count = float(sys.argv[1]), int(sys.argv[2])
    words, pairs = collections.Counter(), collections.Counter()
    for line in sys.stdin:
        line = line.rstrip("\n").split("/")
        words.update(word for word in line if HAN.fullmatch(word))
        pairs.update(pair for pair in zip(line, line[1:]) if all(map(HAN.fullmatch, pair)))
    total = words.total()

    def information(pair):
        return math.log(pairs[pair] * total / (words[pair[0]] * words[pair[1]]))

    found = [pair for pair in pairs if pairs[pair] >= count and information(pair) >= least]
    for pair in sorted(found, key=lambda pair: (-pairs[pair], pair)):
        print("".join(pair), FREQUENCY)


main()
