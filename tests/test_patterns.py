"""No text can make a regular expression of the package slow: each takes time linear in the text.

The patterns are found in the source, so that a new one is tried too. The time is that of the processor, the
same text twice as long is compared with itself, and quadratic is far from linear: 16 times instead of 4.
"""

import ast
import importlib
import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from re import _constants as constants, _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

import grok_mcp

ROOT = Path(grok_mcp.__file__).parent
FUNCTIONS = ("compile", "search", "match", "fullmatch", "sub", "split", "findall", "finditer")
SHORT, LONG = 2_000, 8_000
LINEAR, QUADRATIC = LONG / SHORT, (LONG / SHORT) ** 2
UNMEASURABLE_S = 0.003
"""What takes less for the long text can't be quadratic in a way that matters."""

LISTED = {
    "rendering.paging": "_ENDS",
    "endpoint.error_bodies": "_UNSUPPORTED",
}
"""Modules that go through a list of patterns, and its name."""
BUILT = {
    "accounting.postgres": "the words of a table of our own, looked for in what a database says",
    "cli.wording": "the names of our own arguments and tools",
    "files.ignoring": "fnmatch's of a glob, whose wild cards take the shortest that fits and never go back",
    "hosts.hostfile": "the name of a table, one of our own rows",
    "hosts.host": "the name of a server, from two of our own constants",
    "tools.patterns": "Python's opinion of a caller's pattern, which is compiled and never matched",
}
"""Modules that build a pattern where it is used, and from what."""
SEEDS = [
    " ",
    "a",
    "A",
    "1",
    "-",
    ".",
    ",",
    "(",
    "[",
    "[[1",
    "<",
    "\n",
    '"',
    "\\",
    "\\\\",
    "{",
    "$",
    "@",
    ":",
    "/",
]
SEEDS += [
    "a ",
    "a-",
    "1a",
    "a.",
    "a,",
    "()",
    "a(",
    "://",
    "=",
    "é",
    "_",
    "a=",
    "; ",
    "```\n",
    "{}",
    "//",
    "/*",
]


def modules() -> Iterator[tuple[str, ModuleType, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] == "sandbox" or parts[-1] in ("__init__", "__main__", "apart_program"):
            continue
        name = ".".join(parts)
        yield name, importlib.import_module(f"grok_mcp.{name}"), ast.parse(path.read_text(encoding="utf-8"))


def patterns() -> Iterator[tuple[str, str | bytes, int, bool]]:
    """Where each pattern stands, it, its flags, and whether it only has to fit where a text begins."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py"))
    for name, module, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of, function = node.func.value, node.func.attr
            if not isinstance(of, ast.Name) or of.id != "re" or function not in FUNCTIONS:
                continue
            used = {function}
            if function == "compile":
                line = module_lines(module)[node.lineno - 1]
                used = set(re.findall(rf"\b{line.partition(' ')[0]}\.(\w+)\(", source))
            for pattern in evaluated(name, module, node.args[0]):
                place = f"{name}:{node.lineno}"
                yield place, pattern, flags_of(module, node), bool(used) and used <= {"match", "fullmatch"}


def module_lines(module: ModuleType) -> list[str]:
    assert module.__file__
    return Path(module.__file__).read_text(encoding="utf-8").splitlines()


def evaluated(name: str, module: ModuleType, argument: ast.expr) -> list[Any]:
    try:
        return [eval(compile(ast.Expression(argument), name, "eval"), vars(module))]
    except NameError:
        if name in LISTED:
            return list(vars(module)[LISTED[name]])
        assert name in BUILT, f"{name} builds a pattern; say in BUILT from what"
        return []


def flags_of(module: ModuleType, call: ast.Call) -> int:
    named = [ast.unparse(one) for one in (*call.args, *(word.value for word in call.keywords))]
    flags = [eval(one, vars(module)) for one in named if re.fullmatch(r"re\.[A-Z]+(?: \| re\.[A-Z]+)*", one)]
    return int(flags[0]) if flags else 0


def literals(pattern: str | bytes, flags: int) -> set[str]:
    """The words in a pattern, which its repetitions may stand behind."""
    found, word = set(), ""

    def walk(parsed: Any) -> None:
        nonlocal word
        for operation, argument in parsed:
            if operation is constants.LITERAL:
                word += chr(argument)
                continue
            found.add(word)
            word = ""
            for one in argument if isinstance(argument, tuple | list) else ():
                for inner in one if isinstance(one, list) else (one,):
                    if isinstance(inner, parser.SubPattern):
                        walk(inner)
        found.add(word)
        word = ""

    walk(parser.parse(pattern, flags))
    return {one for one in found if one}


def texts(pattern: str | bytes, flags: int, length: int) -> Iterator[str]:
    words = sorted(literals(pattern, flags), key=len)[-12:]
    for seed in {*SEEDS, *words}:
        yield (seed * length)[:length] + "\0"
    for word in words:
        for seed in SEEDS:
            yield (word + seed * length)[:length] + "\0"
            yield ((word + seed) * length)[:length] + "\0"


def took_s(pattern: "re.Pattern[Any]", text: str, *, anchored: bool) -> float:
    subject = text.encode() if isinstance(pattern.pattern, bytes) else text
    began = time.process_time()
    if anchored:
        pattern.match(subject), pattern.fullmatch(subject)
    else:
        deque(pattern.finditer(subject), maxlen=0)
    return time.process_time() - began


@pytest.mark.parametrize(
    ("place", "pattern", "flags", "anchored"),
    [pytest.param(*one, id=f"{one[0]} {one[1]!r}"[:80]) for one in patterns()],
)
def test_a_pattern_takes_time_linear_in_the_text(
    place: str, pattern: str | bytes, flags: int, anchored: bool
) -> None:
    compiled = re.compile(pattern, flags)
    for short, long in zip(texts(pattern, flags, SHORT), texts(pattern, flags, LONG), strict=True):
        if took_s(compiled, long, anchored=anchored) < UNMEASURABLE_S:
            continue
        times = [(took_s(compiled, one, anchored=anchored) for one in (long, short)) for _ in range(3)]
        ratios = [in_long / max(in_short, 1e-5) for in_long, in_short in times]
        assert min(ratios) < (LINEAR + QUADRATIC) / 2, (place, long[:40])
