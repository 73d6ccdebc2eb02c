"""Prints what `measure.py` counts, and each case that was judged wrongly."""

import logging
import os
import sys
import tempfile

import anyio

from tests.evidence.measure import measure

for name in [name for name in os.environ if name.startswith(("GROK_MCP_", "XAI_"))]:
    del os.environ[name]
logging.disable(logging.ERROR)
with tempfile.TemporaryDirectory() as home:
    os.environ |= {"GROK_MCP_STATE_DIR": home}
    measured = anyio.run(measure)
print(measured.table(), "", measured.sentence(), f"{measured.seconds:.1f} s", sep="\n")  # noqa: T201 - a command
for line in measured.wrong:
    print(line)  # noqa: T201 - a command
sys.exit(bool(measured.sound_with_note))
