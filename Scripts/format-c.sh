#!/usr/bin/env bash
# Lays out the C and C++ sources as .clang-format says.
#   format-c.sh           rewrites them
#   format-c.sh --check   changes nothing; names what differs and fails
# One version everywhere, since versions differ: the clang-format on PATH where it is that one, else PyPI's in .venv-clang-format.
set -euo pipefail
cd "$(dirname "$0")/.."

version=20.1.8
venv=.venv-clang-format

is_wanted() { "$1" --version 2>/dev/null | grep -q "version $version\b"; }

tool=clang-format
if ! is_wanted "$tool"; then
  tool=$venv/bin/clang-format
  if ! is_wanted "$tool"; then
    log=$(mktemp)
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q "clang-format==$version"; } >"$log" 2>&1; then
      tail -n 3 "$log" >&2
      rm -f "$log"
      echo "format-c: clang-format $version is not on PATH and could not be installed; the lines above say why" >&2
      exit 2
    fi
    rm -f "$log"
  fi
fi

mode=(-i)
[ "${1:-}" = --check ] && mode=(--dry-run --Werror)
git ls-files --cached --others --exclude-standard 'Sources/*.c' 'Sources/*.h' 'Scripts/mpi/*.c' 'Scripts/peer/*.cpp' | while read -r file; do
  if [ -e "$file" ]; then printf '%s\0' "$file"; fi
done | xargs -0 "$tool" "${mode[@]}"
