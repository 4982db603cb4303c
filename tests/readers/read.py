"""Opens what `ciyuan export` wrote with the readers themselves and compares every document:

    python read.py FOLDER_OF_SHARDS FOLDER_OF_EXPORTS [train|val]

FOLDER_OF_EXPORTS holds one export a layout, named by the layout (`-o FOLDER/megatron`, and so on). The shards are read by
numpy from the table in src/shard/mod.rs, not by ciyuan. Prints a line a layout, and ends with 1 when one differs.
"""

import glob
import logging
import os
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


def shard_documents(folder):
    """Documents of our own shards, their end-of-text token at the end, and that token."""
    documents, end = [], None
    for path in sorted(glob.glob(f"{folder}/*.shard")):
        head = open(path, "rb").read(4096)
        width = head[16]
        end = int(np.frombuffer(head, "<u4", 1, 21)[0])
        tokens, count = (int(n) for n in np.frombuffer(head, "<u8", 2, 41))
        ids = np.memmap(path, dtype=f"<u{width}", mode="r", offset=4096, shape=(tokens,))
        at = -(-(4096 + width * tokens) // 8) * 8
        ends = np.memmap(path, dtype="<u8", mode="r", offset=at, shape=(count,))
        start = 0
        for stop in ends:
            documents.append(np.array(ids[start : int(stop)], dtype=np.int64))
            start = int(stop)
    return documents, end


def megatron(prefix, documents, end):
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    dataset = IndexedDataset(prefix)
    assert len(dataset.document_indices) == len(documents) + 1
    return [np.array(dataset[n], dtype=np.int64) for n in range(len(dataset))]


def nanogpt(prefix, documents, end):
    # train.py: np.memmap(..., dtype=np.uint16, mode="r")
    ids = np.memmap(f"{prefix}.bin", dtype=np.uint16, mode="r").astype(np.int64)
    return np.split(ids, np.flatnonzero(ids == end) + 1)[:-1]


def llmc(prefix, documents, end):
    # modded-nanogpt, _load_data_shard: header of 256 i32, then u16.
    parts = []
    for path in sorted(glob.glob(f"{prefix}_*_*.bin")):
        header = np.fromfile(path, dtype=np.int32, count=256)
        assert header[0] == 20240520 and header[1] == 1
        ids = np.fromfile(path, dtype=np.uint16, offset=1024)
        assert len(ids) == header[2] and os.path.getsize(path) < 2**31
        parts.append(ids.astype(np.int64))
    ids = np.concatenate(parts)
    return [np.append(doc[1:], end) for doc in np.split(ids, np.flatnonzero(ids == end))[1:]]


def datatrove(prefix, documents, end):
    from datatrove.utils.dataset import DatatroveFileDataset

    size = int(open(f"{prefix}.ds.metadata").readline().rsplit("|", 1)[1])
    # Windows of one id and one more, which is all of them when their number is even.
    data = DatatroveFileDataset(f"{prefix}.ds", seq_len=1, token_size=size)
    ids = np.concatenate([data[n]["input_ids"].numpy() for n in range(len(data))])
    ends = np.fromfile(f"{prefix}.ds.index", dtype="<u8").astype(np.int64)
    if int(ends[-1]) % 2:
        ids = np.append(ids, np.fromfile(f"{prefix}.ds", dtype=f"<u{size}")[-1])
    return np.split(ids, ends)[:-1]


def olmo(prefix, documents, end):
    from olmo_core.data.utils import iter_document_indices, load_array_slice

    kind = np.uint32 if max(int(doc.max()) for doc in documents) > 65_535 else np.uint16
    found = []
    for path in sorted(glob.glob(f"{prefix}-*.npy")):
        by_table = list(iter_document_indices(path))
        by_scan = list(iter_document_indices(path, eos_token_id=end, dtype=kind, use_array_if_local=True))
        assert by_table == [(int(a), int(b)) for a, b in by_scan]
        found += [load_array_slice(path, a, b, kind).astype(np.int64) for a, b in by_table]
    return found


def mds(prefix, documents, end):
    from streaming import LocalDataset

    dataset = LocalDataset(local=prefix)
    return [dataset[n]["tokens"].astype(np.int64) for n in range(len(dataset))]


def litdata(prefix, documents, end):
    from litdata import StreamingDataset, TokensLoader

    # Blocks of one id give all of them back; where documents end stands in the chunks' tables.
    dataset = StreamingDataset(prefix, item_loader=TokensLoader(block_size=1), shuffle=False, drop_last=False)
    ids = np.array([int(item[0]) for item in dataset], dtype=np.int64)
    lengths = []
    for number in range(len(glob.glob(f"{prefix}/chunk-0-*.bin"))):
        path = f"{prefix}/chunk-0-{number}.bin"
        count = int(np.fromfile(path, dtype=np.uint32, count=1)[0])
        lengths += list(np.diff(np.fromfile(path, dtype=np.uint32, offset=4, count=count + 1).astype(np.int64)))
    width = sum(lengths) // len(ids)
    return np.split(ids, np.cumsum(lengths) // width)[:-1]


def main(shards, exports, split="train"):
    documents, end = shard_documents(f"{shards}/{split}")
    assert documents
    failed = 0
    for reader in [megatron, nanogpt, llmc, datatrove, olmo, mds, litdata]:
        prefix = f"{exports}/{reader.__name__}"
        if not glob.glob(f"{prefix}*"):
            print(f"{reader.__name__:<10} not exported")
            continue
        found = reader(prefix, documents, end)
        same = len(found) == len(documents) and all(np.array_equal(a, b) for a, b in zip(found, documents))
        failed += not same
        ids = sum(len(doc) for doc in documents)
        print(f"{reader.__name__:<10} {'equal' if same else 'DIFFERS'}: {len(found)} documents, {ids} ids")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
