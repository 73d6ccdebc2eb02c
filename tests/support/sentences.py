"""Every sentence that the code says in some rooms, read from its source: strings of two words or more.

What is put in stands in braces, as in the code. Docstrings are left out, but for commands, whose docstrings
are their help.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.pages import ROOT

_IS_SENTENCE = re.compile(r"[A-Za-z}][\w}'’,;:.!?)]* +\S*[A-Za-z{]")
_IS_PATTERN = re.compile(r"\(\?|\[\^|\\[wds]|\*\+")


def sentences(paths: Sequence[str]) -> str:
    """The sentences of these modules, by module, in the order of the code."""
    files = [file for path in paths for file in _files(ROOT / "grok_mcp" / path)]
    parts = ((file.relative_to(ROOT / "grok_mcp").as_posix(), list(_of(file))) for file in files)
    return "\n\n".join(f"## {name}\n" + "\n".join(found) for name, found in parts if found) + "\n"


def error_sentences() -> str:
    """What is said in an error anywhere else: the strings of calls whose name ends with `Error`."""
    found = []
    for file in _files(ROOT / "grok_mcp"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node).endswith("Error")
        ]
        said = list(dict.fromkeys(text for call in calls for text in _strings(call, set())))
        if said:
            found.append(f"## {file.relative_to(ROOT / 'grok_mcp').as_posix()}\n" + "\n".join(said))
    return "\n\n".join(found) + "\n"


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _of(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if is_text and not _is_command(node):
                skipped.add(id(statement.value))
    yield from dict.fromkeys(_strings(tree, skipped))


def _is_command(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any("command" in ast.unparse(decorator) for decorator in decorators)


def _strings(root: ast.AST, skipped: set[int]) -> Iterator[str]:
    if isinstance(root, ast.JoinedStr):
        yield from _shown("".join(_piece(part) for part in root.values))
    elif isinstance(root, ast.Constant) and isinstance(root.value, str) and id(root) not in skipped:
        yield from _shown(root.value)
    for child in ast.iter_child_nodes(root):
        if not isinstance(root, ast.JoinedStr):
            yield from _strings(child, skipped)


def _piece(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else ""


def _shown(text: str) -> Iterator[str]:
    line = " ".join(text.split())
    if _IS_SENTENCE.search(line) and not _IS_PATTERN.search(line):
        yield line


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]
