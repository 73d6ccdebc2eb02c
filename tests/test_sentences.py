"""How sentences are put together: an endpoint's title where one begins, and within one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import grok_mcp
from grok_mcp.gateways import GATEWAYS

MODULES = sorted(Path(grok_mcp.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(
    ("name", "title", "mention"),
    [
        ("xai", "xAI", "xAI"),
        ("generic", "The endpoint", "the endpoint"),
        ("sandbox", "The sandbox", "the sandbox"),
        ("theturbo", "TheTurbo", "TheTurbo"),
    ],
)
def test_a_title_begins_a_sentence_and_a_mention_stands_within_one(
    name: str, title: str, mention: str
) -> None:
    assert (GATEWAYS[name].title, GATEWAYS[name].mention) == (title, mention)


def texts(path: Path) -> Iterator[ast.JoinedStr]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield node


def titles_within(text: ast.JoinedStr) -> Iterator[str]:
    """The titles of endpoints that stand in a text behind other words."""
    before = ""
    for part in text.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
            continue
        assert isinstance(part, ast.FormattedValue)
        said = ast.unparse(part.value)
        if said.endswith(("gateway.title", "endpoint.title")) and before.strip() and before[-2:] != ". ":
            yield ast.unparse(text)
        before += "…"


def test_no_title_stands_in_mid_sentence() -> None:
    assert [found for path in MODULES for text in texts(path) for found in titles_within(text)] == []


def test_nothing_is_printed_in_guillemets() -> None:
    printed = [
        node.value
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 1
    ]
    assert [text for text in printed if set(text) & set("«»")] == []
