#!/usr/bin/env python3
"""Runs all Python of docs/from-python.md, in its order, against the service `echo` of an engine.

    page.py PAGE PORT [--without-requests]

A line that is an expression, with a literal in the comment behind it, promises that value.
"""

import ast
import pathlib
import re
import sys


def run(piece, names):
    kept, lines = 0, piece.splitlines()
    for statement in ast.parse(piece).body:
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), "page", "exec"), names)
            continue
        value = eval(compile(ast.Expression(statement.value), "page", "eval"), names)
        comment = lines[statement.end_lineno - 1][statement.end_col_offset :].strip().lstrip("# ")
        try:
            promised = ast.literal_eval(comment)
        except (SyntaxError, ValueError):
            continue  # words for people
        assert value == promised, f"line {statement.lineno} gave {value!r}:\n{piece}"
        kept += 1
    return kept


def main(page, port, *more):
    text = pathlib.Path(page).read_text(encoding="utf-8").replace("5555", port)
    names, kept = {}, 0
    for piece in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        if "--without-requests" in more and ("requests" in piece or "session" in piece):
            continue
        kept += run(piece, names)
    print(f"{kept} promises kept")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
