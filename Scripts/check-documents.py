#!/usr/bin/env python3
"""Holds the documents to the code: every file they name is there, and holds the names that they say it holds.

In README.md, CONTRIBUTING.md and docs/*.md a path in backquotes must exist; where names in backquotes follow it in
parentheses, as in `Sources/Tensor/Buffer.swift` (`Buffer`, `copy`), the file must contain each of them. Every make
target and every subcommand of `spqat` in backquotes must exist too. A word in angle brackets or capitals (NAME) stands
for any. Links lead to files and headings that are there; flags behind a command of `spqat` are that command's; experiments
(blocks of JSON with a name and axes) are valid. All numbers of a table or paragraph below a line
`<!-- numbers: PATH... -->` are in one of these files, rounded at most.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOTS = ("Sources/", "Tests/", "Scripts/", "configs/", "docs/", "results/", "datasets/")
NAMED = re.compile(r"`([^`\s]+)`(?:\s+\(((?:`[^`]+`(?:,\s+|\s+and\s+)?)+)\))?")
GENERATED = ("datasets/", "results/")
PROGRAM = ROOT / ".build/release/spqat"
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:,\d{3})*(?:\.\d+)?")


def is_ignored(path):
    return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0


def problems(document, targets, commands):
    text = document.read_text(encoding="utf-8")
    for match in NAMED.finditer(text):
        path, names = match.group(1).rstrip("/"), match.group(2)
        if not match.group(1).startswith(ROOTS) or re.search(r"[<{*]|[A-Z]{4,}", path.replace("README", "")):
            continue
        target = ROOT / path
        if not target.exists():
            if not (path.startswith(GENERATED) and is_ignored(path)):
                yield f"{path}: no such file"
            continue
        for name in re.findall(r"`([^`]+)`", names or ""):
            if target.is_file() and name not in target.read_text(encoding="utf-8"):
                yield f"{path}: does not contain {name}"
    for target in re.findall(r"`make ([a-z][a-z0-9-]*)", text) + re.findall(r"^make ([a-z][a-z0-9-]*)", text, re.M):
        if target not in targets:
            yield f"make {target}: no such target"
    for command in re.findall(r"`spqat ([a-z][a-z-]*)", text):
        if command not in commands:
            yield f"spqat {command}: no such command"


def anchors(document):
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document):
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", document.read_text(encoding="utf-8")):
        target = document.parent / path if path else document
        if not target.exists():
            yield f"{path}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{path}#{anchor}: no such heading"


def unknown_flags(document, flags):
    """Flags in what follows `spqat COMMAND`, in backquotes or a line of a block."""
    text = document.read_text(encoding="utf-8")
    codes = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^spqat .*$", text, re.M)
    for words in re.findall(r"\bspqat ((?:[a-z-]+ ?)+[^#|;\n]*)", "\n".join(codes)):
        command = words.split()[0]
        for flag in re.findall(r"(?<!\S)\[?--([a-z][a-z-]*)", words):
            if command in flags and flag not in flags[command]:
                yield f"spqat {command} --{flag}: no such flag"


def invalid_experiments(document):
    for block in re.findall(r"```json\n(\{.*?)```", document.read_text(encoding="utf-8"), re.S):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(block)
            file.flush()
            check = subprocess.run([PROGRAM, "validate", file.name], capture_output=True, text=True)
            if check.returncode != 0 or check.stderr:
                yield check.stderr.strip().replace(file.name, "experiment")


def value(text):
    return float(text.replace(",", "").replace("−", "-"))


def unsourced_numbers(document):
    """Numbers that are in none of the files named above their table or paragraph."""
    text = document.read_text(encoding="utf-8")
    for paths, block in re.findall(r"<!-- numbers: (.+?) -->\n(.+?)(?:\n\n|\Z)", text, re.S):
        sources = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in paths.split())
        known = {abs(value(number)) for number in NUMBER.findall(sources)}
        for number in NUMBER.findall(re.sub(r"\]\([^)]*\)", "]", block)):
            decimals = len(number.partition(".")[2])
            if not any(abs(round(other, decimals) - abs(value(number))) < 1e-9 for other in known):
                yield f"{number} is not in {paths}"


def flags_of(command):
    """The flags of every command, with those of its subcommands."""
    names = {name["name"] for argument in command.get("arguments", []) for name in argument.get("names", [])}
    return names.union(*(flags_of(sub) for sub in command.get("subcommands", [])))


def main():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.M))
    commands = {"worker"}
    for source in sorted((ROOT / "Sources/spqat").rglob("*.swift")):
        text = source.read_text(encoding="utf-8")
        commands.update(re.findall(r'commandName: "([a-z-]+)"', text))
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    flags = {}
    if PROGRAM.exists():
        dump = subprocess.run([PROGRAM, "--experimental-dump-help"], capture_output=True, check=True)
        flags = {sub["commandName"]: flags_of(sub) for sub in json.loads(dump.stdout)["command"]["subcommands"]}
    else:
        print("flags and experiments in the documents are not checked: no .build/release/spqat")
    failed = False
    for document in documents:
        found = [
            *problems(document, targets, commands),
            *broken_links(document),
            *unsourced_numbers(document),
            *unknown_flags(document, flags),
            *(invalid_experiments(document) if flags else []),
        ]
        for problem in found:
            failed = True
            print(f"{document.relative_to(ROOT)}: {problem}", file=sys.stderr)
    if not failed:
        print(f"{len(documents)} documents agree with the code")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
