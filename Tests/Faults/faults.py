#!/usr/bin/env python3
"""Runs spqat with system calls that fail, one at a time, and checks what it makes of each.

usage: faults.py SPQAT INJECT.so SAMPLE [--last K] [--ways N] [--seconds S] [--limit S] [--scenario NAME]...
                 [--call CALL]... [--seed N]

For every scenario, kind of call, place and error number, call 1 to K (200) fails, once or from there on; with --ways each
call fails in so many of these ways only, drawn at random; with --seconds a random choice of all these cases is tried until
the time is up. After each case:

  - the exit status is a documented one; there was no signal, no crash report and no hang;
  - standard error holds progress and, with exit status 2, exactly one line that says why;
  - runs that were finished are still there, and every file in a finished one's place is whole and right;
  - no temporary file is left;
  - the same command without faults then ends with status 0 and leaves what an undisturbed one leaves.
"""
import argparse
import collections
import concurrent.futures
import errno
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

LIMIT = 60  # seconds that a disturbed command may take; --limit says otherwise on a machine that is busy

# What may fail how, once; "+" also from there on, as a full disk and a table of files that is full do.
ERRORS = {
    "open": ["EMFILE+", "EACCES", "EIO", "ENOSPC"],
    "read": ["EIO+", "EINTR"],
    "write": ["ENOSPC+", "EIO", "EINTR"],
    "fsync": ["EIO+", "ENOSPC"],
    "rename": ["EIO+", "EACCES", "ENOSPC"],
    "mmap": ["ENOMEM+"],
    "close": ["EIO"],
    "ftruncate": ["EIO", "ENOSPC"],
    "mkdir": ["EACCES", "ENOSPC"],
    "opendir": ["EMFILE", "EACCES"],
    "readdir": ["EIO"],
    "stat": ["EIO", "EACCES"],
    "flock": ["ENOLCK"],
    "unlink": ["EIO"],
    "spawn": ["EAGAIN", "ENOMEM"],
}

PROGRESS = re.compile(
    r"(decoding images|downloading|reading|writing|checking|verifying)( |$)|[0-9a-f]{12} .*: |warning: ")
CRASH = re.compile(r"Fatal error|Crash|Backtrace|\*\*\* |Illegal instruction|Segmentation|terminate called|HDF5-DIAG")

EXPERIMENT = """
{"name": "%s", "dataset": "small", "model": "resnet8", "batchSize": 10, "duration": "4it",
 "bits": {"weights": 2, "activations": 2}, "freezing": {"threshold": "linear", "start": "25%%"},
 "pretraining": {"duration": "4it", "batchSize": 10}, "axes": [{"method": ["fullQAT", "freeze"]}]}
"""

# A report's drawings are not what is tested: one that draws nothing, at once.
GNUPLOT = """#!/bin/sh
format=${2#*\\'}
echo '<svg xmlns="http://www.w3.org/2000/svg"></svg>' >"${3%.gp}.${format%\\'}"
"""


