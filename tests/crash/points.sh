#!/usr/bin/env bash
# Kills the command at every system call that changes a file, and lets every one of them fail, by strace's injection.
#
#   tests/crash/points.sh target/release/ciyuan [kill|errors|all] [STEP]
#
# After each point nothing half written may be under a final name (`ciyuan verify`, and no shard that does not verify),
# and the same command run again must give the same bytes. An error must be told with exit code 1 (or be none: EINTR is
# tried again, and what only tidies up may fail), never by a signal or a panic. With STEP only every STEP-th point.
# Prints a table: command, call, fault, points, refused, wrong. Needs strace; no rights of root.
set -u
program=$(realpath "$1") mode=${2:-all} step=${3:-1}
here=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$program" learn "$here/corpora/mixed" -o t.json --vocab-size 400 --quiet > /dev/null || exit 1
mkdir in
for n in $(seq 900); do
  if [ $((n % 301)) = 7 ]; then echo "no record $n"; else echo "{\"text\": \"第${n}条：语言模型学习词元。 Line $n of the file.\"}"; fi
done > in/a.jsonl
encode=(encode in -o out -t t.json --unit-size 20KB --val 0.2 --threads 1 --quiet)
export=(export whole --layout megatron -o out/corpus --threads 1 --quiet)
"$program" encode in -o whole -t t.json --unit-size 20KB --val 0.2 --quiet > /dev/null || exit 1

digest() { (cd out && find . -type f ! -path './.units*' | LC_ALL=C sort | xargs -r sha256sum | sha256sum); }
leftovers() { find out -name '*.tmp' -o -name '.units' -o -name '.*.export' -o -name '.lock' -o -name '.*.lock' | wc -l; }

# What is under a final name must be whole.
check() {
  [ -d out ] || return 0
  for shard in out/train/*.shard out/val/*.shard; do
    [ -e "$shard" ] && { "$program" verify "$shard" > /dev/null 2>&1 || return 1; }
  done
  [ ! -e out/manifest.json ] || "$program" verify out > /dev/null 2>&1 || return 1
  [ ! -e out/corpus.idx ] || cmp -s out/corpus.bin done/corpus.bin || return 1
}

sweep() { # name call fault; the command's arguments follow
  local name=$1 call=$2 fault=$3 points=0 refused=0 wrong=0 at=1 code again
  shift 3
  while :; do
    rm -rf out
    # In braces, so that the shell's own word on a kill goes nowhere.
    { strace -f -o trace -e trace="$call" -e inject="$call:$fault:when=$at" "$program" "$@" > said 2>&1; } 2> /dev/null
    code=$?
    # Past the last call nothing is injected.
    grep -qE 'INJECTED|killed by SIGKILL' trace || { [ $code = 0 ] && break; }
    points=$((points + 1))
    [ $code = 0 ] || refused=$((refused + 1))
    if ! check || grep -q panicked said || { [ "$fault" != signal=KILL ] && [ $code -gt 3 ]; }; then
      wrong=$((wrong + 1)); echo "wrong: $name $call $fault at $at, code $code: $(head -c 300 said)" >&2
    fi
    # An export that came to its end writes over nothing.
    if [ "$name" != export ] || [ ! -e out/corpus.idx ] || [ -e out/.corpus.export ]; then
      "$program" "$@" > again 2>&1; again=$?
      if [ $again != 0 ] || [ "$(digest)" != "$wanted" ] || [ "$(leftovers)" != 0 ]; then
        wrong=$((wrong + 1)); echo "not the same: $name $call $fault at $at: $again $(head -c 300 again)" >&2
      fi
    fi
    at=$((at + step))
  done
  printf '| %s | %s | %s | %d | %d | %d |\n' "$name" "$call" "$fault" "$points" "$refused" "$wrong"
  total=$((total + wrong))
}

total=0
echo '| command | call | fault | points | refused | wrong |'
echo '|---|---|---|---:|---:|---:|'
for name in encode export; do
  declare -n arguments=$name
  rm -rf out done
  "$program" "${arguments[@]}" > /dev/null || exit 1
  wanted=$(digest)
  cp -r out done
  for call in openat write fsync rename mkdir unlink unlinkat; do
    [ "$mode" = errors ] || sweep "$name" "$call" signal=KILL "${arguments[@]}"
    [ "$mode" = kill ] && continue
    case $call in
      openat) faults='EACCES EMFILE ENOSPC EIO' ;;
      write) faults='ENOSPC EIO EDQUOT EINTR' ;;
      fsync) faults='EIO ENOSPC' ;;
      *) faults='EIO ENOSPC' ;;
    esac
    for fault in $faults; do sweep "$name" "$call" "error=$fault" "${arguments[@]}"; done
  done
done
[ "$total" = 0 ]
