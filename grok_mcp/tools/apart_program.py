"""Holds one value against one schema: a program of its own, which `apart.py` runs and can end.

Reads `{"schema", "value", "draft_07", "memory"}` from stdin and writes the first mismatch as
`[path, message]`, or null. It imports nothing of this package, so that it starts at once.
"""

import json
import sys
from contextlib import suppress

import jsonschema_rs


def main() -> None:
    """Read the task, write the mismatch."""
    task = json.load(sys.stdin.buffer)
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        from resource import RLIMIT_AS, setrlimit

        setrlimit(RLIMIT_AS, (task["memory"], task["memory"]))
    kind = jsonschema_rs.Draft7Validator if task["draft_07"] else jsonschema_rs.Draft202012Validator
    validator = kind(task["schema"], validate_formats=True, pattern_options=jsonschema_rs.FancyRegexOptions())
    mismatch = None
    try:
        validator.validate(task["value"])
    except jsonschema_rs.ValidationError as error:
        mismatch = ["/" + "/".join(map(str, error.instance_path)), error.message[:1_000]]
    json.dump(mismatch, sys.stdout)


if __name__ == "__main__":
    main()