class Tool:
    """The program, and the environment that it is run in."""

    def __init__(self, program, library, home, limit):
        self.program, self.library, self.limit = program, library, limit
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SPQAT_")}
        self.environment["PATH"] = f"{home}/bin:{os.environ['PATH']}"
        # A crash is a signal here; the report takes seconds, and for ever where it cannot be written.
        self.environment["SWIFT_BACKTRACE"] = "enable=no"

    def run(self, place, arguments, fault=None, limit=None):
        """Runs the program in the folder `place`. Returns status (None: no end within the limit), output, error lines."""
        environment = dict(self.environment)
        if fault:
            environment.update(fault.environment(place), LD_PRELOAD=self.library)
        with open(place / "stdout", "w+b") as output, open(place / "stderr", "w+b") as error:
            process = subprocess.Popen(
                [self.program] + arguments, cwd=place, stdin=subprocess.DEVNULL, stdout=output, stderr=error,
                env=environment, start_new_session=True)
            try:
                status = process.wait(limit or self.limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = None
            output.seek(0)
            error.seek(0)
            return status, output.read().decode(errors="replace"), error.read().decode(errors="replace").splitlines()

    def must(self, place, arguments, status=0):
        got, output, error = self.run(place, arguments, limit=max(600, self.limit))
        if got != status:
            sys.exit(f"faults: undisturbed, {' '.join(arguments)} ends with {got}: {output} {error}")

    def same(self, one, other):
        """Whether two files of runs hold the same run."""
        return subprocess.run(
            [self.program, "diff", "--ignore-times", one, other], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=self.environment).returncode == 0


class Fault:
    def __init__(self, call, error, onwards, where, at):
        self.call, self.error, self.onwards, self.where, self.at = call, error, onwards, where, at

    def environment(self, place):
        variables = {
            "SPQAT_FAULT_CALL": self.call, "SPQAT_FAULT_ERRNO": str(getattr(errno, self.error)),
            "SPQAT_FAULT_AT": str(self.at), "SPQAT_FAULT_PROGRAM": "spqat", "SPQAT_FAULT_LOG": str(place / "faults"),
        }
        if self.where:
            variables["SPQAT_FAULT_PATH"] = self.where
        if self.onwards:
            variables["SPQAT_FAULT_ONWARDS"] = "1"
        return variables

    def __str__(self):
        ordinal = f"{self.at}{' and later' if self.onwards else ''}"
        return f"{self.call} {ordinal} on {self.where or 'anything'}: {self.error}"


class Scenario:
    """A command in a folder that `template` is copied to."""

    statuses = (0, 2)
    places = (None,)  # paths that hold this count; None: all
    recovers_always = True
    repeats = True  # Whether the command may be given again after it succeeded.

    def __init__(self, name, tool, template, arguments):
        self.name, self.tool, self.template, self.arguments = name, tool, template, arguments
        self.reference = template.parent / f"{name}-reference"
        self.copy_to(self.reference)
        tool.must(self.reference, arguments)

    def copy_to(self, place):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.template, place, symlinks=True)

    def problems_after(self, place, status):
        """What is wrong with the files that a disturbed command left."""
        return []

    def problems_at_end(self, place):
        """What is wrong after the undisturbed one that followed."""
        return []

    def may_complain(self, line):
        """Whether a command that succeeds may print this line, which starts with the program's name."""
        return False

    # ---- One case

    def count(self, where, place):
        """How many calls of each kind there are."""
        self.copy_to(place)
        self.tool.run(place, self.arguments, Fault("any", "EIO", False, where, 0))
        log = place / "faults"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return collections.Counter(line.split(" ")[0] for line in lines)

    def attempt(self, fault, place):
        """Tries one case. Returns exit status (None: the fault was not met), and what is wrong."""
        self.copy_to(place)
        status, output, error = self.tool.run(place, self.arguments, fault)
        log = place / "faults"
        if not log.exists():
            return None, []
        victims = log.read_text(errors="replace").splitlines()
        problems = self.judge_output(status, output, error, victims)
        stray = [str(path.relative_to(place)) for path in place.rglob("*.tmp")]
        # A file whose removal was made to fail stays.
        if stray and fault.call != "unlink":
            problems.append(f"left {', '.join(stray)}")
        if status is not None:
            problems += self.problems_after(place, status)
            if (self.repeats or status != 0) and (self.recovers_always or fault.at % 50 == 1):
                again, output, error = self.tool.run(place, self.arguments)
                if again != 0:
                    problems.append(f"the same command again ends with {again}: {(error or [output])[-1]}")
                else:
                    problems += [f"after the same command again, {text}" for text in self.problems_at_end(place)]
                    if any(place.rglob("*.tmp")):
                        problems.append("a temporary file stays after the same command again")
        return status, [f"{text} [{victims[0]}]" for text in problems]

    def judge_output(self, status, output, error, victims):
        if status is None:
            return [f"no end within {self.tool.limit} s"]
        problems = []
        crash = next((line for line in error if CRASH.search(line)), None)
        if status < 0 or crash:
            return [f"crashed with status {status}: {crash or (error or ['nothing said'])[-1]}"]
        if status not in self.statuses:
            problems.append(f"ends with status {status}")
        if any(victim.endswith(("/stderr", "/stdout")) for victim in victims):
            return problems  # What was to be printed may be missing.
        complaints = [line for line in error if line.startswith("spqat: ")]
        others = [line for line in error if line not in complaints and not PROGRESS.match(line)]
        if others:
            problems.append(f"printed '{others[0]}'")
        unexpected = [line for line in complaints if not self.may_complain(line)]
        if status == 2:
            is_right = len(unexpected) == 1 or len(complaints) == 1
        elif status == 1:
            is_right = not unexpected or len(unexpected) == 1 and "then make the table with" in unexpected[0]
        else:
            is_right = not unexpected
        if not is_right:
            problems.append(f"status {status} with {len(unexpected)} lines: {' | '.join(unexpected or error)}")
        if status == 1 and "failed:" not in output:
            problems.append("status 1 without a failed run")
        return problems


