#!/usr/bin/env bash
# Fetches real Chinese and English text for tests and benchmarks: documentation packages from the
# Debian archive this machine is set up for, turned into JSON lines by extract.py (which holds the
# list of packages and all the rules of what is kept).
#
#   corpora/fetch.sh [--keep DIR] [--skip-missing]
#
#   --keep DIR       keep the downloaded .deb files in DIR and use those already there (also:
#                    environment variable CORPORA_KEEP); with all of them there, no network is used
#   --skip-missing   go on without packages that the archive does not have
#
# Writes corpora/real/{zh,zh_trad,en}/<package>.jsonl and corpora/real/PACKAGES.tsv. Needs no root:
# packages are downloaded and unpacked into a temporary folder (TMPDIR; about 500 MB for a minute or
# two), never installed. The same package versions give the same bytes.
set -euo pipefail
export LC_ALL=C PYTHONUTF8=1

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
keep=${CORPORA_KEEP:-}
skip_missing=

die() { printf 'fetch.sh: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --keep) [ $# -ge 2 ] || die "--keep needs a folder"; keep=$2; shift 2 ;;
    --keep=*) keep=${1#*=}; shift ;;
    --skip-missing) skip_missing=1; shift ;;
    -h|--help) sed -n '2,/^set /{s/^#$//p;s/^# //p;}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $1 (see --help)" ;;
  esac
done

for tool in python3 dpkg-deb; do
  command -v "$tool" >/dev/null || die "$tool not found: install it first (Debian, Ubuntu: apt-get install python3 dpkg)"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "python3 is too old: 3.9 or newer is needed"

work=$(mktemp -d)
out=$here/real new=$here/real.tmp old=$here/real.old
cleanup() {
  rm -rf -- "$work" "$new"
  # Stopped between the two renames at the end: put the old folder back.
  if [ -e "$old" ] && [ ! -e "$out" ]; then mv -- "$old" "$out"; fi
}
trap cleanup EXIT

debs=$work/debs
if [ -n "$keep" ]; then
  mkdir -p -- "$keep"
  debs=$(cd -- "$keep" && pwd)
fi
mkdir -p -- "$debs" "$work/download"

# The newest .deb of a package that is at hand, or nothing.
deb_of() { find "$debs" -maxdepth 1 -name "$1_*.deb" | sort -V | tail -n 1; }

packages=$(python3 "$here/extract.py" --packages)
wanted=() missing=()
for package in $packages; do
  [ -z "$(deb_of "$package")" ] || continue
  command -v apt-get >/dev/null && command -v apt-cache >/dev/null ||
    die "apt-get not found: this needs Debian or Ubuntu, or a folder that has the .deb files (--keep DIR)"
  if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then
    wanted+=("$package")
  else
    missing+=("$package")
  fi
done
if [ ${#missing[@]} -gt 0 ]; then
  printf 'fetch.sh: not in the package lists: %s\n' "${missing[*]}" >&2
  [ -n "$skip_missing" ] || die "run 'apt-get update' as root and try again, or go on without them: --skip-missing"
fi
if [ ${#wanted[@]} -gt 0 ]; then
  printf 'downloading %d packages\n' "${#wanted[@]}" >&2
  # Run as root, apt-get would change to a user who cannot write into this folder: not here.
  (cd -- "$work/download" && apt-get -q -o APT::Sandbox::User=root download "${wanted[@]}" >&2) ||
    die "the download failed: is the network there? If it says 404, run 'apt-get update' as root and try again"
  mv -- "$work"/download/*.deb "$debs"/    # so that only whole files get into the kept folder
fi

for package in $packages; do
  deb=$(deb_of "$package")
  [ -n "$deb" ] || continue
  mkdir -p -- "$work/root/$package"
  dpkg-deb -x "$deb" "$work/root/$package"
  dpkg-deb -e "$deb" "$work/root/$package/DEBIAN"    # the control file, for the version
done

# Replace the folder whole: a reader sees the old one or the new one, never a mixture.
rm -rf -- "$new" "$old"
mkdir -- "$new"
python3 "$here/extract.py" "$work/root" "$new"
if [ -e "$out" ]; then mv -- "$out" "$old"; fi
mv -- "$new" "$out"
rm -rf -- "$old"
