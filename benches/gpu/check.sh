#!/usr/bin/env bash
# Shows on a machine with an NVIDIA GPU what can be shown nowhere else. Builds nothing: pack.sh has made the programs.
# usage: check.sh --binaries DIR|ARCHIVE --out DIR [--part NAME]...
#   --binaries  where xrun, cuda and step are (and xrun-native, for the part `flavours`), or gpu-binaries.tar.xz
#   --out       for results, charts and logs, and for one archive of them, gpu-results.tar.gz, whatever went wrong
#   --part      one of the parts below, each under 8 minutes; several in the order that is given; all without it
#     tests      gradients, layers, inputs and exchanges on the GPU: the test program, and whole models against f64
#     losses     20 steps on the CPU and on the GPU
#     failures   a GPU that another process holds, one that runs out of memory, and whether the run goes on
#     probe      ceilings: copies, products, launches
#     peers      xrun beside PyTorch eager, compiled and in a CUDA graph
#     input      input on the host, and on the GPU per image, batched and fused
#     cifar, cluster, graphs, flavours   the shipped experiments with GPU cells
#     aa         the same cell twice: what differs is noise
# PYTHON (python3) is the interpreter of the peers: one with PyTorch. It also tells where CUDA's libraries are, if they
# are not on LD_LIBRARY_PATH and not where the system looks: in a Python environment of NVIDIA's wheels.
# Exit status: 0 all parts passed or were skipped, 1 one failed, 2 an argument is wrong.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
all_parts=(tests losses failures probe peers input cifar cluster graphs flavours aa)
limit_seconds=470

fail() { echo "check: $*" >&2; exit 2; }
usage="usage: check.sh --binaries DIR|ARCHIVE --out DIR [--part NAME]..."

binaries='' out='' parts=()
while [ $# -gt 0 ]; do
    [ "$1" != --help ] || { sed -n '2,/^set/{/^set/!p}' "$0"; exit 0; }
    [ $# -ge 2 ] || fail "$1 needs a value; $usage"
    case $1 in
        --binaries) binaries=$2 ;;
        --out) out=$2 ;;
        --part)
            [[ " ${all_parts[*]} " == *" $2 "* ]] || fail "no part $2; there are ${all_parts[*]}"
            parts+=("$2") ;;
        *) fail "unknown option $1; $usage" ;;
    esac
    shift 2