class SweepScenario(Scenario):
    statuses = (0, 1, 2)
    places = (None, "results/")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.right = set()  # Contents of files that were compared with the reference already.

    def runs(self, place):
        return sorted(path for path in (place / "results/tiny/runs").glob("*.h5"))

    def wrong_runs(self, place):
        return [
            f"the run {path.name} is not that of an undisturbed sweep" for path in self.runs(place)
            if not self.is_right(path)]

    def is_right(self, path):
        contents = path.read_bytes()
        if contents not in self.right:
            reference = self.reference / "results/tiny/runs" / path.name
            if not reference.exists() or not self.tool.same(path, reference):
                return False
            self.right.add(contents)
        return True

    def problems_after(self, place, status):
        there = {path.name for path in self.runs(place)}
        lost = [path.name for path in self.runs(self.template) if path.name not in there]
        problems = [f"the finished run {name} is lost" for name in lost] + self.wrong_runs(place)
        if status == 0 and len(there) != len(self.runs(self.reference)):
            problems.append(f"status 0 with {len(there)} runs")
        return problems

    def problems_at_end(self, place):
        problems = self.wrong_runs(place)
        if [path.name for path in self.runs(place)] != [path.name for path in self.runs(self.reference)]:
            problems.append("runs are missing")
        problems += [f"there is the checkpoint {path.name}" for path in (place / "results/tiny/checkpoints").glob("*")]
        for ending in ("md", "csv", "tex", "h5"):
            path = place / f"results/tiny.{ending}"
            if not path.exists() or path.stat().st_size == 0:
                problems.append(f"there is no {path.name}")
        return problems


class WritingScenario(Scenario):
    """A command that writes files, each of which is the old one, the new one or absent, whatever happens."""

    def __init__(self, name, tool, template, arguments, outputs):
        self.patterns = outputs
        super().__init__(name, tool, template, arguments)

    def outputs(self, place):
        return {
            str(path.relative_to(place)): path.read_bytes()
            for pattern in self.patterns for path in place.glob(pattern) if path.is_file()}

    def problems_after(self, place, status):
        old, new = self.outputs(self.template), self.outputs(self.reference)
        found = self.outputs(place)
        leaves_out = any(self.may_complain(line) for line in (place / "stderr").read_text(errors="replace").splitlines())
        problems = [f"{name} is lost" for name in old if name not in found]
        for name, contents in found.items():
            if contents == new.get(name) or contents == old.get(name):
                continue
            # Where a run was named as unusable and left out, the file says less, but is whole.
            if not leaves_out or not contents.endswith((b"\n", b"</svg>")):
                problems.append(f"{name} is half-written")
        return problems

    def problems_at_end(self, place):
        found, new = self.outputs(place), self.outputs(self.reference)
        return [f"{name} differs" for name in sorted(found.keys() | new.keys()) if found.get(name) != new.get(name)]

    def may_complain(self, line):
        return re.match(r"spqat: (results/tiny/runs/\S+\.h5): ", line) is not None


class ReadingScenario(Scenario):
    def may_complain(self, line):
        return re.match(r"spqat: (results/tiny/runs/\S+\.h5): ", line) is not None


class VerifyScenario(Scenario):
    """Names every file that it cannot read, and their number in one line more."""

    def may_complain(self, line):
        return re.match(r"spqat: \S+\.png: ", line) is not None


