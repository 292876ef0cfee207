#!/usr/bin/env bash
# Renders a report in headless Chromium: light, dark and as wide as a phone. Fails where the page logs anything, loads
# anything, is wider than the window, or where sorting by a click does not sort.
# usage: Scripts/test-browser.sh [RESULTS]      (default: a smoke run of table 2)
set -u
cd "$(dirname "$0")/.."
spqat=.build/release/spqat
skip() { echo "test-browser: skipped: $1"; exit 0; }
fail() { echo "test-browser: $1" >&2; exit 1; }

browser=""
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && { browser=$name; break; }
done
[ -n "$browser" ] || skip "no Chromium (apt-get install chromium)"
command -v gnuplot >/dev/null 2>&1 || skip "no gnuplot (apt-get install gnuplot-nox)"
[ -x "$spqat" ] || fail "$spqat is not built; run make build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=${1:-}
if [ -z "$results" ]; then
  "$spqat" sweep configs/table2.json --profile smoke --results "$work/results" >"$work/sweep.log" 2>&1 ||
    { tail -n 5 "$work/sweep.log" >&2; fail "the smoke sweep failed"; }
  results=$work/results/table2
fi
"$spqat" report "$results" --output "$work/report" >/dev/null || fail "spqat report failed"

# The page and a script that uses it; what goes wrong there ends up in the console.
cat >"$work/check.html" <<'CHECK'
<script>
addEventListener("load", () => {
  const fail = text => { throw new Error(text); };
  if (document.documentElement.scrollWidth > innerWidth)
    fail(`the page is ${document.documentElement.scrollWidth} wide, the window ${innerWidth}`);
  const loaded = performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:"));
  if (loaded.length) fail("the page loads " + loaded.map(entry => entry.name).join(", "));
  for (const svg of document.querySelectorAll("figure svg"))
    if (!svg.closest("details:not([open])") && svg.getBoundingClientRect().height < 100) fail("a figure is not drawn");
  if (document.querySelectorAll("figure svg").length < 3) fail("figures are missing");
  for (const table of document.querySelectorAll("table")) {
    const before = table.tBodies[0].rows.length;
    for (const heading of table.tHead.rows[0].cells) {
      for (const sign of [1, -1]) {
        heading.querySelector("button").click();
        const numbers = Array.from(table.tBodies[0].rows, row => parseFloat(row.cells[heading.cellIndex].textContent));
        const present = numbers.filter(number => !Number.isNaN(number));
        if (present.length === numbers.length)
          for (let i = 1; i < present.length; i++)
            if (sign * (present[i] - present[i - 1]) < 0) fail("not sorted by " + heading.textContent);
      }
    }
    if (table.tBodies[0].rows.length !== before) fail("sorting lost a row");
  }
  document.documentElement.dataset.checked = "yes";
});
</script>
CHECK
cat "$work/report/index.html" "$work/check.html" >"$work/report/checked.html"

for view in "light 1200,900 1" "dark 1200,900 0" "phone 390,844 1"; do
  set -- $view
  timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --no-first-run --user-data-dir="$work/profile" \
    --enable-logging=stderr --blink-settings=preferredColorScheme="$3" --window-size="$2" --virtual-time-budget=5000 \
    --dump-dom "file://$work/report/checked.html" >"$work/dom.html" 2>"$work/browser.log" ||
    { tail -n 3 "$work/browser.log" >&2; fail "$1: the browser failed"; }
  if grep -q ':CONSOLE' "$work/browser.log"; then
    grep ':CONSOLE' "$work/browser.log" >&2
    fail "$1: the page logs errors"
  fi
  grep -q 'data-checked="yes"' "$work/dom.html" || fail "$1: the page's check did not run to its end"
  echo "test-browser: $1: ok"
done
