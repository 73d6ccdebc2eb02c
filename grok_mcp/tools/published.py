"""The published schemas of the tools' arguments, kept as data so that no start has to derive them.

They are made from the models by `make snapshots`; a test compares both.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")

PUBLISHED: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
"""By tool name."""