class ImportScenario(Scenario):
    """60,000 images, so the whole import is repeated for some cases only."""

    places = (None, "manifest", "/idx/")
    recovers_always = False
    repeats = False
    # At least so many; counting them would take an import for each place.
    calls = {
        None: {"open": 200, "read": 200, "write": 200, "close": 200, "stat": 200, "mkdir": 20, "rename": 1, "readdir": 20},
        "manifest": {"open": 2, "write": 1, "close": 2, "rename": 1},
        "/idx/": {"open": 4, "read": 8, "close": 4, "stat": 8},
    }

    def count(self, where, place):
        return collections.Counter(self.calls[where])

    def trees(self, place):
        return place / "tree", place / "tree.partial"

    def problems_after(self, place, status):
        tree, partial = self.trees(place)
        if status == 0:
            return self.problems_at_end(place)
        if tree.exists():
            return ["a failed import left a tree"]
        return []

    def problems_at_end(self, place):
        tree, partial = self.trees(place)
        problems = ["the partial tree is left"] if partial.exists() else []
        manifest = place / "tree/manifest.json"
        if not manifest.exists():
            return problems + ["there is no tree"]
        is_right = manifest.read_bytes() == (self.reference / "tree/manifest.json").read_bytes()
        return problems + ([] if is_right else ["another manifest"])

    def copy_to(self, place):
        place.mkdir(exist_ok=True)
        for name in ("tree", "tree.partial", "faults"):
            path = place / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not (place / "idx").exists():
            (place / "idx").symlink_to(self.template / "idx")


def small_data(sample, target):
    """Three images a class of the committed sample."""
    for split, count in (("train", 2), ("test", 1)):
        for folder in sorted((sample / split).iterdir()):
            (target / split / folder.name).mkdir(parents=True)
            for image in sorted(folder.glob("*.png"))[:count]:
                shutil.copy(image, target / split / folder.name)


def write_idx(folder):
    """Files of Fashion-MNIST's size and format, with black images."""
    folder.mkdir(parents=True)
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + bytes(count * 28 * 28))
        header = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big")
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + bytes(n % 10 for n in range(count)))


def scenarios(tool, home, sample, names):
    def template(name):
        folder = home / f"{name}-template"
        folder.mkdir()
        for experiment in ("tiny", "other"):
            (folder / f"{experiment}.json").write_text(EXPERIMENT % experiment)
        small_data(sample, folder / "data/small")
        return folder

    # In the tree as relative paths, so that command lines, which results record, are the same everywhere.
    sweep = ["sweep", "tiny.json", "--results", "results", "--datasets", "data", "--threads", "2",
             "--checkpoint-seconds", "0"]
    finished = template("finished")
    tool.must(finished, sweep)

    def resumed():
        """One run finished, the next interrupted with a checkpoint."""
        folder = template("resume")
        tool.must(folder, sweep + ["--limit", "1"])
        stop_after_first_step(tool, folder, sweep)
        if not any((folder / "results/tiny/checkpoints").iterdir()):
            sys.exit("faults: no checkpoint to resume from")
        return SweepScenario("resume", tool, folder, sweep)

    def shared():
        """Another experiment has finished all runs."""
        folder = template("shared")
        tool.must(folder, [word.replace("tiny", "other") for word in sweep])
        return SweepScenario("shared", tool, folder, sweep)

    def after_sweep(make, name, arguments, *outputs):
        folder = home / f"{name}-template"
        shutil.copytree(finished, folder)
        return make(name, tool, folder, arguments, *outputs)

    def imported():
        folder = home / "import-template"
        write_idx(folder / "idx")
        return ImportScenario(
            "import", tool, folder, ["dataset", "import", "fashion-mnist", "--from", "idx", "--to", "tree"])

    run = sorted(path.name for path in (finished / "results/tiny/runs").glob("*.h5"))[0]
    known = {
        "sweep": lambda: SweepScenario("sweep", tool, template("sweep"), sweep),
        "jobs": lambda: SweepScenario("jobs", tool, template("jobs"), sweep + ["--jobs", "2"]),
        "resume": resumed,
        "shared": shared,
        "table": lambda: after_sweep(
            WritingScenario, "table", ["table", "results/tiny"], ["results/tiny.md", "results/tiny.csv", "results/tiny.tex"]),
        "report": lambda: after_sweep(
            WritingScenario, "report", ["report", "results/tiny"], ["results/tiny/report/*"]),
        "export": lambda: after_sweep(
            WritingScenario, "export",
            ["export", f"results/tiny/runs/{run}", "--format", "csv", "--output", "exported"], ["exported*"]),
        "evaluate": lambda: after_sweep(
            ReadingScenario, "evaluate", ["evaluate", f"results/tiny/runs/{run}", "--datasets", "data"]),
        "status": lambda: after_sweep(
            ReadingScenario, "status", ["status", "tiny.json", "--results", "results", "--datasets", "data"]),
        "verify": lambda: VerifyScenario("verify", tool, template("verify"), ["dataset", "verify", "data/small"]),
        "import": imported,
    }
    for name in names or known:
        if name not in known:
            sys.exit(f"faults: no scenario '{name}'; there are {', '.join(known)}")
        yield known[name]()


