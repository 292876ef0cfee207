#!/usr/bin/env bash
# There is no container engine in the checks, so every RUN line of the Containerfile has to be a line of .ci/run, in order;
# what it copies has to be there.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
position=0
while read -r command; do
  line=$(grep -nxF -- "$command" .ci/run | cut -d: -f1 | awk -v after="$position" '$1 > after' | head -n 1)
  if [ -z "$line" ]; then
    echo "Containerfile: 'RUN $command' is no line of .ci/run after line $position" >&2
    status=1
  else
    position=$line
  fi
done < <(sed -n 's/^RUN //p' Containerfile)
[ "$position" -gt 0 ] || { echo "Containerfile: has no RUN line" >&2; status=1; }
for file in $(sed -n 's/^COPY \([^-].*\) [^ ]*$/\1/p' Containerfile); do
  [ -e "$file" ] || { echo "Containerfile: copies $file, which is not there" >&2; status=1; }
done
[ "$status" -ne 0 ] || echo "the Containerfile runs what .ci/run runs"
exit $status
