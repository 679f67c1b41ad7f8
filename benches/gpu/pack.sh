#!/usr/bin/env bash
# Builds what check.sh needs on a machine with a GPU, here, where a CUDA toolkit is (toolkit.sh gets one), and puts it
# into DIR and into one archive, DIR/gpu-binaries.tar.xz: the programs xrun, cuda (tests), step (benchmark), and with
# --native xrun-native, which is compiled for another processor.
# usage: pack.sh DIR [--native CPU] [--profile NAME]
#   --native CPU    what the processor of that machine has, such as x86-64-v3 or sapphirerapids; for the part `flavours`
#   --profile NAME  of cargo, instead of `release`
# Kernels are for GPUs like the H100, unless CUDA_COMPUTE_CAP says another than 90.
set -euo pipefail

fail() { echo "pack: $*" >&2; exit 2; }
usage="usage: pack.sh DIR [--native CPU] [--profile NAME]"
most_bytes=$((60 * 1000 * 1000))
features=cuda,cudnn,nccl

out='' native='' profile=release
while [ $# -gt 0 ]; do
    [[ $1 != --* ]] || [ $# -ge 2 ] || fail "$1 needs a value; $usage"
    case $1 in
        --native) native=$2; shift 2 ;;
        --profile) profile=$2; shift 2 ;;
        -*) fail "unknown option $1; $usage" ;;
        *) [ -z "$out" ] || fail "$usage"; out=$1; shift ;;
    esac
done
[ -n "$out" ] || fail "$usage"
nvcc=${CUDA_HOME:+$CUDA_HOME/bin/nvcc}
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
command -v "${nvcc:-nvcc}" >/dev/null || fail "no CUDA toolkit: set CUDA_HOME, or get one by benches/gpu/toolkit.sh DIR"
for tool in cargo strip tar xz; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."

# build TARGETS...: builds them, and prints cargo's messages on what was made.
build() { cargo build --profile "$profile" --features "$features" --message-format=json "$@"; }

# take MESSAGES KIND NAME AS: copies a program that cargo has made, without what only debuggers read.
take() {
    local program
    program=$(grep "\"kind\":\[\"$2\"\]" "$1" | grep "\"name\":\"$3\"" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1) || true # grep has found nothing: said below
    [ -n "$program" ] || fail "cargo made no $3"
    strip -o "$out/$4" "$program"
    printf '%12s bytes  %s\n' "$(stat -c %s "$out/$4")" "$4"
}

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
build --bin xrun --test cuda --bench step >"$messages"
take "$messages" bin xrun xrun
take "$messages" test cuda cuda
take "$messages" bench step step
programs=(xrun cuda step)
if [ -n "$native" ]; then
    RUSTFLAGS="-C target-cpu=$native" build --bin xrun --target-dir "${CARGO_TARGET_DIR:-target}/native" >"$messages"
    take "$messages" bin xrun xrun-native
    programs+=(xrun-native)
fi

# archive PROGRAMS...: the programs are alike, which a window over all of them finds.
archive() {
    tar -C "$out" -c "$@" | xz -T1 --lzma2=preset=6,dict=96MiB >"$out/gpu-binaries.tar.xz"
    stat -c %s "$out/gpu-binaries.tar.xz"
}
bytes=$(archive "${programs[@]}")
if [ "$bytes" -gt "$most_bytes" ] && [ -n "$native" ]; then
    echo "pack: $bytes bytes are more than $most_bytes: xrun-native is left out of the archive"
    bytes=$(archive xrun cuda step)
fi
[ "$bytes" -le "$most_bytes" ] || fail "gpu-binaries.tar.xz has $bytes bytes, more than $most_bytes"
echo "pack: $out/gpu-binaries.tar.xz: $bytes bytes"
