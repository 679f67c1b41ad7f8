#!/usr/bin/env bash
# One part of check.sh, which starts it with a bound on its time and these variables: BIN (folder of the programs), OUT
# (folder for results) and PYTHON. Exit status 0 where all that it shows is right, 77 where that cannot be shown here,
# with the reason in the last line, and anything else where it is wrong.
# usage: parts.sh NAME
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
: "${BIN:?}" "${OUT:?}" "${PYTHON:?}"

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "failed: $*"; exit 1; }
figures() { "$PYTHON" "$here/figures.py" "$@"; }

# xrun_into FOLDER FILE ARGUMENTS...: runs an experiment; results and charts go to folders of this name.
xrun_into() {
    local folder=$1
    shift
    "$BIN/xrun" "$@" --results "$OUT/results/$folder" --plots "$OUT/plots/$folder"
}

# measured FOLDER FILE ARGUMENTS...: the same, and every cell must be measured or skipped.
measured() {
    local status=0
    xrun_into "$@" || status=$?
    figures outcomes "$OUT/results/$1"
    [ "$status" -eq 0 ] || fail "xrun ended with $status"
}

# experiment NAME ARGUMENTS...: a shipped experiment.
experiment() {
    local name=$1
    shift
    measured "$name" "$repository/experiments/$name.toml" "$@"
}

part_tests() {
    local log=$OUT/logs/cuda-tests.txt model
    cd "$repository"
    "$BIN/cuda" --nocapture --test-threads=4 >"$log" 2>&1 || { tail -n 60 "$log"; fail "tests failed: $log"; }
    grep '^test result' "$log"
    ! grep -q 'skipped: no CUDA device' "$log" || fail "xrun sees a GPU, and the tests see none"
    for model in cifar10 mlp sat-seq2seq; do
        "$BIN/step" --gpu first --model "$model" --batch 32 --steps 20 --check | figures gradient
    done
}

part_losses() {
    xrun_into losses "$here/losses.toml" || echo "xrun ended with $?"
    figures losses "$OUT/results/losses"
}

part_probe() { "$BIN/xrun" probe "$repository/experiments/local_cluster_gpu.toml"; }

part_input() {
    experiment input_placement_gpu
    figures input "$OUT/results/input_placement_gpu"
}

part_cifar() { experiment cifar_scaling_gpu; }
part_cluster() { experiment local_cluster_gpu; }
part_graphs() { experiment cuda_graphs_gpu; }

part_aa() {
    measured aa "$repository/experiments/cuda_graphs_gpu.toml" -S measure.aa=true -S measure.repeats=10 \
        -S model.local_batch=128 -S devices.tf32=false
}

part_flavours() {
    [ -x "$BIN/xrun-native" ] || skip "there is no $BIN/xrun-native: pack.sh --native CPU makes it"
    "$BIN/xrun-native" worker --identify >/dev/null || fail "xrun-native does not run on this processor"
    cat >"$OUT/build_flavours_gpu.toml" <<END
schema = 1
name = "build_flavours_gpu"
extends = "$repository/experiments/build_flavours_gpu.toml"

[flavours.cuda-plain]
binary = "$BIN/xrun"

[flavours.cuda-native]
binary = "$BIN/xrun-native"
END
    measured build_flavours_gpu "$OUT/build_flavours_gpu.toml"
}

part_peers() {
    "$PYTHON" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null ||
        skip "$PYTHON has no PyTorch that sees a CUDA device"
    # Fewer rounds where the GPU is slow: a part that check.sh must stop prints no table.
    "$PYTHON" "$repository/benches/peers/gpu.py" --pytorch "$PYTHON" --step-binary "$BIN/step" --csv "$OUT/peers.csv" \
        --seconds 420
}

# Another process on the GPU, whose number is in `holder`, until this one ends.
hold_gpu() {
    "$BIN/step" --gpu first --steps 1000000000 >"$OUT/logs/holder.txt" 2>&1 &
    holder=$!
    trap 'kill "$holder" 2>/dev/null || true' EXIT
    sleep 15
    kill -0 "$holder" 2>/dev/null && return
    cat "$OUT/logs/holder.txt"
    fail "the process that is to hold the GPU has ended"
}

# In a new run each time: one that goes on would not try again what was measured before and should have been skipped.
part_failures() {
    local status=0
    xrun_into memory "$here/small.toml" --rerun all -S model.local_batch=128,1000000 || status=$?
    figures memory "$OUT/results/memory"
    [ "$status" -eq 3 ] || fail "a run with a failed cell ended with $status instead of 3"
    hold_gpu
    if [ -z "$(nvidia-smi --query-compute-apps=pid --format=csv,noheader 2>/dev/null)" ]; then
        echo "not shown: a GPU that another process holds, since NVML lists no processes here, as in most containers"
        return
    fi
    xrun_into occupied "$here/small.toml" --rerun all || fail "xrun ended with $?"
    figures occupied "$OUT/results/occupied"
    xrun_into allowed "$here/small.toml" --rerun all -S devices.allow_occupied=true || fail "xrun ended with $?"
    figures disturbed "$OUT/results/allowed"
}

case ${1:-} in
    tests | losses | failures | probe | peers | input | cifar | cluster | graphs | flavours | aa) "part_$1" ;;
    *) echo "parts: no part '${1:-}'" >&2; exit 2 ;;
esac
