#!/usr/bin/env bash
# A power cut at many moments: the command is stopped at a system call, the image under its file system is copied as it
# is then (what was not flushed is not in it), and the copy is mounted as after a restart. There no shard under a final
# name may be damaged, and the command run again must give the same bytes; after a run that came to its end all must be
# there. The control does the same with a `fsync` that does nothing, and must fail. Needs rights of root, strace, losetup.
#
#   tests/crash/power_cut.sh target/release/ciyuan [STEP] [FILE SYSTEM...]
set -u
program=$(realpath "$1") step=${2:-1} here=$(realpath "$(dirname "$0")/../..")
shift; [ $# = 0 ] || shift
systems=${*:-ext4 xfs btrfs}
work=$(mktemp -d)
cleanup() { cd /; umount "$work/disk" "$work/copy" 2> /dev/null; rm -rf "$work"; }
trap cleanup EXIT
cd "$work"
mkdir disk copy in
"$program" learn "$here/corpora/mixed" -o t.json --vocab-size 400 --quiet > /dev/null || exit 1
for n in $(seq 900); do echo "{\"text\": \"第${n}条：语言模型学习词元。 Line $n of the file.\"}"; done > in/a.jsonl
arguments=(encode in -t t.json --unit-size 20KB --val 0.2 --threads 1 --quiet -o)
"$program" "${arguments[@]}" whole > /dev/null || exit 1
digest() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs -r sha256sum | sha256sum); }
wanted=$(digest whole)

bad() { # whether the copy is not as it must be; an argument says that the run had come to its end
  # Only that what is no longer needed is gone may be lost.
  [ -z "${1:-}" ] || "$program" verify copy/out > /dev/null 2>&1 || return 0
  for shard in copy/out/*/*.shard; do
    [ ! -e "$shard" ] || "$program" verify "$shard" > /dev/null 2>&1 || return 0
  done
  [ ! -e copy/out/manifest.json ] || "$program" verify copy/out > /dev/null 2>&1 || return 0
  "$program" "${arguments[@]}" copy/out > /dev/null 2>&1 || return 0
  [ "$(digest copy/out)" != "$wanted" ]
}

cut_at() { # call, number; the fault of the control follows
  local call=$1 at=$2 tracer pid
  shift 2
  rm -rf disk/out; sync -f disk
  strace -f -o trace -e trace="$call,fsync" "$@" -e inject="$call:signal=STOP:when=$at" \
    "$program" "${arguments[@]}" disk/out > /dev/null 2>&1 &
  tracer=$!
  until grep -q 'stopped by SIGSTOP' trace 2> /dev/null || ! kill -0 $tracer 2> /dev/null; do sleep 0.01; done
  cp --sparse=always image image.cut
  ended=; kill -0 $tracer 2> /dev/null || ended=yes
  if [ -z "$ended" ]; then
    pid=$(head -1 trace | cut -d' ' -f1)
    { kill -KILL "$pid" $tracer; wait $tracer; } 2> /dev/null
  fi
  rm -f trace
  # xfs and btrfs refuse two images of one identity at the same time.
  until umount disk 2> /dev/null; do sleep 0.01; done
  if mount -o loop image.cut copy 2> /dev/null; then
    ! bad $ended || failed=$((failed + 1))
    umount copy
  else
    failed=$((failed + 1))
  fi
  mount -o loop image disk
}

echo '| file system | flushes | points | bad |'
echo '|---|---|---:|---:|'
total=0
for system in $systems; do
  which "mkfs.$system" > /dev/null || { echo "| $system | not on this machine | | |"; continue; }
  rm -f image; truncate -s 400M image
  mkfs."$system" image > /dev/null 2>&1 && mount -o loop image disk || { echo "| $system | cannot be mounted | | |"; continue; }
  for control in '' fsync; do
    points=0 failed=0
    for call in write rename; do
      at=1 ended=
      while [ -z "$ended" ]; do
        cut_at $call $at ${control:+-e inject=fsync:retval=0}
        points=$((points + 1)) at=$((at + step))
      done
    done
    echo "| $system | $([ -z "$control" ] && echo done || echo 'left out (control)') | $points | $failed |"
    if [ -z "$control" ]; then total=$((total + failed)); elif [ $failed = 0 ]; then total=$((total + 1)); fi
  done
  umount disk
done
[ $total = 0 ]
