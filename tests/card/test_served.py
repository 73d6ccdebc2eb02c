"""The whole way: an endpoint's answer, the real server, and the card in two hosts."""

import base64
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from mcp.client import advertise
from npm_packages import home_of, node

from grok_mcp.sandbox import SandboxServer
from tests.card.browser import PICTURES, WAIT_MS, Hosts, run
from tests.network.server import serving
from tests.support.endpoint import Endpoint
from tests.support.host import host_on
from tests.support.packages import available
from tests.support.payloads import payload_reply

SHOWS = [advertise("io.modelcontextprotocol/ui", {"mimeTypes": ["text/html;profile=mcp-app"]})]
INSPECTOR = ("@modelcontextprotocol/inspector", "2.12.0")
QUERY = "What is new in Python?"


async def answered() -> list[dict[str, Any]]:
    """What a host that shows cards gets for a search, and for the usage after it."""
    async with Endpoint(payload_reply("05_responses_stream_web_and_x_search.sse")) as endpoint:
        async with host_on(endpoint, extensions=SHOWS) as host:
            found = await host.search()
            usage = await host.client.read_resource("grok://usage")
    return [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in (found.raw, usage)]


def test_a_search_of_the_server_shows_its_sources_and_its_usage(hosts: Hosts) -> None:
    result, usage = run(answered)
    with hosts.card(width=1200, resource=usage) as card:
        frame = card.show(result)
        assert [one.inner_text() for one in frame.locator(".markdown .marker").all()] == ["1", "2", "3"]
        assert "[[" not in frame.locator(".answer").inner_text()
        assert frame.locator("#sources .host").all_inner_texts() == [
            *("city.example", "transit.example", "x.com", "forum.example"),
        ]
        assert "tram extension council vote 12 November" in (frame.locator("#steps").text_content() or "")
        frame.get_by_role("button", name="Usage").click()
        frame.get_by_role("heading", name="By day").wait_for()
        assert frame.locator(".chart .column").count() == 1
        assert card.complaints == []


@contextmanager
def inspector() -> Iterator[str]:
    """The address of the MCP Inspector's page, which asks nobody for a token that is in its address."""
    home = available(lambda: home_of(*INSPECTOR))
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        port, sandbox_port = one.getsockname()[1], other.getsockname()[1]
    variables = {
        "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "HOST": "127.0.0.1",
        "CLIENT_PORT": str(port),
        "MCP_SANDBOX_PORT": str(sandbox_port),
        "MCP_AUTO_OPEN_ENABLED": "false",
        "MCP_INSPECTOR_API_TOKEN": "T",
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }
    command = [str(node()), str(home / "node_modules" / ".bin" / "mcp-inspector"), "--web"]
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout
        assert any(f":{port}" in line for line in process.stdout), "it says where it is"
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.communicate()


def test_the_inspector_shows_the_card_of_a_search(hosts: Hosts) -> None:
    """The other host that draws cards and can be run here; it wraps the page in one of its own."""
    with SandboxServer(pace=0) as sandbox, inspector() as url:
        with serving(sandbox.url, "--transport", "http", GROK_MCP_GATEWAY="sandbox") as server:
            arguments = base64.urlsafe_b64encode(json.dumps({"query": QUERY}).encode()).decode().rstrip("=")
            where = f"serverUrl={quote(f'{server.url}/mcp', safe='')}&transport=http&autoConnect=T"
            page = hosts.browser.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(3 * WAIT_MS)
            requests: list[str] = []
            page.on("request", lambda request: requests.append(f"{request.frame.url} {request.url}"))
            page.route(lambda address: "//127.0.0.1:" not in address, lambda route: route.abort())
            try:
                page.goto(f"{url}?{where}&openApp=grok_search&appArgs={arguments}&autoOpen=T")
                page.wait_for_selector('[data-testid="apps-form"][data-app-status="ready"]')
                card = next(frame for frame in page.frames if frame.url == "about:srcdoc")
                card.get_by_role("heading", name="Sources").wait_for()
                assert QUERY in card.locator(".answer").inner_text()
                assert card.locator("#sources .host").all_inner_texts() == [
                    "docs.python-guide.example",
                    "x.com",
                ]
                card.locator(".marker").first.hover()
                assert card.locator("#sources .lit").count() == 1
                assert (
                    card.evaluate("document.querySelector('meta[content*=trusted]').parentNode.localName")
                    == "head"
                )
                assert [request for request in requests if request.startswith("about:srcdoc ")] == []
                PICTURES.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=PICTURES / "inspector.png")
            finally:
                page.close()
