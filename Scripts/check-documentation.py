#!/usr/bin/env python3
"""Counts public declarations without a documentation comment; fails where a module has too many of them.

usage: check-documentation.py [--list] [MODULE ...]

A declaration is documented where a `///` or `/** */` comment stands before it, attributes aside. Imports, extensions and
the members that a protocol of the standard library documents (`description`, `hash(into:)`, `==`, `encode(to:)`,
`init(from:)`) do not count.
"""

import re
import sys
from pathlib import Path

LIMIT = 0.15
DECLARATION = re.compile(
    r"^\s*(?:@[\w.]+(?:\([^)]*\))?\s+)*public\s+(?:internal\(set\)\s+|private\(set\)\s+|package\(set\)\s+|"
    r"fileprivate\(set\)\s+)?(?:(?:static|final|override|convenience|required|lazy|mutating|nonisolated|weak|unowned|"
    r"indirect|dynamic)\s+)*(class|struct|enum|protocol|actor|func|var|let|init|subscript|typealias|case|macro)\b(.*)"
)
INHERITED = re.compile(r"^\s*(description\b|errorDescription\b|hash\(into|==|<|encode\(to|\(from decoder)")


def undocumented(path):
    """Yields (line number, text, documented) for each public declaration of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        match = DECLARATION.match(line)
        if not match or INHERITED.match(match.group(2)):
            continue
        above = number - 1
        while above >= 0 and re.match(r"^\s*(@\w|#if|#endif|#else)", lines[above]):
            above -= 1
        before = lines[above].strip() if above >= 0 else ""
        yield number + 1, line.strip(), before.startswith("///") or before.endswith("*/")


def main(arguments):
    listing = "--list" in arguments
    wanted = [argument for argument in arguments if not argument.startswith("-")]
    sources = Path(__file__).resolve().parent.parent / "Sources"
    total = missing = 0
    failed = []
    for module in sorted(path for path in sources.iterdir() if path.is_dir()):
        if wanted and module.name not in wanted:
            continue
        counted = bare = 0
        for path in sorted(module.rglob("*.swift")):
            for number, text, documented in undocumented(path):
                counted += 1
                if not documented:
                    bare += 1
                    if listing:
                        print(f"{path.relative_to(sources.parent)}:{number}: {text}")
        total += counted
        missing += bare
        if counted:
            print(f"{module.name}: {bare} of {counted} public declarations without documentation ({bare / counted:.0%})")
        if bare > LIMIT * counted:
            failed.append(module.name)
    print(f"all: {missing} of {total} ({missing / max(total, 1):.1%}; at most {LIMIT:.0%} allowed in each module)")
    if failed:
        print(f"too many in {', '.join(failed)}: document them (--list names each)", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
