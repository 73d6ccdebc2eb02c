"""What a server says of itself when it begins: one line, in the form of its log."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grok_mcp import __version__
from grok_mcp.serving.http.token_lines import new_token
from tests.network.server import environment, serving

TOOLS = "ask_grok,grok_search,grok_structured,grok_result"


def test_a_person_reads_where_it_is_and_what_it_does() -> None:
    with serving(None, GROK_MCP_GATEWAY="sandbox") as served:
        (line,) = [line for line in served.lines if "serving" in line]
        assert line == (
            f"grok-mcp-server: serving {served.url}/mcp version={__version__} gateway=sandbox workers=1 "
            f"authentication=none tools={TOOLS}"
        )


@pytest.mark.skipif(os.name == "nt", reason="several workers are for POSIX")
def test_a_program_reads_the_same_as_json_and_it_comes_whatever_the_level_is(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(new_token("ann")[1] + "\n")
    settings: dict[str, Any] = {
        "GROK_MCP_LOG_FORMAT": "json",
        "GROK_MCP_LOG_LEVEL": "error",
        "GROK_MCP_TOKEN_FILE": str(tokens),
        "GROK_MCP_OAUTH_ISSUER": "https://login.example",
        "GROK_MCP_PUBLIC_URL": "https://grok.example/mcp",
        "GROK_MCP_GATEWAY": "xai",
    }
    with serving(None, **settings) as served:
        line = json.loads(served.line_with("serving http://"))
    assert line.pop("time") and line.pop("logger")
    assert line == {
        "level": "info",
        "message": f"serving {served.url}/mcp",
        "version": __version__,
        "gateway": "xai",
        "workers": 1,
        "authentication": "tokens+oauth",
        "tools": TOOLS,
    }


def test_on_stdio_it_is_a_line_for_debugging() -> None:
    def lines(level: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "grok_mcp"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment(GROK_MCP_GATEWAY="sandbox", GROK_MCP_LOG_LEVEL=level),
            timeout=60,
            check=False,
        )
        return [line for line in done.stderr.splitlines() if "serving" in line]

    assert lines("info") == []
    assert lines("debug") == [
        f"grok-mcp-server: DEBUG serving stdio version={__version__} gateway=sandbox tools={TOOLS}"
    ]
