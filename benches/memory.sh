#!/bin/bash
# Memory is bounded: ten gigabytes of text, and hostile files, within a control group of 512 MB.
#
#     cargo build --release && sudo benches/memory.sh target/release/ciyuan zh.jsonl [GIGABYTES]
#
# Needs root, and control groups of version 1 or 2. The text is that of the file given, over and over: through a pipe, so
# that it takes no room on disk, and for `encode` as one file under many names. A process that passes the limit is killed,
# and the script ends there. Each row: what ran, its exit code, the highest memory of the group that is not the file cache.
set -euo pipefail
ciyuan=$(realpath "$1") text=$(realpath "$2") gigabytes=${3:-10} limit=$((512 << 20))
work=$(mktemp -d) group=
finish() {
    rm -rf "$work"
    if [ -n "$group" ]; then rmdir "$group" 2> /dev/null || true; fi
}
trap finish EXIT
cd "$work"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/ciyuan-$$ names="memory.max memory.stat"
    echo +memory > /sys/fs/cgroup/cgroup.subtree_control
else
    group=/sys/fs/cgroup/memory/ciyuan-$$ names="memory.limit_in_bytes memory.stat"
fi
mkdir "$group"
echo $limit > "$group/${names%% *}"

# Runs a command in the group, and watches it. The cache of files is given back when memory runs short, and does not count.
within() {
    local name=$1 expected=$2 highest=0 code=0 now
    shift 2
    bash -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$group" "$@" > out.log 2> err.log <&0 &
    local running=$!
    while kill -0 $running 2> /dev/null; do
        now=$(awk '$1 == "rss" || $1 == "anon" { print $2 }' "$group/memory.stat")
        if [ "${now:-0}" -gt "$highest" ]; then highest=$now; fi
        sleep 0.1
    done
    wait $running || code=$?
    echo "| $name | $code | $((highest >> 20)) MiB |"
    if [ $code -ne "$expected" ]; then
        tail -3 err.log
        exit 1
    fi
}
# The text again and again, so many bytes.
again() { while cat "$text"; do :; done 2> /dev/null | head -c "$1" || true; }

gb=1000000000
$ciyuan learn "$text" -o t.json --vocab-size 1000 --quiet --max-document 1MB > /dev/null
echo "| within 512 MiB | exit code | highest memory |"
echo "|---|---|---|"
within "count, ${gigabytes} GB by a pipe" 0 "$ciyuan" count - --format jsonl --memory 256MB < <(again $((gigabytes * gb)))
within "learn, ${gigabytes} GB by a pipe" 0 "$ciyuan" learn - --format jsonl --memory 256MB -o l.json --vocab-size 1000 \
    < <(again $((gigabytes * gb)))
again $gb > 0.jsonl
for n in $(seq 1 $((gigabytes - 1))); do ln 0.jsonl "$n.jsonl"; done
within "encode, ${gigabytes} files of 1 GB" 0 "$ciyuan" encode ./*.jsonl -t t.json -o shards --memory 256MB
rm -rf shards ./*.jsonl
# A line of 2 GB: it is named, and its neighbours are read.
long() { printf '{"text": "one"}\n{"text": "'; head -c $((2 * gb)) /dev/zero | tr '\0' a; printf '"}\n{"text": "two"}\n'; }
within "count, a line of 2 GB" 0 "$ciyuan" count - --format jsonl --memory 256MB --json < <(long)
grep -q '"documents":2,"rejected":1' out.log
within "learn, a line of 2 GB, every bad record an error" 3 "$ciyuan" learn - --format jsonl --memory 256MB -o l.json \
    --on-bad-record fail < <(long)
grep -q 'line 2, byte 16' err.log
# Bombs: 4 GB that unpack from some kilobytes or megabytes, without a line end and as one document.
for tool in "gzip -1" "zstd -q" "xz -0" "bzip2 -1"; do
    command -v "${tool%% *}" > /dev/null || continue
    end=$(case ${tool%% *} in gzip) echo gz ;; zstd) echo zst ;; xz) echo xz ;; bzip2) echo bz2 ;; esac)
    head -c $((4 * gb)) /dev/zero | $tool > "bomb.jsonl.$end"
    within "count, 4 GB of zeros in .$end of $(stat -c %s "bomb.jsonl.$end") bytes" 0 "$ciyuan" count "bomb.jsonl.$end" \
        --memory 256MB
    mv "bomb.jsonl.$end" "bomb.txt.$end"
    within "count, as one document" 0 "$ciyuan" count "bomb.txt.$end" --memory 256MB
    rm bomb.*
done
