"""Other people's clients on our server: the official Inspector and FastMCP. Hosts are in `tests/hosts`.

The SDK's own client is in `tests/network/test_transports.py`, on every transport and in both eras.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from npm_packages import home_of, node

from grok_mcp.tools import TOOLS
from tests.clients.servers import Servers
from tests.support.packages import available, python_package

INSPECTOR = ("@modelcontextprotocol/inspector", "2.12.0")
FASTMCP = ("fastmcp-slim", "3.4.10")
TRANSPORTS = ("stdio", "http", "sse")
ERAS = {"legacy": "2025-11-25", "modern": "2026-07-28"}
"""What the Inspector calls them."""
TOOL_ERROR_STATUS = 5

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("ask_grok", {"prompt": "What is the sandbox?"}),
    ("grok_search", {"query": "What is new in Python?"}),
    ("grok_structured", {"prompt": "A number.", "schema": SCHEMA}),
    ("grok_search", {"query": "Hi", "from_date": "2026-02-01", "to_date": "2026-01-01"}),
]
CALLED = {("stdio", "modern"): 1, ("http", "legacy"): 2, ("sse", "legacy"): 3}
"""Which of these calls the Inspector makes where."""

Runs = Mapping[tuple[str, str, str], "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def inspected(servers: Servers) -> Runs:
    """The runs of the Inspector's command line, by method, transport and era."""
    home = available(lambda: home_of(*INSPECTOR))
    program = str(home / "node_modules" / ".bin" / "mcp-inspector")
    # it hands only some of its variables on by itself
    variables = [word for name, value in servers.variables.items() for word in ("-e", f"{name}={value}")]

    def run(transport: str, era: str, *options: str) -> "Future[subprocess.CompletedProcess[str]]":
        target = [servers.targets[transport], *(variables if transport == "stdio" else [])]
        fixed = [
            "--transport",
            transport,
            "--protocol-era",
            era,
            "--connect-timeout",
            "0",
            "--format",
            "json",
            "-q",
        ]
        return servers.run([str(node()), program, "--cli", *target, *fixed, *options])

    def call(transport: str, era: str, number: int) -> "Future[subprocess.CompletedProcess[str]]":
        name, arguments = CALLS[number]
        options = ["--tool-name", name, "--tool-args-json", json.dumps(arguments)]
        return run(transport, era, "--method", "tools/call", *options)

    runs = {("initialize", "http", era): run("http", era, "--method", "initialize") for era in ERAS}
    for transport in TRANSPORTS:
        for era in ERAS:
            listing = run(transport, era, "--method", "tools/list", "--strict")
            runs["tools/list", transport, era] = listing
    return runs | {("tools/call", *where): call(*where, number) for where, number in CALLED.items()}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_inspector_lists_the_tools_and_finds_no_fault_in_their_schemas(
    inspected: Runs, transport: str, era: str
) -> None:
    done = inspected["tools/list", transport, era].result()
    assert done.returncode == 0, done.stderr
    assert [tool["name"] for tool in json.loads(done.stdout)["result"]["tools"]] == list(TOOLS)
    assert done.stderr == "", "what --strict finds"


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_gets_the_protocol_that_it_asks_for(inspected: Runs, era: str) -> None:
    done = inspected["initialize", "http", era].result()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["protocolVersion"] == ERAS[era]


@pytest.mark.parametrize(("transport", "era"), CALLED)
def test_the_inspector_calls_tools(inspected: Runs, transport: str, era: str) -> None:
    number = CALLED[transport, era]
    done = inspected["tools/call", transport, era].result()
    result = json.loads(done.stdout)["result"]
    failed = number == 3
    assert done.returncode == (TOOL_ERROR_STATUS if failed else 0), done.stderr
    assert result.get("isError", False) is failed
    check(number, result["content"][0]["text"], result.get("structuredContent"))


@pytest.fixture(scope="module")
def fastmcp(servers: Servers) -> dict[str, Any]:
    """What FastMCP's client saw on each transport."""
    packages = available(lambda: python_package(*FASTMCP, extra="[client]"))
    script = str(Path(__file__).with_name("fastmcp_calls.py"))
    arguments = [str(packages), json.dumps(servers.targets), json.dumps(CALLS)]
    done = servers.run([sys.executable, "-S", script, *arguments]).result()
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_fastmcp_lists_and_calls_the_tools_and_hears_of_progress(
    fastmcp: dict[str, Any], transport: str
) -> None:
    seen = fastmcp[transport]
    assert seen["protocol"] == "2025-11-25"
    assert seen["tools"] == list(TOOLS)
    assert [result["is_error"] for result in seen["results"]] == [False, False, False, True]
    for number, result in enumerate(seen["results"]):
        (text,) = result["texts"]
        check(number, text, result["structured"])
    assert seen["notes"]


def check(number: int, text: str, structured: dict[str, Any] | None) -> None:
    """The result of the call of that number is the one that the sandbox gives."""
    if number == 0:
        assert text.startswith("Sandbox answer: you asked “What is the sandbox?”.")
    elif number == 1:
        source = "docs.python-guide.example/releases"
        assert f"1. https://{source}" in text
    elif number == 2:
        assert structured is not None and json.loads(text) == structured
        assert isinstance(structured["data"]["n"], int)
    else:
        assert text.startswith("[invalid_argument] from_date: is after to_date.")
    assert number == 2 or structured is None
