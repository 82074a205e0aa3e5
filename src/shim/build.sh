#!/bin/sh
# Builds the shim from shim.c, reproducibly: no paths, build ids or times in the output. Needs gcc and
# gcc-aarch64-linux-gnu of Debian; the committed binaries are those of Debian 12 (gcc 12.2).
#
#     src/shim/build.sh [OUTPUT_FOLDER [x64|arm64]]
set -eu
cd "$(dirname "$0")"
out=${1:-bin}
mkdir -p "$out"

for arch in ${2:-x64 arm64}; do
  case $arch in
    x64) triplet=x86_64-linux-gnu only="-fcf-protection=none" ;;
    arm64) triplet=aarch64-linux-gnu only="-mno-outline-atomics" ;;
    *) echo "unknown architecture: $arch (x64 or arm64)" >&2; exit 2 ;;
  esac
  if ! command -v "$triplet-gcc" >/dev/null; then
    echo "$triplet-gcc is missing: apt-get install gcc-$(echo "$triplet" | tr _ -)" >&2
    exit 1
  fi
  "$triplet-gcc" -std=c11 -Os -Wall -Wextra -Werror $only \
    -ffreestanding -nostdlib -static -no-pie -fno-pie -s \
    -fno-stack-protector -fno-asynchronous-unwind-tables -fomit-frame-pointer \
    -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro -Wl,-z,noseparate-code \
    -o "$out/berth-shim-linux-$arch" shim.c
done
