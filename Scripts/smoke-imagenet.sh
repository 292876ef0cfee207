#!/usr/bin/env bash
# The smoke profiles of configs/imagenet-*.json (or of the networks named): both recipes, full QAT and freezing, on generated
# pictures. Each is trained undisturbed, which must take less than two minutes, and again with kill -9 in the midst of a
# freezing run: the same files must come of it. Of every layer the frozen share and the seconds saved are looked for.
set -euo pipefail
cd "$(dirname "$0")/.."
spqat=$PWD/.build/release/spqat
limit=120

say() { echo "smoke-imagenet: $*"; }
fail() { say "$*" >&2; exit 1; }
[ -x "$spqat" ] || { say "no $spqat; run 'make build' first" >&2; exit 2; }
[ $# -gt 0 ] || set -- resnet18 resnet50 mobilenetv1 mobilenetv2
for model; do
  [ -f "configs/imagenet-$model.json" ] || { say "no configs/imagenet-$model.json for $model" >&2; exit 2; }
done

work=$(mktemp -d)
child=
finish() {
  local status=$?
  trap - EXIT INT TERM
  [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

"$spqat" dataset shapes --to "$work/data/shapes" >/dev/null 2>&1
sweep() { # RESULTS, OPTIONS...
  "$spqat" sweep "configs/imagenet-$model.json" --profile smoke --datasets "$work/data" --results "$work/$1" "${@:2}"
}

# A checkpoint beside four finished runs that is none of theirs: full precision and full QAT of both recipes come first, so that
# the fifth run is the first that freezes.
fifth_has_checkpoint() { # FOLDER
  local file
  [ "$(find "$1/runs" -name '*.h5' 2>/dev/null | wc -l)" -eq 4 ] || return 1
  for file in "$1"/checkpoints/*.h5; do
    [ ! -e "$file" ] || [ -e "$1/runs/${file##*/}" ] || return 0
  done
  return 1
}

kill_in_fifth_run() {
  "$spqat" sweep "configs/imagenet-$model.json" --profile smoke --datasets "$work/data" --results "$work/killed" \
    --checkpoint-seconds 0 >/dev/null 2>"$work/killed.log" &
  child=$!
  until fifth_has_checkpoint "$work/killed/imagenet-$model"; do
    kill -0 "$child" 2>/dev/null || fail "$model ended before it could be killed: $(tail -n 1 "$work/killed.log")"
    sleep 0.02
  done
  kill -KILL "$child"
  wait "$child" 2>/dev/null || true
  child=
}

# Every layer with weights that may freeze, beside the same recipe's full QAT.
layers() { # RECIPE
  local method id
  for method in fullQAT freeze; do
    id=$(awk -v method="$method" -v recipe="recipe=$1" '$3 == method && index($0, recipe) { print $1 }' "$work/runs")
    "$spqat" export "$id" --results "$work/undisturbed" --format csv --output "$work/$method" >/dev/null
  done
  awk -F, -v recipe="$1" -v name="$model" '
    FNR == 1 { file++; for (i = 1; i <= NF; i++) column[file, $i] = i; next }
    file == 1 { weights[$column[1, "layer"]] = $column[1, "freezable_weights"]; next }
    weights[$column[file, "layer"]] == 0 { next }
    { seconds[file, $column[file, "layer"]] += $column[file, "seconds_weight_gradient"] }
    file == 3 { frozen[$column[3, "layer"]] = $column[3, "frozen"] }
    END {
      least = 1
      for (layer in frozen) {
        share = frozen[layer] / weights[layer]; full = seconds[2, layer]; some = seconds[3, layer]
        if (!(share > 0 && share <= 1 && full > 0 && some > 0)) { print name ": nothing measured of " layer; exit 1 }
        count++; least = share < least ? share : least; all += full; rest += some; faster += some < full
      }
      if (!count) { print name ": no layer freezes"; exit 1 }
      printf "smoke-imagenet: %s %s: at least %.1f %% frozen in each of %d layers; weight gradients took %.2f of full QAT'"'"'s seconds, less in %d layers\n", \
        name, recipe, 100 * least, count, rest / all, faster
    }' "$work/freeze-layers.csv" "$work/fullQAT-layer-epochs.csv" "$work/freeze-layer-epochs.csv" \
    || fail "$model: layers are not reported"
}

slow=
for model; do
  started=$(date +%s.%N)
  sweep undisturbed >"$work/runs" 2>"$work/log" || fail "$model: $(tail -n 1 "$work/log")"
  seconds=$(awk -v from="$started" -v to="$(date +%s.%N)" 'BEGIN { printf "%.0f", to - from }')
  for recipe in spqat lts; do layers "$recipe"; done

  kill_in_fifth_run
  sweep killed >/dev/null 2>"$work/log" || fail "$model after kill -9: $(tail -n 1 "$work/log")"
  step=$(sed -n 's/.* freeze .*: goes on after step \([0-9]*\) of .*/\1/p' "$work/log")
  [ -n "$step" ] || fail "$model did not go on from a checkpoint"
  files=0
  for file in "$work/undisturbed/imagenet-$model/runs"/*.h5; do
    "$spqat" diff --ignore-times "$file" "$work/killed/imagenet-$model/runs/${file##*/}" >"$work/diff" \
      || fail "$model: ${file##*/} differs after kill -9: $(head -n 3 "$work/diff")"
    files=$((files + 1))
  done
  [ "$files" -eq 6 ] || fail "$model has $files runs; 6 were expected"
  say "$model: $seconds s for $files runs; killed and resumed after step $step of a freezing run, $files files equal"
  [ "$seconds" -lt "$limit" ] || slow="$slow $model"
  rm -rf "$work/undisturbed" "$work/killed"
done
[ -z "$slow" ] || fail "took $limit s or more:$slow"
