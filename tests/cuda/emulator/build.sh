#!/usr/bin/env bash
# Builds the emulated CUDA machine into a folder: put it in front of LD_LIBRARY_PATH and a program that was linked
# against CUDA runs on "xrun emulated device (no GPU)". It is for finding wrong results and wrong calls, never for
# timing. Needs g++ alone, at run time too (NVRTC is g++ here).
# usage: build.sh DIR [--check]
#   --check  builds the emulation's own checks as well and runs them
# At run time: EMULATED_GPUS (2), EMULATED_GPU_UUIDS (a list, in its place), EMULATED_GPU_MEMORY (8G),
# EMULATED_GPU_LOST_AFTER ([ORDINAL:]LAUNCHES), EMULATED_GPU_GUARD=0 (no guard pages), CUDA_VISIBLE_DEVICES.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh DIR [--check]}
mkdir -p "$out/candle" "$out/objects"
out=$(cd "$out" && pwd)
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
flags="-std=c++17 -O2 -ftree-vectorize -g1 -fPIC -Wall -Wextra -pthread"

if ! diff -rq "$here/device" "$out/device" >/dev/null 2>&1; then      # compiled kernels hold these headers
  rm -rf "$out/device" "$out/cache"
  cp -r "$here/device" "$out/device"
fi
# candle brings its kernels as PTX; the emulation compiles their sources instead.
for folder in "$registry"/*/candle-kernels-*/src; do
  [ -d "$folder" ] && cp "$folder"/*.cu "$folder"/*.cuh "$out/candle/"
done

# names LIBRARY: every function that the program could ask the library for, from cudarc's declarations, and as it is
# called where the default stream is one for each thread.
names() {
  cat "$registry"/*/cudarc-*/src/"$1"/sys/mod.rs 2>/dev/null | grep -oE '\bfn p?(cu|nccl|nvrtc)[A-Za-z0-9_]*' | cut -c4- | sort -u | sed -E 'p; s/$/_ptsz/'
}
# object SOURCE: compiles it if it or a header is newer than what is there.
object() {
  local source=$here/$1 target=$out/objects/${1%.cpp}.o
  [ "$target" -nt "$source" ] && [ -z "$(find "$here"/*.h "$here/device/emulated_block.h" ! -name check.h -newer "$target" -print -quit)" ] && return
  g++ $flags -c "$source" -o "$target"
}
# build FILE VERSION CODE NAMES SOURCES...: a library whose functions that the sources lack say so and return CODE.
build() {
  local file=$1 version=$2 code=$3 list=$4 sources=("${@:5}") source
  local base=$out/objects/${file%%.so*}
  {
    echo '#include <stdio.h>'
    echo "static int missing(const char* name) { fprintf(stderr, \"emulated GPU: %s is not emulated\\n\", name); return $code; }"
    names "$list" | sed 's/.*/__attribute__((weak)) int &(void) { return missing("&"); }/'
    [ "$list" != runtime ] || printf '__attribute__((weak)) int %s(void) { return 0; }\n' "${registered[@]}"
  } >"$base.missing.c"
  gcc -O0 -w -fPIC -c "$base.missing.c" -o "$base.missing.o"
  echo "$version { global: *; };" >"$base.map"
  local machine=("$out/libcuda.so.1")
  [ "$file" = libcuda.so.1 ] && machine=(-ldl)
  g++ -shared -pthread -Wl,-soname,"$file" -Wl,--version-script="$base.map" "${sources[@]/#/$out/objects/}" "$base.missing.o" "${machine[@]}" \
    -Wl,-rpath,'$ORIGIN' -o "$out/$file.new"
  mv "$out/$file.new" "$out/$file"
}

machine=(device errors memory copy stream capture module compile block fibers)
for source in "${machine[@]}" nvrtc cublas curand cudnn convolution nccl nccl_room; do echo "$source.cpp"; done | {
  export here out; export flags; export -f object
  xargs -P 2 -I{} bash -c 'set -e; object {}'
}
# What nvcc's own object files register at the start of a program; none of it is called afterwards.
registered=(__cudaRegisterFatBinary __cudaRegisterFatBinaryEnd __cudaUnregisterFatBinary __cudaRegisterFunction __cudaRegisterVar
            __cudaPushCallConfiguration __cudaPopCallConfiguration __cudaInitModule __cudaGetKernel __cudaLaunchKernel __cudaLaunchKernel_ptsz)
build libcuda.so.1 '' 801 driver "${machine[@]/%/.o}"
build libnvrtc.so.13 libnvrtc.so.13 11 nvrtc nvrtc.o
build libcublas.so.13 libcublas.so.13 15 cublas cublas.o
build libcublasLt.so.13 libcublasLt.so.13 15 cublaslt
build libcurand.so.10 libcurand.so.10 999 curand curand.o
build libcudnn.so.9 libcudnn.so.9 3000 cudnn cudnn.o convolution.o
build libnccl.so.2 '' 3 nccl nccl.o nccl_room.o
build libcudart.so.13 libcudart.so.13 801 runtime

if [ "${2:-}" = --check ]; then
  g++ -std=c++17 -O1 -g -Wall -Wextra "$here"/check*.cpp "$out"/lib{cuda.so.1,nvrtc.so.13,cublas.so.13,cudnn.so.9,nccl.so.2} -Wl,-rpath,"$out" -o "$out/check"
  "$out/check"
fi
