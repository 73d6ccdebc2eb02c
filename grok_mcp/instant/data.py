"""What the build knows before: the answers by protocol version, and the settings under which they are these.

`packaging/first_answers.py` writes the files, with the code that the server itself answers with; a test
compares both.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # `typing` itself takes as long to import as an answer
if TYPE_CHECKING:
    from typing import Any

_HERE = os.path.dirname(__file__)
ANSWERS = os.path.join(_HERE, "answers")
"""A folder with a file for each version: method → result, and that of `WITH_CARDS`."""
WITH_CARDS = "tools/list with cards"
"""What a client that shows cards gets for `tools/list`."""
PLAIN = os.path.join(_HERE, "plain.json")
"""`versions`, and `settings`: variable → the form of the values that change none of these answers."""

MAY_CHANGE = ("GROK_MCP_", "XAI_")
"""Beginnings of the names of variables that are settings."""


def load_plain() -> dict[str, Any]:
    """The contents of `plain.json`."""
    plain: dict[str, Any] = _load(PLAIN)
    return plain


def load_results(version: str) -> dict[str, Any]:
    """The results of one version, by method."""
    results: dict[str, Any] = _load(os.path.join(ANSWERS, f"{version}.json"))
    return results


def _load(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)