def stop_after_first_step(tool, folder, sweep):
    """Interrupts a sweep once the second run trains."""
    process = subprocess.Popen(
        [tool.program] + sweep, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=tool.environment)
    for line in process.stderr:
        if b"begins" in line:
            process.send_signal(signal.SIGTERM)
    process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("spqat", type=pathlib.Path)
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("sample", type=pathlib.Path)
    parser.add_argument("--last", type=int, default=200)
    parser.add_argument("--ways", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--call", action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    home = pathlib.Path(tempfile.mkdtemp(prefix="spqat-faults-"))
    try:
        return check(options, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def check(options, home):
    (home / "bin").mkdir()
    (home / "bin/gnuplot").write_text(GNUPLOT)
    (home / "bin/gnuplot").chmod(0o755)
    tool = Tool(str(options.spqat.resolve()), str(options.library.resolve()), home, options.limit)
    chance = random.Random(options.seed)
    cases = []
    for scenario in scenarios(tool, home, options.sample.resolve(), options.scenario):
        total = 0
        counted = {where: scenario.count(where, home / f"{scenario.name}-counting") for where in scenario.places}
        for call in options.call or ERRORS:
            for where, counts in counted.items():
                count = min(options.last, counts[call])
                ways = [(error.rstrip("+"), onwards) for error in ERRORS[call] for onwards in (False, True)
                        if error.endswith("+") or not onwards]
                for at in range(1, count + 1):
                    chosen = ways if options.ways is None else chance.sample(ways, min(options.ways, len(ways)))
                    cases += [(scenario, Fault(call, *way, where, at)) for way in chosen]
                total += count
        print(f"faults: {scenario.name}: {total} calls to disturb", flush=True)
    chance.shuffle(cases)

    begun = time.monotonic()
    slots = threading.local()
    numbers = iter(range(1_000_000))
    tried, found = {}, []

    def attempt(case):
        scenario, fault = case
        if options.seconds and time.monotonic() - begun > options.seconds:
            return None
        if not hasattr(slots, "number"):
            slots.number = next(numbers)
        place = home / f"{scenario.name}-{slots.number}"
        return scenario, fault, *scenario.attempt(fault, place)

    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        for result in pool.map(attempt, cases):
            if result is None:
                continue
            scenario, fault, status, problems = result
            counts = tried.setdefault(scenario.name, {})
            counts[status] = counts.get(status, 0) + 1
            for problem in problems:
                found.append(problem)
                print(f"faults: {scenario.name}: {fault}: {problem}", flush=True)

    for name, counts in tried.items():
        met = {status: count for status, count in counts.items() if status is not None}
        ends = ", ".join(f"{count} with {status}" for status, count in sorted(met.items()))
        print(f"faults: {name}: {sum(met.values())} faults met ({ends}), {counts.get(None, 0)} not met")
    total = sum(sum(counts.values()) for counts in tried.values())
    print(f"faults: {total} of {len(cases)} cases tried in {time.monotonic() - begun:.0f} s, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
