"""Follows the README word for word, as a newcomer would: a fresh clone, a fresh home, and its own commands.

What a block can't do here stands in the text as `<!-- skip: why -->` before it; nothing else is left out.
With `--all` only what needs the endpoint is left out: `python -m tests.packaging.follow_readme --all`.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURSELVES = "it runs this very script"
"""Why the tests are not run by a test."""
BOUND_S = 900.0

_BLOCK = re.compile(r"(?:<!-- skip: ([^>]+) -->\n)?```bash\n(.*?)```", re.DOTALL)


def commands(text: str, *, all_tests: bool = False) -> list[str]:
    """The commands of a page that can be followed, in their order."""
    found = []
    for reason, block in _BLOCK.findall(text):
        if not reason or (all_tests and reason == OURSELVES):
            found += block.strip().splitlines()
    return found


def follow(*, all_tests: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run the commands one after the other, in one shell that ends with the first that fails."""
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        text = (clone / "README.md").read_text(encoding="utf-8")
        script = "\n".join(["set -ev", *commands(text, all_tests=all_tests)])
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
        return subprocess.run(
            ["bash", "-c", script],
            cwd=clone,
            env={**kept, "HOME": str(home), "PATH": path, "TERM": "dumb", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BOUND_S,
            check=False,
        )


if __name__ == "__main__":
    done = follow(all_tests="--all" in sys.argv)
    sys.stdout.write(done.stdout)
    sys.exit(done.returncode)
