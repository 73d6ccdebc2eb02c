"""Writes `docs/tools.md`, with no setting of whoever runs it, and nothing left in their home."""

import os
import tempfile

import anyio

from tests.reference.page import FILE, page

for name in [name for name in os.environ if name.startswith(("GROK_MCP_", "XAI_", "XDG_"))]:
    del os.environ[name]
with tempfile.TemporaryDirectory() as home:
    os.environ |= {"HOME": home, "LOCALAPPDATA": home}
    FILE.write_text(anyio.run(page), encoding="utf-8")
