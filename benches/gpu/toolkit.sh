#!/usr/bin/env bash
# Puts a CUDA 13.0 compiler and the libraries that xrun's features `cuda`, `cudnn` and `nccl` link into a folder, from
# NVIDIA's wheels on PyPI, on a machine that has no CUDA toolkit and needs no GPU. Then
#   source DIR/env.sh && cargo build --release --features cuda,cudnn,nccl
# Needs python3 with pip, gcc, and 6 GB of disk. What is built runs where NVIDIA's driver is, with the same libraries.
# usage: toolkit.sh DIR
set -euo pipefail

fail() { echo "toolkit: $*" >&2; exit 2; }

[ $# -eq 1 ] || fail "usage: toolkit.sh DIR"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 -m pip does not work: install python3 and pip"
command -v gcc >/dev/null || fail "gcc is not installed"
mkdir -p "$1"
dir=$(cd "$1" && pwd)
nvidia=$dir/wheels/nvidia
cuda=$nvidia/cu13

python3 -m pip install --quiet --no-deps --upgrade --target "$dir/wheels" \
    'nvidia-cuda-nvcc==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-cccl==13.0.*' \
    'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-curand==10.4.*' \
    nvidia-cudnn-cu13 nvidia-nccl-cu13
[ -f "$cuda/bin/nvcc" ] || fail "the wheels brought no $cuda/bin/nvcc"
chmod +x "$cuda"/bin/* "$cuda"/nvvm/bin/*

# Wheels hold libfoo.so.13 alone; a linker that is told -lfoo looks for libfoo.so.
for folder in "$cuda/lib" "$nvidia/cudnn/lib" "$nvidia/nccl/lib"; do
    for library in "$folder"/lib*.so.*; do
        name=$(basename "$library")
        ln -sf "$name" "$folder/${name%%.so.*}.so"
    done
done

# libcuda comes with the driver. To link without one takes a library with the names of its functions.
mkdir -p "$cuda/lib/stubs"
grep -ohE '\bcu[A-Z][A-Za-z0-9_]+\b' "$cuda/include/cuda.h" | sort -u | sed 's/.*/void &(void) {}/' |
    gcc -x c -w -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$cuda/lib/stubs/libcuda.so" -

# Without CUDA_COMPUTE_CAP kernels are built for the GPU that is there; where there is none, for the H100.
cat >"$dir/env.sh" <<ENV
export CUDA_HOME="$cuda" PATH="$cuda/bin:\$PATH"
export LIBRARY_PATH="$cuda/lib:$cuda/lib/stubs:$nvidia/cudnn/lib:$nvidia/nccl/lib\${LIBRARY_PATH:+:\$LIBRARY_PATH}"
export CPATH="$nvidia/cudnn/include:$nvidia/nccl/include\${CPATH:+:\$CPATH}"
case \$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null) in
    [0-9]*) ;;
    *) export CUDA_COMPUTE_CAP="\${CUDA_COMPUTE_CAP:-90}" ;;
esac
ENV
"$cuda/bin/nvcc" --version | tail -n 2
echo "toolkit: source $dir/env.sh"