done
[ -n "$binaries" ] && [ -n "$out" ] || fail "$usage"
[ ${#parts[@]} -gt 0 ] || parts=("${all_parts[@]}")

mkdir -p "$out/logs"
OUT=$(cd "$out" && pwd)
PYTHON=${PYTHON:-python3}
command -v "$PYTHON" >/dev/null || fail "$PYTHON is not installed; PYTHON names another"
if [ -f "$binaries" ]; then
    BIN=$OUT/binaries
    mkdir -p "$BIN"
    "$PYTHON" -m tarfile --extract "$binaries" "$BIN" || fail "cannot unpack $binaries"
else
    BIN=$(cd "$binaries" 2>/dev/null && pwd) || fail "there is no folder and no archive $binaries"
fi
for program in xrun cuda step; do
    [ -x "$BIN/$program" ] || fail "there is no program $BIN/$program: benches/gpu/pack.sh makes it"
done

# Folders with the libraries of NVIDIA's wheels in the Python environment, each followed by a colon.
wheel_folders() {
    "$PYTHON" - <<'END'
import glob, site, sys
for root in dict.fromkeys([*sys.path, *site.getsitepackages(), site.getusersitepackages()]):
    for folder in sorted(glob.glob(f"{root}/nvidia/*/lib")) if root else []:
        print(folder, end=":")
END
}

missing_libraries() { ldd "$BIN/xrun" | sed -n 's/^\s*\(\S*\) => not found$/\1/p' | paste -sd ' '; }

if [ -n "$(missing_libraries)" ]; then
    folders=$(wheel_folders)/usr/local/cuda/lib64${CUDA_HOME:+:$CUDA_HOME/lib64:$CUDA_HOME/lib}
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folders
fi

# Why no part can run: without a driver there is no libcuda and no device.
why_not() {
    local missing reason
    missing=$(missing_libraries)
    if [[ " $missing " == *" libcuda.so.1 "* ]]; then
        echo "skipped: no CUDA device (no libcuda.so.1: NVIDIA's driver is not installed)"
    elif [ -n "$missing" ]; then
        echo "failed: libraries are not found: $missing (LD_LIBRARY_PATH, or a PYTHON with NVIDIA's wheels for CUDA 13)"
    else
        reason=$("$BIN/xrun" plan --json "$here/small.toml" 2>&1 | sed -n 's/.*"\(no GPU found by NVML[^"]*\)".*/\1/p')
        [ -z "$reason" ] || echo "skipped: no CUDA device ($reason)"
    fi
}

# shellcheck disable=SC2329  # the trap calls it
# What is kept is all but unpacked programs; a part that hangs or a signal must not lose what was measured before.
archive() {
    local made waited status=0
    # The part that runs, where this was stopped from outside. `timeout` kills after 20 s what does not end.
    if [ -n "$running" ]; then
        kill -INT "$running" 2>/dev/null || true
        for ((waited = 0; waited < 30; waited++)); do
            kill -0 "$running" 2>/dev/null || break
            sleep 1
        done
    fi
    # Made elsewhere: an archive that grows in the folder that is read is a file that changes.
    made=$(mktemp -d)
    tar -C "$OUT" -czf "$made/gpu-results.tar.gz" --exclude=./binaries --exclude='./*.tar.gz' . || status=$?
    # 1: a file has changed meanwhile, and the archive is whole.
    if [ "$status" -le 1 ] && mv "$made/gpu-results.tar.gz" "$OUT/"; then
        echo "check: everything is in $OUT/gpu-results.tar.gz"
    else
        echo "check: no archive could be made; everything is in $OUT" >&2
    fi
    rm -rf "$made"
}
running='' # process number of the part that runs
trap archive EXIT

record_machine() {
    { date -u; uname -a; nproc; nvidia-smi; nvidia-smi -q; } >"$OUT/logs/machine.txt" 2>&1 || true
    "$PYTHON" -m pip freeze >"$OUT/logs/python.txt" 2>&1 || true
    "$BIN/xrun" worker --identify >"$OUT/logs/program.json" 2>&1 || true
}

# one PART: runs it, and adds its line to the summary.
one() {
    local part=$1 log=$OUT/logs/$1.log status=0 result note=$why
    local start=$SECONDS
    echo "== $part"
    if [ -n "$why" ]; then
        echo "$why" | tee "$log"
        [[ $why == skipped:* ]] && status=77 || status=1
    else
        : >"$log"
        # In the background, since bash acts on a signal only after what runs in the foreground, which Ctrl-C does not
        # reach through `timeout`; and with job control, without which it would ignore SIGINT there.
        set -m
        timeout --signal=INT --kill-after=20 "$limit_seconds" "$here/parts.sh" "$part" >"$log" 2>&1 </dev/null &
        running=$!
        set +m
        tail -f -n +1 --pid="$running" "$log" &
        wait "$running" || status=$?
        running=''
        wait
        note=$(tail -n 1 "$log")
    fi
    case $status in
        0) result=passed; [[ $note == 'not shown'* ]] || note='' ;;
        77) result=skipped note=${note#skipped: } ;;
        124 | 137) result=failed note="took longer than $limit_seconds s" ;;
        *) result=failed note=${note#failed: } ;;
    esac
    [ "$result" != failed ] || failed=1
    printf '%-10s %-8s %5d s  %s\n' "$part" "$result" $((SECONDS - start)) "${note:0:160}" >>"$OUT/summary.txt"
}

export BIN OUT PYTHON
failed=0
why=$(why_not)
record_machine
: >"$OUT/summary.txt"
for part in "${parts[@]}"; do
    one "$part"
done
printf '\n'
cat "$OUT/summary.txt"
exit "$failed"
