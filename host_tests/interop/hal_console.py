"""Runs in the interpreter under test: one expression or statement a line (as a JSON string) from
standard input, executed in one namespace; answers each with a line of repr(): its value, or a
tuple ("error", class, arguments)."""

import json
import sys

names = {}
while True:
    line = sys.stdin.readline()
    if not line:
        break
    code = json.loads(line)
    try:
        try:
            compiled = compile(code, "console", "eval")
        except SyntaxError:
            compiled = compile(code, "console", "exec")
        answer = eval(compiled, names)
    except OSError as error:  # CPython has subclasses
        answer = ("error", "OSError", error.args)
    except Exception as error:
        answer = ("error", type(error).__name__, error.args)
    print(repr(answer))
