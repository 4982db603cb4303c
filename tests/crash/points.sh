#!/usr/bin/env bash
# Kills the command at every system call that changes a file, and lets every one of them fail, by strace's injection; and
# lets every write take only a part of its bytes (short.c).
#
#   tests/crash/points.sh target/release/ciyuan [kill|errors|short|all] [STEP [COMMAND...]]
#
# After each point nothing half written may be under a final name (`ciyuan verify`, and no shard that does not verify),
# and the same command run again must give the same bytes. An error must be told with exit code 1 (or be none: EINTR is
# tried again, as is the rest of a short write, and what only tidies up may fail), never by a signal or a panic. With STEP
# only every STEP-th point. Prints a table: command, call, fault, points, refused, wrong. Needs strace and cc; no rights of
# root.
set -u
program=$(realpath "$1") mode=${2:-all} step=${3:-1}
shift $(($# < 3 ? $# : 3))
names=${*:-encode export learn import shuffle}
here=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cc -shared -fPIC -o short.so "$here/tests/crash/short.c" -ldl || exit 1
"$program" learn "$here/corpora/mixed" -o t.json --vocab-size 400 --quiet > /dev/null || exit 1
mkdir in
for n in $(seq 900); do
  if [ $((n % 301)) = 7 ]; then echo "no record $n"; else echo "{\"text\": \"第${n}条：语言模型学习词元。 Line $n of the file.\"}"; fi
done > in/a.jsonl
common='--threads 1 --quiet'
encode="encode in -o out -t t.json --unit-size 20KB --val 0.2"
export="export whole --layout megatron -o out/corpus"
learn="learn in -o out/t.json --save-counts out/c --vocab-size 300 --memory 100KB"
import="import --layout megatron done/corpus -t t.json -o out"
shuffle="shuffle whole -o out"
"$program" encode in -o whole -t t.json --unit-size 20KB --val 0.2 --quiet > /dev/null || exit 1
"$program" export whole --layout megatron -o done/corpus --quiet > /dev/null || exit 1

digest() { (cd out && find . -type f ! -path './.units*' | LC_ALL=C sort | xargs -r sha256sum | sha256sum); }
leftovers() { find out -name '*.tmp' -o -name '.units' -o -name '.*.export' -o -name '.lock' -o -name '.*.lock' -o -name .import | wc -l; }

# What is under a final name must be whole.
check() {
  [ -d out ] || return 0
  local shards
  shards=$(find out -name '*.shard')
  [ -z "$shards" ] || "$program" verify $shards > /dev/null 2>&1 || return 1
  [ ! -e out/manifest.json ] || "$program" verify out > /dev/null 2>&1 || return 1
  [ ! -e out/corpus.idx ] || cmp -s out/corpus.bin done/corpus.bin || return 1
  [ ! -e out/t.json ] || cmp -s out/t.json learned/t.json || return 1
  [ ! -e out/c ] || cmp -s out/c learned/c || return 1
}

# An export or an import that came to its end writes over nothing, and is not given again.
is_over() {
  case $name in
    export) [ -e out/corpus.idx ] && [ ! -e out/.corpus.export/moves ] ;;
    import) [ -e out/manifest.json ] && [ ! -e out/.import ] ;;
    *) false ;;
  esac
}

# Where learning is to put its files must be there; the other commands make their folder.
begin() { rm -rf out; [ "$name" != learn ] || mkdir out; }

# Runs the command with a fault at the call numbered `at`; fails where there was no such call.
disturbed() { # call fault; the command's arguments follow
  local call=$1 fault=$2 shim
  shift 2
  case $fault in
    short*)
      rm -f told
      shim="LD_PRELOAD=$work/short.so TOLD=$work/told"
      case $fault in
        short) shim="$shim SHORT=$at" ;;
        'short, then ENOSPC') shim="$shim SHORT=$at FULL=1" ;;
        'short, always') shim="$shim SHORT=0" ;;
      esac
      env $shim "$program" "$@" > said 2>&1
      code=$?
      [ -e told ]
      ;;
    *)
      # In braces, so that the shell's own word on a kill goes nowhere.
      { strace -f -o trace -e trace="$call" -e inject="$call:$fault:when=$at" "$program" "$@" > said 2>&1; } 2> /dev/null
      code=$?
      grep -qE 'INJECTED|killed by SIGKILL' trace
      ;;
  esac
}

sweep() { # call fault; the command's arguments follow
  local call=$1 fault=$2 points=0 refused=0 wrong=0 at=1 code again
  shift 2
  while :; do
    begin
    # Past the last call nothing is injected.
    disturbed "$call" "$fault" "$@" || { [ $code = 0 ] && break; }
    points=$((points + 1))
    [ $code = 0 ] || refused=$((refused + 1))
    if ! check || grep -q panicked said || { [ "$fault" != signal=KILL ] && [ $code -gt 3 ]; }; then
      wrong=$((wrong + 1)); echo "wrong: $name $call $fault at $at, code $code: $(head -c 300 said)" >&2
    fi
    if ! is_over; then
      "$program" "$@" > again 2>&1; again=$?
      if [ $again != 0 ] || [ "$(digest)" != "$wanted" ] || [ "$(leftovers)" != 0 ]; then
        wrong=$((wrong + 1)); echo "not the same: $name $call $fault at $at: $again $(head -c 300 again) $(find out -name '*.tmp')" >&2
      fi
    fi
    [ "$fault" != 'short, always' ] || break
    at=$((at + step))
  done
  printf '| %s | %s | %s | %d | %d | %d |\n' "$name" "$call" "${fault#error=}" "$points" "$refused" "$wrong"
  total=$((total + wrong)) all=$((all + points))
}

total=0 all=0
echo '| command | call | fault | points | refused | wrong |'
echo '|---|---|---|---:|---:|---:|'
for name in $names; do
  arguments="${!name} $common"
  begin
  "$program" $arguments > /dev/null || exit 1
  wanted=$(digest)
  [ "$name" != learn ] || cp -r out learned
  if [ "$mode" = short ] || [ "$mode" = all ]; then
    for fault in short 'short, then ENOSPC' 'short, always'; do sweep write "$fault" $arguments; done
  fi
  [ "$mode" != short ] || continue
  for call in openat write fsync rename mkdir unlink unlinkat; do
    [ "$mode" = errors ] || sweep "$call" signal=KILL $arguments
    [ "$mode" = kill ] && continue
    case $call in
      openat) faults='EACCES EMFILE ENOSPC EIO EDQUOT EINTR' ;;
      write) faults='ENOSPC EIO EDQUOT EINTR' ;;
      fsync) faults='EIO ENOSPC EDQUOT EINTR' ;;
      *) faults='EIO ENOSPC EDQUOT' ;;
    esac
    for fault in $faults; do sweep "$call" "error=$fault" $arguments; done
  done
done
echo "| all | | | $all | | $total |"
[ "$total" = 0 ]
