#!/usr/bin/env bash
# Installs the built program under PREFIX (/usr/local; DESTDIR goes before it): the binary, the configs, completions for bash,
# zsh and fish, and manual pages. Every file is named as it is written.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
case $prefix in /*) ;; *) echo "PREFIX is $prefix; give an absolute path" >&2; exit 2 ;; esac
root=${DESTDIR:-}$prefix
program=.build/release/spqat

put() { # MODE FILE TARGET
  install -D -m "$1" "$2" "$root/$3"
  echo "$root/$3"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
put 755 $program bin/spqat
[ ! -e .build/mpi/libspqat-mpi.so ] || put 755 .build/mpi/libspqat-mpi.so lib/spqat/libspqat-mpi.so
for config in configs/*; do put 644 "$config" "share/spqat/$config"; done
for shell in bash zsh fish; do $program --generate-completion-script $shell > "$work/$shell"; done
put 644 "$work/bash" share/bash-completion/completions/spqat
put 644 "$work/zsh" share/zsh/site-functions/_spqat
put 644 "$work/fish" share/fish/vendor_completions.d/spqat.fish
swift package --allow-writing-to-package-directory generate-manual --multi-page > "$work/manual.log" 2>&1 ||
  { cat "$work/manual.log" >&2; exit 1; }
for page in .build/plugins/GenerateManual/outputs/spqat/*.1; do
  put 644 "$page" "share/man/man1/$(basename "$page")"
done
