"""`docs/tools.md` is what the code says; nothing that can be passed or come back is without its words."""

from dataclasses import fields
from typing import Any

import pytest

from grok_mcp.messages import Answer
from grok_mcp.sandbox import SandboxServer
from grok_mcp.tools import TOOLS
from grok_mcp.tools.arguments import Arguments
from grok_mcp.tools.search import SearchOptions
from grok_mcp.usage import Usage
from tests.reference.page import FILE, TEXTS, meaning, page, steady
from tests.support.host import host_on

pytestmark = pytest.mark.anyio


async def test_the_tools_page_is_what_the_code_says() -> None:
    assert await page() == FILE.read_text(encoding="utf-8"), "run `make snapshots`"


def test_every_tool_and_argument_has_its_words_and_no_other_has_any() -> None:
    assert set(TEXTS["tools"]) == set(TOOLS)
    for name, tool in TOOLS.items():
        arguments = set(tool.input_schema["properties"])
        assert all(meaning(name, argument) for argument in arguments)
        assert set(TEXTS["tools"][name]["arguments"]) <= arguments
    assert set(TEXTS["common"]) == set(Arguments.model_fields)


def test_every_option_and_count_has_its_words_and_no_other_has_any() -> None:
    assert set(TEXTS["options"]) == set(SearchOptions.model_fields)
    assert list(TEXTS["usage"]) == [field.name for field in fields(Usage)]


async def test_every_field_that_comes_back_has_its_words() -> None:
    published = {field.name for field in fields(Answer)} - {"reasoning", "steps"}
    assert set(TEXTS["result"]) == published | {"answer_id"}
    with SandboxServer(pace=0) as sandbox:
        async with host_on(sandbox.url, gateway="sandbox", results="structured") as host:
            for name, texts in TEXTS["tools"].items():
                for example in texts.get("examples", []):
                    answer: dict[str, Any] = (await host.call(name, **example["call"])).structured
                    assert set(answer) <= set(TEXTS["result"])
                    assert set(answer["usage"]) <= set(TEXTS["usage"])


def test_what_differs_from_call_to_call_is_left_out() -> None:
    line = (
        "grok-4.7 · 1,066 in (9 cached) + 52 out tokens · 0.000242 USD · 1.3 s · conversation_id conv_a-B_9"
    )
    assert steady(line) == "grok-4.7 · … in + 52 out tokens · … USD · … s · conversation_id conv_…"
