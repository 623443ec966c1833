#!/bin/sh
# pkgconfig.sh PREFIX COMPILER FOLDER: a program built against an installed qkv with pkg-config alone.
set -e
PKG_CONFIG_PATH=$(dirname "$(find "$1" -name qkv.pc | head -1)")
export PKG_CONFIG_PATH
mkdir -p "$3"
here=$(dirname "$0")
for source in "$here"/main.cc "$here"/../../examples/systems/translate.cc; do
  # shellcheck disable=SC2046
  "$2" -std=c++20 -O1 -Wall -Wextra -Wpedantic -Wconversion -Werror "$source" \
    -o "$3/$(basename "$source" .cc)" $(pkg-config --cflags --libs qkv)
done
"$3"/main
