"""Writes tests/golden/layouts with the real writers: python golden.py FOLDER. See requirements.txt for versions.

Megatron, datatrove, dolma (olmo), MosaicML streaming (mds) and litdata write their own files here. nanoGPT and llm.c are
no packages: theirs are written with numpy, as data/openwebtext/prepare.py and dev/data/data_common.py do it. Two things
are taken out because they say when a file was written: the gzip envelope of dolma's table, and `updated_at` at the end of
litdata's index.
"""

import gzip
import importlib.util
import os
import re
import shutil
import sys
import types

import numpy as np
import torch
from datatrove.pipeline.tokens.tokenizer import TokenizedFile
from litdata.streaming.item_loader import TokensLoader
from litdata.streaming.writer import BinaryWriter
from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder
from streaming import MDSWriter

# Importing dolma as a whole needs its taggers' models; its writer alone does not.
for name in ["dolma", "dolma.core", "dolma.tokenizer"]:
    package = types.ModuleType(name)
    folder = os.path.dirname(importlib.util.find_spec("dolma").origin) if name == "dolma" else sys.modules["dolma"].__path__[0]
    package.__path__ = [os.path.join(folder, *name.split(".")[1:])]
    sys.modules[name] = package
from dolma.tokenizer.data_types import TokenizerOutput  # noqa: E402
from dolma.tokenizer.memmap_writer import MemmapWriter  # noqa: E402

from documents import CASES, IN_FIRST_SHARD, documents


def megatron(out, case, docs):
    builder = IndexedDatasetBuilder(f"{out}/megatron.bin", dtype=DType.optimal_dtype(CASES[case][0]))
    for doc in docs:
        builder.add_document(torch.tensor(doc), [len(doc)])
    builder.finalize(f"{out}/megatron.idx")


def nanogpt(out, case, docs):
    np.array(sum(docs, []), dtype=np.uint16).tofile(f"{out}/nanogpt.bin")


def llmc(out, case, docs):
    stream = sum(([doc[-1]] + doc[:-1] for doc in docs), [])
    for number, start in enumerate(range(0, len(stream), 150)):
        tokens = stream[start : start + 150]
        header = np.zeros(256, dtype=np.int32)
        header[:3] = 20240520, 1, len(tokens)
        with open(f"{out}/llmc_train_{number + 1:06d}.bin", "wb") as file:
            file.write(header.tobytes() + np.array(tokens, dtype=np.uint16).tobytes())


def datatrove(out, case, docs):
    size = 4 if CASES[case][0] > 65_536 else 2
    file = TokenizedFile(out, "datatrove.ds", tokenizer_name_or_path="golden", save_final_metadata=True, token_size=size)
    for doc in docs:
        file.write(doc, None)
    file.close()


def olmo(out, case, docs):
    dtype = np.uint32 if CASES[case][0] > 65_536 else np.uint16
    rest = []
    for number, doc in enumerate(docs):
        first = number < IN_FIRST_SHARD
        source, place = ("000000.shard", number) if first else ("000001.shard", number - IN_FIRST_SHARD)
        rest.append(TokenizerOutput.from_tokens(id=str(number), src=source, loc=place, tokens=doc))
    number = 0
    while rest:
        with MemmapWriter(f"{out}/olmo-{number:05d}", dtype=dtype, max_tokens=400) as writer:
            rest = writer.write_many(rest)
        with gzip.open(f"{out}/olmo-{number:05d}.csv.gz") as packed, open(f"{out}/olmo-{number:05d}.csv", "wb") as table:
            table.write(packed.read())
        os.remove(f"{out}/olmo-{number:05d}.csv.gz")
        number += 1


def mds(out, case, docs):
    vocabulary, _, _, _, width = CASES[case]
    kind = np.uint16 if width == 2 else np.uint32
    with MDSWriter(columns={"tokens": f"ndarray:uint{8 * width}"}, out=f"{out}/mds", size_limit=400 * width) as writer:
        for doc in docs:
            writer.write({"tokens": np.array(doc, dtype=kind)})


def litdata(out, case, docs):
    width = CASES[case][4]
    writer = BinaryWriter(f"{out}/litdata", chunk_bytes=400 * width, item_loader=TokensLoader())
    for number, doc in enumerate(docs):
        writer[number] = np.array(doc, dtype=np.uint16 if width == 2 else np.uint32)
    writer.done()
    writer.merge(1)
    index = open(f"{out}/litdata/index.json").read()
    with open(f"{out}/litdata/index.json", "w") as file:
        file.write(re.sub(r', "updated_at": "[^"]*"', "", index))


def main(folder):
    for case in CASES:
        out = os.path.join(folder, case)
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        writers = [megatron, datatrove, olmo, mds, litdata]
        if case == "narrow":
            writers += [nanogpt, llmc]
        for writer in writers:
            writer(out, case, documents(case))


main(sys.argv[1])
