#!/usr/bin/env bash
# Runs a sweep on a real Slurm: starts one on this machine, of its own in a temporary folder, submits a tiny sweep,
# requeues one task and tells another that its wall time ends, and compares the runs with those of a local sweep.
# Skipped, with exit status 0, where Slurm cannot be installed or started.
set -euo pipefail
cd "$(dirname "$0")/.."
spqat=$PWD/.build/release/spqat
limit=300

say() { echo "test-slurm: $*"; }
skip() { say "skipped: $*"; exit 0; }

root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || skip "starting a Slurm needs root, or sudo without a password"
  root=(sudo -n)
fi
PATH=$PATH:/usr/sbin:/sbin
for program in sbatch slurmctld slurmd munged; do
  command -v "$program" >/dev/null 2>&1 && continue
  command -v apt-get >/dev/null 2>&1 || skip "no $program here and no apt-get to install it; install Slurm and MUNGE"
  say "installing slurm-wlm and munge"
  { "${root[@]}" apt-get update -qq \
    && "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge; } \
    >/dev/null 2>&1 || skip "apt-get cannot install slurm-wlm and munge"
  break
done
[ -x "$spqat" ] || { say "no $spqat; run 'make build' first" >&2; exit 2; }

# A space and a percent sign, as they come in people's folders.
base=$(mktemp -d)
work="$base/a folder, 100 %"
mkdir "$work"
chmod 755 "$base"
started=$SECONDS

# Ends jobs and daemons, whatever happened.
finish() {
  local status=$? ids id
  trap - EXIT INT TERM
  if [ -e "$base/slurmd.pid" ]; then
    scancel --user="$(id -un)" >/dev/null 2>&1 || true
    for _ in $(seq 100); do
      [ -n "$(squeue --noheader 2>/dev/null)" ] || break
      sleep 0.2
    done
  fi
  ids=$(cat "$base"/{slurmd,slurmctld,munged}.pid 2>/dev/null || true)
  for id in $ids; do "${root[@]}" kill "$id" 2>/dev/null || true; done
  for _ in $(seq 50); do
    ps -o stat= -p "${ids//[[:space:]]/,}" 2>/dev/null | grep -qv '^Z' || break
    sleep 0.2
  done
  for id in $ids; do "${root[@]}" kill -KILL "$id" 2>/dev/null || true; done
  "${root[@]}" rm -rf "$base"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_port() {
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  return 1
}

# munged and Slurm refuse files that others could have written.
dd if=/dev/urandom of="$base/munge.key" bs=1024 count=1 status=none
chmod 400 "$base/munge.key"
"${root[@]}" chown root:root "$base" "$base/munge.key"
"${root[@]}" munged --key-file="$base/munge.key" --socket="$base/munge.socket" --pid-file="$base/munged.pid" \
  --log-file="$base/munged.log" --seed-file="$base/munged.seed" 2>"$work/munged.err" \
  || skip "munged does not start: $(tail -n 1 "$work/munged.err")"

host=$(hostname -s)
memory=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
"${root[@]}" mkdir "$base/state" "$base/spool"
"${root[@]}" tee "$base/slurm.conf" >/dev/null <<CONF
ClusterName=spqat
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
# Requeued tasks wait until credentials of their first start have expired: two minutes where nothing is set.
AuthInfo=socket=$base/munge.socket,cred_expire=10
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile=$base/slurmctld.pid
SlurmdPidFile=$base/slurmd.pid
SlurmctldLogFile=$base/slurmctld.log
SlurmdLogFile=$base/slurmd.log
StateSaveLocation=$base/state
SlurmdSpoolDir=$base/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$base/slurm.conf
"${root[@]}" slurmctld -f "$SLURM_CONF" >"$work/slurmctld.err" 2>&1 || skip "slurmctld does not start: $(tail -n 1 "$work/slurmctld.err")"
"${root[@]}" slurmd -f "$SLURM_CONF" >"$work/slurmd.err" 2>&1 || skip "slurmd does not start: $(tail -n 1 "$work/slurmd.err")"
for _ in $(seq 100); do
  [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && break
  sleep 0.2
done
state=$(sinfo --noheader --format='%t %E' 2>&1 || true)
[ "${state%% *}" = idle ] || skip "Slurm's node does not become idle: $state"
say "$(sbatch --version) runs here"

fail() {
  say "failed: $*" >&2
  squeue --array --long >&2 || true
  tail -n 5 "$work"/results/tiny/logs/* >&2 || true
  exit 1
}
# Waits until the command succeeds.
await() {
  local what=$1
  shift
  until "$@"; do
    [ $((SECONDS - started)) -lt $limit ] || fail "no $what within $limit seconds"
    sleep 0.3
  done
}

cat >"$work/tiny.json" <<'JSON'
{
  "name": "tiny", "dataset": "sample", "batchSize": 32, "duration": "60it", "bits": { "weights": 2, "activations": 2 },
  "freezing": { "threshold": "linear", "start": "20%" }, "pretraining": { "duration": "60it", "batchSize": 32 },
  "axes": [{ "method": ["fullQAT", "freeze"] }, { "bits.weights": [2, 3] }],
  "slurm": { "time": "00:10:00", "memory": "500M", "cpus": 1 }
}
JSON
sweep=("$spqat" sweep "$work/tiny.json" --datasets datasets)

"${sweep[@]}" --results "$work/results" --launcher slurm --jobs 2 --checkpoint-seconds 1 >"$work/submitted"
cat "$work/submitted"
job() { sed -n "s/^job \([0-9]*\): $1.*/\1/p" "$work/submitted"; }
pretraining=$(job pretraining) training=$(job training) table=$(job table)

log_of() {
  local run
  run=$(scontrol write batch_script "$1" - | awk '/^runs=/ { inside = 1; next } inside { print $1 }' | sed -n "$(($2 + 1))p")
  echo "$work/results/tiny/logs/$run.log"
}
trains() { grep -q ': step \|: epoch ' "$1" 2>/dev/null; }
stopped() { grep -q 'stopped after step .*, checkpoint written' "$1"; }

# What Slurm does when a node is wanted for something else.
first=$(log_of "$pretraining" 0)
await "first step of the full-precision network" trains "$first"
scontrol requeue "${pretraining}_0"
await "checkpoint of the requeued task" stopped "$first"
say "requeued the full-precision network's task: $(grep -o 'stopped after step.*' "$first")"

# What Slurm does before the wall time's end.
second=$(log_of "$training" 0)
await "first step of a quantized network" trains "$second"
# By the task's own number, as scancel repeats signals to numbers of the form ARRAY_TASK; Slurm 22.05 sends the signal and
# says that it cannot.
scancel --quiet --batch --signal=TERM "$(squeue --noheader --jobs="${training}_0" --format=%A)" || true
await "checkpoint of the task out of time" stopped "$second"
say "told a task that its time ends: $(grep -o 'stopped after step.*' "$second")"

ended() {
  case $(squeue --noheader --states=all --jobs="$table" --format=%T 2>/dev/null) in
    '' | PENDING | CONFIGURING | RUNNING | COMPLETING) return 1 ;;
  esac
}
await "end of the last job" ended

for log in "$first" "$second"; do
  grep -q 'goes on after step' "$log" || fail "the requeued task of $log did not go on from its checkpoint"
done
for extension in h5 md csv tex; do
  [ -s "$work/results/tiny.$extension" ] || fail "no merged table tiny.$extension"
done
grep -q '0 trained, 5 already finished, 0 failed, 0 left' "$work/results/tiny/logs/slurm-$table.log" \
  || fail "not every run is finished: $(cat "$work/results/tiny/logs/slurm-$table.log")"
"${sweep[@]}" --results "$work/results" --launcher slurm | grep -q '^0 submitted, 5 already finished' \
  || fail "finished runs are submitted again"

# Several at once here too, so that neither table has times.
"${sweep[@]}" --results "$work/local" --jobs 2 --threads 2 >/dev/null 2>&1 || fail "the local sweep failed"
for file in "$work"/local/tiny/runs/*.h5; do
  "$spqat" diff --ignore-times "$file" "$work/results/tiny/runs/${file##*/}" >"$work/diff" \
    || fail "${file##*/} differs from a local run: $(cat "$work/diff")"
done
without_provenance() { grep -v -e '^- Command: ' -e '^- Commit: ' "$1"; }
diff <(without_provenance "$work/local/tiny.md") <(without_provenance "$work/results/tiny.md") \
  || fail "the merged table differs from the local sweep's"
# One run by two processes that srun starts, where there is an MPI that knows how Slurm's processes meet.
mpi=$(srun --mpi=list 2>&1 | grep -ow -e pmix -e pmi2 | head -n 1 || true)
if command -v mpicc >/dev/null 2>&1 && [ -n "$mpi" ] && [ "$(nproc)" -ge 2 ]; then
  Scripts/mpi/build.sh
  sed 's/"cpus": 1/"cpus": 1, "tasksPerNode": 2/' "$work/tiny.json" >"$work/pair.json"
  pair=("$spqat" sweep "$work/pair.json" --datasets datasets --only W2A2 --results "$work/pair")
  "${pair[@]}" --launcher slurm --dry-run | grep -q '^#SBATCH --ntasks-per-node=2$' || fail "the script has no two processes"
  SLURM_MPI_TYPE=$mpi "${pair[@]}" --launcher slurm >"$work/submitted" || fail "the run by two processes is not submitted"
  table=$(job table)
  await "end of the runs by two processes" ended
  count=0
  for file in "$work"/pair/tiny/runs/*.h5; do
    "$spqat" diff --ignore-times "$work/local/tiny/runs/${file##*/}" "$file" >"$work/diff" \
      || fail "${file##*/} differs by two processes: $(cat "$work/diff")"
    "$spqat" show "$file" | grep -q ' 2 processes, each with ' || fail "${file##*/} was not trained by two processes"
    count=$((count + 1))
  done
  [ "$count" -ge 2 ] || fail "no runs by two processes: $(tail -n 3 "$work"/pair/tiny/logs/*)"
  say "$count runs by two processes that srun started ($mpi), the same to the bit"
else
  say "no runs by two processes: they need mpicc, 2 cores, and a Slurm with PMIx or PMI-2"
fi
say "passed in $((SECONDS - started)) s: 5 runs, 2 of them in two tasks each, the same to the bit as trained locally"
