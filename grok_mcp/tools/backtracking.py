"""Holds one value against one schema on the engine that backtracks: a program that `patterns.py` runs.

Reads `{"schema", "value", "draft_07"}` from stdin and writes a list of `[path, message]`. It imports nothing
of this package, so that it starts at once.
"""

import json
import sys
from itertools import islice

import jsonschema_rs

MAX_MISMATCHES = 8


def main() -> None:
    """Read the task, write the mismatches."""
    task = json.load(sys.stdin.buffer)
    kind = jsonschema_rs.Draft7Validator if task["draft_07"] else jsonschema_rs.Draft202012Validator
    validator = kind(task["schema"], validate_formats=True, pattern_options=jsonschema_rs.FancyRegexOptions())
    found = islice(validator.iter_errors(task["value"]), MAX_MISMATCHES)
    json.dump([("/" + "/".join(map(str, one.instance_path)), one.message) for one in found], sys.stdout)


if __name__ == "__main__":
    main()
