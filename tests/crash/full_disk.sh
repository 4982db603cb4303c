#!/usr/bin/env bash
# A file system that fills up, at many sizes: the command says so with exit code 1, leaves only whole files under final
# names, and run again with room it gives the same bytes. Needs rights of root, for a tmpfs.
#
#   tests/crash/full_disk.sh target/release/ciyuan
set -u
program=$(realpath "$1") here=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
cleanup() { umount "$work/disk" 2> /dev/null; rm -rf "$work"; }
trap cleanup EXIT
cd "$work"
mkdir disk in
"$program" learn "$here/corpora/mixed" -o t.json --vocab-size 400 --quiet > /dev/null || exit 1
for n in $(seq 9000); do echo "{\"text\": \"第${n}条：语言模型学习词元。 Line $n of the file.\"}"; done > in/a.jsonl
run() { "$program" encode in -o disk/out -t t.json --unit-size 40KB --val 0.2 --quiet > said 2>&1; }
digest() { (cd disk/out && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum); }
mount -t tmpfs -o size=64m tmpfs disk || exit 1
run || exit 1
wanted=$(digest) sizes=0 refused=0 wrong=0
umount disk
for size in $(seq 16 32 1200); do
  mount -t tmpfs -o size="${size}k" tmpfs disk || exit 1
  run; code=$?
  sizes=$((sizes + 1))
  if [ $code != 0 ]; then
    refused=$((refused + 1))
    grep -qiE 'no space|are free' said && [ $code = 1 ] || { wrong=$((wrong + 1)); echo "$size KiB: $code $(cat said)" >&2; }
  fi
  for shard in disk/out/*/*.shard; do
    [ ! -e "$shard" ] || "$program" verify "$shard" > /dev/null || wrong=$((wrong + 1))
  done
  mount -o remount,size=64m disk
  run && [ "$(digest)" = "$wanted" ] || { wrong=$((wrong + 1)); echo "$size KiB, again: $(cat said)" >&2; }
  umount disk
done
echo "| sizes of the disk | refused | wrong |"
echo "|---:|---:|---:|"
echo "| $sizes | $refused | $wrong |"
[ $wrong = 0 ]
