"""What a host sees of the server before it calls anything: tools, limits of size, hints, instructions."""

import json
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from grok_mcp.server import INSTRUCTIONS
from tests.conftest import host_on

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
    assert len(listed.encode()) <= 4_096


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
            "idempotentHint": False,
            "openWorldHint": True,
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
    assert names == ["ask_grok", "grok_search", "grok_structured"]
    assert len(INSTRUCTIONS.encode()) <= 600


async def test_an_unknown_tool_is_a_protocol_error() -> None:
    async with host_on("http://127.0.0.1:9/v1") as host:
        with pytest.raises(MCPError, match="Unknown tool: ask_gork"):
            await host.client.call_tool("ask_gork", {})
