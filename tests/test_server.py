"""What a host sees of the server before it calls anything: tools, limits of size, hints, instructions."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import anyio
import pytest
from dirty_equals import IsPartialDict, IsStr
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, PromptReference
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension
from tool_schemas import derived

from grok_mcp import __version__
from grok_mcp.messages import Answer, Call
from grok_mcp.pipeline.grok import Grok
from grok_mcp.server.server import INSTRUCTIONS, build_server
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS
from grok_mcp.tools.ask import ASK, AskArguments
from grok_mcp.tools.published import PUBLISHED
from tests.support.endpoint import Endpoint, Reply, chat
from tests.support.host import Result, host_on
from tests.support.pace import within

pytestmark = pytest.mark.anyio

FORBIDDEN = {"anyOf", "oneOf", "allOf", "$ref", "$defs", "title", "default", "minimum", "maximum", "pattern"}


async def published(**settings: Any) -> list[dict[str, Any]]:
    async with host_on("http://127.0.0.1:9/v1", **settings) as host:
        listed = await host.client.list_tools()
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]


async def test_the_published_tools_are_these(snapshot: SnapshotAssertion) -> None:
    for tool in await published():
        assert tool == snapshot(name=tool["name"], extension_class=JSONSnapshotExtension)


async def test_the_whole_list_is_small() -> None:
    listed = json.dumps({"tools": await published()}, separators=(",", ":"), ensure_ascii=False)
    assert len(listed.encode()) <= 6_144


async def test_a_model_can_fill_in_every_argument_by_what_the_list_says(tmp_path: Path) -> None:
    listed = await published()
    for tool in listed:
        for name, argument in tool["inputSchema"]["properties"].items():
            assert argument.get("description"), f"{name} of {tool['name']}"
    file = tmp_path / "tools.json"
    file.write_text(json.dumps({"tools": listed}))
    linter = str(Path(sys.executable).with_name("tdqs"))
    done = subprocess.run(
        [linter, "lint", "--file", str(file), "--format", "json", "--fail-on", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_every_schema_is_flat() -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            assert not FORBIDDEN & node.keys(), node
            assert node.get("type") in ("string", "integer", "number", "boolean", "object", "array")
            for child in [
                *node.get("properties", {}).values(),
                *([node["items"]] if "items" in node else []),
            ]:
                check(child)

    for tool in await published():
        check(tool["inputSchema"])
        assert tool["inputSchema"]["additionalProperties"] is False
        assert tool["inputSchema"]["required"]


async def test_every_tool_says_that_it_only_reads() -> None:
    for tool in await published():
        assert tool["annotations"] == {
            "title": tool["title"],
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": tool["name"] == "grok_result",
            "openWorldHint": tool["name"] != "grok_result",
        }
        assert tool["_meta"]["anthropic/maxResultSizeChars"] >= 100_000


async def test_ask_and_search_are_loaded_up_front() -> None:
    loaded = [tool["name"] for tool in await published() if tool["_meta"].get("anthropic/alwaysLoad")]
    assert loaded == ["ask_grok", "grok_search"]


async def test_only_structured_results_have_an_output_schema_unless_all_are_wanted() -> None:
    assert [tool["name"] for tool in await published() if "outputSchema" in tool] == ["grok_structured"]
    assert all("outputSchema" in tool for tool in await published(results="structured"))


async def test_the_list_may_be_kept_for_an_hour_by_anyone() -> None:
    async with host_on("http://127.0.0.1:9/v1") as host:
        listed = await host.client.list_tools()
    assert (listed.ttl_ms, listed.cache_scope) == (3_600_000, "public")


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_both_eras_get_the_same_tools_and_instructions(legacy: bool) -> None:
    async with host_on("http://127.0.0.1:9/v1", legacy=legacy) as host:
        names = [tool.name for tool in (await host.client.list_tools()).tools]
        assert host.client.instructions == INSTRUCTIONS
    assert names == list(TOOLS)
    assert len(INSTRUCTIONS.encode()) <= 600


def test_a_tool_without_a_published_schema_says_how_to_make_one() -> None:
    with pytest.raises(LookupError, match=r"^grok_new .*: run make snapshots$"):
        _ = ASK._replace(name="grok_new").input_schema


async def test_an_unknown_tool_is_a_protocol_error() -> None:
    async with host_on("http://127.0.0.1:9/v1") as host:
        with pytest.raises(MCPError, match="Unknown tool: ask_gork"):
            await host.client.call_tool("ask_gork", {})


async def test_a_fault_of_our_own_is_a_reference_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(grok: Grok, arguments: AskArguments, call: Call) -> Answer:
        raise RuntimeError("secret xai-0123456789")

    grok = Grok(Settings())
    async with Client(build_server(grok, {"ask_grok": ASK._replace(run=fail)})) as client:
        result = Result(await client.call_tool("ask_grok", {"prompt": "Hi"}))
    assert result.error["code"] == "internal"
    assert result.text == IsStr(regex=r"\[internal\] Internal error of this server \(reference \w{8}\)\. .*")
    assert "xai-0123456789" in caplog.text and "RuntimeError" in caplog.text
    await grok.aclose()


async def test_a_closing_server_takes_no_new_call() -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        await host.grok.in_flight.drain(0)
        result = await host.ask()
    assert result.error == IsPartialDict(code="overloaded", retryable=True)
    assert endpoint.requests == []


async def test_calls_beyond_the_limit_wait_in_order_and_say_so() -> None:
    first = Reply(chat("First.").pieces, hold=1)
    async with Endpoint(first, chat("Second."), chat("Third.")) as endpoint:
        async with host_on(endpoint, max_concurrency=1, legacy=True) as host:
            results: dict[str, Result] = {}

            async def ask(name: str) -> None:
                results[name] = await host.ask(name, watch=True)

            async with anyio.create_task_group() as group:
                for number, name in enumerate(("one", "two", "three"), 1):
                    group.start_soon(ask, name)
                    with within(5):
                        while len(host.grok.in_flight) < 2 * number:
                            await anyio.sleep(0.01)
                await anyio.sleep(1.1)
                assert len(endpoint.requests) == 1
                first.release.set()
    assert [request.body["messages"][0]["content"] for request in endpoint.requests] == [
        "one",
        "two",
        "three",
    ]
    assert "First." in results["one"].text and "Third." in results["three"].text
    assert results["two"].notes[0][1].startswith("waiting for a free place")


async def test_many_calls_at_once_are_all_answered_and_none_is_mixed_up() -> None:
    async with Endpoint(chat("Yes.")) as endpoint, host_on(endpoint, results="structured") as host:
        answers: dict[int, str] = {}

        async def ask(number: int) -> None:
            handle = (await host.ask(f"Question {number}")).answer["conversation_id"]
            kept = await host.grok.conversations.open(handle, "local")
            answers[number] = kept.messages[0].text

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(ask, number)
    assert answers == {number: f"Question {number}" for number in range(100)}


def test_the_published_schemas_are_those_of_the_models() -> None:
    assert derived() == PUBLISHED, "run `make snapshots`"


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_the_server_shows_its_icon_once_and_not_with_every_result(legacy: bool) -> None:
    async with host_on("http://127.0.0.1:9/v1", legacy=legacy) as host:
        identity = host.client.server_info
        assert identity is not None
        listed = await host.client.list_tools()
        result = await host.ask()
    (icon,) = identity.icons or []
    assert (identity.name, identity.title, identity.version) == ("grok-mcp", "Grok", __version__)
    assert (icon.mime_type, icon.sizes) == ("image/svg+xml", ["any"])
    assert len(icon.src) <= 1_024
    prefix, _, encoded = icon.src.partition(",")
    assert prefix == "data:image/svg+xml;base64"
    drawing = ElementTree.fromstring(base64.b64decode(encoded))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert {element.tag.partition("}")[2] for element in drawing.iter()} <= {
        "svg",
        "g",
        "rect",
        "circle",
        "path",
    }
    for meta in (listed.meta, result.raw.meta):
        stamp = (meta or {}).get("io.modelcontextprotocol/serverInfo")
        assert stamp == (None if legacy else {"name": "grok-mcp", "title": "Grok", "version": __version__})


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_a_fault_beside_the_tools_is_a_reference_too(
    legacy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def names(self) -> list[str]:
            raise RuntimeError("secret xai-0123456789")

    async with host_on("http://127.0.0.1:9/v1", legacy=legacy) as host:
        host.grok.catalog = Broken()  # type: ignore[assignment]  # a fault of our own
        for request in (
            host.client.read_resource("grok://models"),
            host.client.complete(PromptReference(name="fact_check"), {"name": "model", "value": ""}),
        ):
            message = r"^Internal error of this server \(reference \w{8}\)\."
            with pytest.raises(MCPError, match=message) as caught:
                await request
            assert caught.value.code == INTERNAL_ERROR
    assert "xai-0123456789" in caplog.text and caplog.text.count("Traceback") == 2
