"""Profiles a warm server on stdio: instant calls of 16 pieces, and pieces at full speed.

With py-spy, which looks at the process from outside: a flame graph (`NAME.svg`) and the functions with the
most samples (`NAME.txt`). Where it can't be installed or may not look (`ptrace`), or with `--cprofile`, the
text is made by cProfile from the start on, which makes calls of Python functions look dearer than they are.
"""

import argparse
import pstats
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import peers
from benchmarks.child import PYTHON, McpChild, check
from benchmarks.peers import UnavailableError
from benchmarks.profiles.flame import flame_graph
from benchmarks.stage import PIECES_16, Stage, ask, stage
from benchmarks.streaming import PIECES_MODEL

WORKLOADS: Mapping[str, str] = {"instant": PIECES_16, "pieces": PIECES_MODEL}
TOP = 40
WARM = 20  # calls before the first sample, so that nothing that is loaded once is in it
RATE = 500  # samples a second
_HERE = Path(__file__).parent


def main() -> None:
    """Profile what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--only", action="append", choices=WORKLOADS, help="one of them; may be repeated")
    parser.add_argument("--seconds", type=int, default=5, help="of each profile (default %(default)s)")
    parser.add_argument("--into", type=Path, default=_HERE, metavar="FOLDER", help="default: beside the code")
    parser.add_argument("--cprofile", action="store_true", help="cProfile also where py-spy works")
    options = parser.parse_args()
    with stage() as running:
        for name in options.only or WORKLOADS:
            try:
                if options.cprofile:
                    raise UnavailableError("cProfile was asked for")
                by_py_spy(running, WORKLOADS[name], options.into / name, options.seconds)
            except UnavailableError as error:
                sys.stderr.write(f"no py-spy: {error}\n")
                by_cprofile(running, WORKLOADS[name], options.into / name, options.seconds)


def by_py_spy(running: Stage, model: str, path: Path, seconds: int) -> None:
    """A flame graph and a text of the same samples."""
    program = peers.python_package("py-spy") / "bin" / "py-spy"
    with running.ours() as server, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        command = [str(program), "record", "--pid", str(server.pid), "--format", "raw", "--output", str(file)]
        options = ["--duration", str(seconds), "--rate", str(RATE), "--function", "--gil"]
        for _ in range(WARM):
            check(server.request(*ask(model)))
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as spy:
            while spy.poll() is None:
                check(server.request(*ask(model)))
            said = spy.stdout.read().decode("utf-8", "replace") if spy.stdout else ""
        if spy.returncode != 0:
            raise UnavailableError(said.strip().rpartition("\n")[2])
        stacks = list(_read(file.read_text(encoding="utf-8")))
    _write(path.with_suffix(".txt"), top_of(stacks))
    _write(path.with_suffix(".svg"), flame_graph(stacks, f"{path.name}: where a thread runs Python"))


def _read(stacks: str) -> Iterator[tuple[list[str], int]]:
    """The frames of each stack, outermost first, with the number of its samples."""
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        yield stack.split(";"), int(samples)


def top_of(stacks: Iterable[tuple[list[str], int]]) -> str:
    """The packages and the functions with the most samples, of their own and with all that they call."""
    packages: Counter[str] = Counter()
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for frames, samples in stacks:
        packages[_package_of(frames)] += samples
        own[frames[-1]] += samples
        total.update(dict.fromkeys(frames, samples))
    everything = sum(own.values())
    lines = [f"{everything} samples, {RATE} a second where a thread runs Python; percent of them", ""]
    for title, counter in (
        ("by package, the standard library with whoever calls it", packages),
        ("by function, without what it calls", own),
        ("by function, with what it calls", total),
    ):
        lines += [
            f"{title}:",
            *(f"{n / everything:6.1%}  {name}" for name, n in counter.most_common(TOP)),
            "",
        ]
    return "\n".join(lines)


def _package_of(frames: list[str]) -> str:
    """The package of the innermost frame that is not of Python's library; of ours also the room."""
    for frame in reversed(frames):
        parts = frame.rpartition("(")[2].partition(":")[0].removesuffix(".py").split("/")
        if parts[0] == "grok_mcp":
            return ".".join(parts[:2])
        if parts[0] not in sys.stdlib_module_names and len(parts) > 1:
            return parts[0]
    return "the event loop, threads"


def by_cprofile(running: Stage, model: str, path: Path, seconds: int) -> None:
    """A text of the functions with the most time of their own."""
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "stats"
        with _profiled(running, dump) as server:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                check(server.request(*ask(model)))
        with path.with_suffix(".txt").open("w", encoding="utf-8") as file:
            stats = pstats.Stats(str(dump), stream=file)
            stats.strip_dirs().sort_stats("tottime").print_stats(TOP).sort_stats("cumulative").print_stats(
                TOP
            )
    print(path.with_suffix(".txt"))


@contextmanager
def _profiled(running: Stage, dump: Path) -> Iterator[McpChild]:
    settings = {**running.settings, "GROK_MCP_MAX_RESULT_CHARS": "0"}
    command = [PYTHON, "-m", "cProfile", "-o", str(dump), "-m", "grok_mcp"]
    with McpChild(command, settings) as server:
        server.open()
        yield server


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
