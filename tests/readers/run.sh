#!/usr/bin/env bash
# Exports the project's corpora in every layout, and reads them with the real packages: tests/readers/run.sh [VENV]
# Needs the network and some gigabytes (torch) unless VENV holds them already; so it is no part of `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${1:-target/readers-venv}
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  # Their pins exclude each other, so each comes without its dependencies; what their imports need follows.
  "$venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6 tokenizers transformers lightning_utilities zstd xxhash \
    brotli python-snappy tqdm boto3 requests rich pandas pillow google-cloud-storage paramiko azure-identity \
    azure-storage-blob azure-storage-file-datalake oci wrapt smart_open requirements-parser loguru humanize fsspec dill \
    multiprocess
  "$venv/bin/pip" install --quiet --no-deps -r tests/readers/requirements.txt
  "$venv/bin/pip" install --quiet --no-deps torchvision obstore tifffile bettermap dataclass-extensions \
    importlib_resources omegaconf antlr4-python3-runtime catalogue necessary msgspec platformdirs cached_path
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ciyuan() { cargo run --quiet -- "$@"; }

# Ids of two bytes: the project's own text. Ids of four: the golden files of 70,000 tokens.
ciyuan prepare corpora -o "$work/narrow" --steps 2 --context 16 --width 16 --heads 2 --quiet > "$work/told"
ciyuan import --layout megatron tests/golden/layouts/wide/megatron --vocab-size 70000 --end-of-text 69999 -o "$work/wide"
for case in narrow wide; do
  for layout in megatron nanogpt llmc datatrove olmo mds litdata; do
    if [ $case = wide ] && { [ $layout = nanogpt ] || [ $layout = llmc ]; }; then continue; fi
    several=()
    case $layout in llmc | olmo | mds | litdata) several=(--file-bytes 60000) ;; esac
    ciyuan export "$work/$case" --layout $layout -o "$work/exports-$case/$layout" "${several[@]}" > "$work/told"
  done
  echo "$case:"
  "$venv/bin/python" tests/readers/read.py "$work/$case" "$work/exports-$case"
done
