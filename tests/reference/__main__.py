"""Writes `docs/tools.md`."""

import os

import anyio

from tests.reference.page import FILE, page

for name in [name for name in os.environ if name.startswith(("GROK_MCP_", "XAI_"))]:
    del os.environ[name]  # no setting of whoever runs this gets into the page
FILE.write_text(anyio.run(page), encoding="utf-8")
