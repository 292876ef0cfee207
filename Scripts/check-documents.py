#!/usr/bin/env python3
"""Holds the documents to the code: every file they name is there, and holds the names that they say it holds.

In README.md, CONTRIBUTING.md and docs/*.md a path in backquotes must exist; where names in backquotes follow it in
parentheses, as in `Sources/Tensor/Buffer.swift` (`Buffer`, `copy`), the file must contain each of them. Every make
target and every subcommand of `spqat` in backquotes must exist too. A word in angle brackets or capitals (NAME) stands
for any.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOTS = ("Sources/", "Tests/", "Scripts/", "configs/", "docs/", "results/", "datasets/")
NAMED = re.compile(r"`([^`\s]+)`(?:\s+\(((?:`[^`]+`(?:,\s+|\s+and\s+)?)+)\))?")
GENERATED = ("datasets/", "results/")


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


def main():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.M))
    commands = {"worker"}
    for source in sorted((ROOT / "Sources/spqat").rglob("*.swift")):
        text = source.read_text(encoding="utf-8")
        commands.update(re.findall(r'commandName: "([a-z-]+)"', text))
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    failed = False
    for document in documents:
        for problem in problems(document, targets, commands):
            failed = True
            print(f"{document.relative_to(ROOT)}: {problem}", file=sys.stderr)
    if not failed:
        print(f"{len(documents)} documents agree with the code")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
