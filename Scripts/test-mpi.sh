#!/usr/bin/env bash
# Sweeps with several processes beside one process: the same files must come of both. Both recipes, weight gradients in floats and
# in integers, freezing, a last batch with fewer slices than processes, batches in parts, pictures of any size.
#   test-mpi.sh            skipped, with exit status 0, where there is no MPI
#   test-mpi.sh --kill N   kills one process at N random moments besides; what is left must lead to the same files
set -euo pipefail
cd "$(dirname "$0")/.."
spqat=$PWD/.build/release/spqat

say() { echo "test-mpi: $*"; }
fail() { say "failed: $*" >&2; exit 1; }
kills=0
[ "${1:-}" != --kill ] || kills=$2
command -v mpicc >/dev/null 2>&1 && command -v mpirun >/dev/null 2>&1 ||
  { say "skipped: no mpicc and mpirun; on Debian and Ubuntu: apt-get install libopenmpi-dev openmpi-bin"; exit 0; }
[ -x "$spqat" ] || { say "no $spqat; run 'make build' first" >&2; exit 2; }
Scripts/mpi/build.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# More processes than cores, by root too, on none in particular: names of Open MPI.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1

cat >"$work/together.json" <<'JSON'
{
  "name": "together", "dataset": "sample", "batchSize": 32, "duration": "3ep", "bits": { "weights": 2, "activations": 2 },
  "freezing": { "threshold": "linear", "start": "10%" }, "pretraining": { "duration": "1ep", "batchSize": 32 },
  "subset": 38, "axes": [
    { "recipe": ["spqat", "lts", "lts"], "gradients": ["float32", "float32", "int16"] },
    { "method": ["fullQAT", "freeze"] }
  ]
}
JSON
# Pictures of any size that are read while training, a batch in two parts, dropout.
cat >"$work/pictures.json" <<'JSON'
{
  "name": "pictures", "dataset": "shapes", "model": "mobilenetv2",
  "images": { "crop": 32, "resize": 40 }, "decode": "stream", "batchSize": 32, "microbatch": 16, "duration": "4it",
  "bits": { "weights": 4, "activations": 4 }, "freezing": { "threshold": "linear", "distanceEMA": 0 },
  "pretraining": { "duration": "2it", "batchSize": 32 }, "axes": [{ "method": ["freeze"] }]
}
JSON
"$spqat" dataset shapes --to "$work/data/shapes" >/dev/null 2>&1
cp -r datasets/sample "$work/data/sample"

sweep() { # EXPERIMENT RESULTS PROCESSES OPTIONS...
  local launcher=()
  [ "$3" -eq 1 ] || launcher=(mpirun -n "$3")
  # Of four processes each has fewer slices than threads.
  "${launcher[@]}" "$spqat" sweep "$work/$1.json" --datasets "$work/data" --threads "$([ "$3" -eq 4 ] && echo 3 || echo 1)" \
    --results "$work/$2" "${@:4}"
}
compare() { # EXPERIMENT RESULTS
  local file
  for file in "$work/one/$1"/runs/*.h5; do
    "$spqat" diff --ignore-times "$file" "$work/$2/$1/runs/${file##*/}" >"$work/diff" ||
      fail "$1, $2: ${file##*/} differs: $(head -n 3 "$work/diff")"
  done
}

for experiment in together pictures; do
  sweep "$experiment" one 1 >/dev/null 2>"$work/log" || fail "$experiment, one process: $(tail -n 1 "$work/log")"
  for processes in 2 4; do
    sweep "$experiment" "$processes" "$processes" >/dev/null 2>"$work/log" ||
      fail "$experiment, $processes processes: $(tail -n 3 "$work/log")"
    compare "$experiment" "$processes"
    say "$experiment: $(ls "$work/one/$experiment"/runs/*.h5 | wc -l) runs by $processes processes, the same to the bit as by one"
  done
done

# Processes that are bound to a core each, where the machine has more for them.
if [ "$(nproc)" -ge 4 ]; then
  mpirun -n 2 --bind-to core "$spqat" sweep "$work/together.json" --datasets "$work/data" --results "$work/bound" --dry-run \
    >"$work/out" 2>&1 || fail "bound to cores: $(tail -n 1 "$work/out")"
  grep -q "mpirun has bound every process to 1 of this machine's" "$work/out" || fail "no warning of processes bound to a core"
fi

# What cannot be divided is refused in one line.
for count in 3 16; do
  status=0
  sweep together refused "$count" >"$work/out" 2>"$work/log" || status=$?
  [ "$status" -eq 2 ] && [ "$(grep -c '^spqat:' "$work/log")" -eq 1 ] && [ ! -s "$work/out" ] ||
    fail "$count processes: status $status, $(cat "$work/log")"
done

# The sweep's processes.
ours() {
  local process
  for process in $(pgrep -x spqat); do
    ! grep -qaF "$work/" "/proc/$process/cmdline" 2>/dev/null || echo "$process"
  done
}

# Kills of any process, with 1, 2 or 4 of them, until the sweep is finished.
killed=0
[ "$kills" -eq 0 ] || while [ "$killed" -lt "$kills" ]; do
  rm -rf "$work/killed"
  while :; do
    processes=$((1 << RANDOM % 3))
    sweep together killed "$processes" --checkpoint-seconds 0 >/dev/null 2>"$work/log" &
    child=$!
    sleep "$(awk -v random=$RANDOM 'BEGIN { print 0.3 + 3 * random / 32768 }')"
    victim=$(ours | shuf -n 1)
    if [ "$killed" -lt "$kills" ] && [ -n "$victim" ] && kill -KILL "$victim" 2>/dev/null; then
      killed=$((killed + 1))
      wait "$child" || true
      continue
    fi
    status=0
    wait "$child" || status=$?
    [ "$status" -eq 0 ] && break
    fail "after $killed kills: status $status, $(tail -n 3 "$work/log")"
  done
  compare together killed
done
[ "$kills" -eq 0 ] || say "$killed kills of one process, with 1, 2 and 4 of them: the same files in the end"
say passed
