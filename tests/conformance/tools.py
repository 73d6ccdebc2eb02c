"""The tools of `fixtures.py`: the suite's scenarios call them by name and say what each has to do.

Most are rows of what they say or ask. For a scenario that calls a new one, add a row, or a line to `tools`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import mcp_types as types
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

from grok_mcp.server.connection import Context

Schema = dict[str, Any]
ToolResult = types.CallToolResult | types.InputRequiredResult
Run = Callable[[Context, types.CallToolRequestParams], Awaitable[ToolResult]]


def text_block(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _said(text: str, *, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[text_block(text)], is_error=is_error)


def document(uri: str, text: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, text=text, mime_type=mime_type)
    return types.EmbeddedResource(resource=contents)


# One black pixel, and one sample of silence.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
_WAV = "UklGRiUAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQEAAACA"
PIXEL = types.ImageContent(data=PNG, mime_type="image/png")
SILENCE = types.AudioContent(data=_WAV, mime_type="audio/wav")


# Tools that say something.

CONTENT: Mapping[str, list[types.ContentBlock]] = {
    "test_simple_text": [text_block("One line of text.")],
    "test_image_content": [PIXEL],
    "test_audio_content": [SILENCE],
    "test_embedded_resource": [document("test://embedded-resource", "A document inside the answer.")],
    "test_multiple_content_types": [
        text_block("Text, a picture and a document."),
        PIXEL,
        document("test://mixed-content-resource", '{"mixed": true}', "application/json"),
    ],
    "json_schema_2020_12_tool": [text_block("It is listed for its schema; the arguments were not read.")],
    "test_custom_header": [text_block("The region stood in a header as well.")],
}

SCHEMAS: Mapping[str, Schema] = {
    "test_custom_header": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
    # Every keyword has to reach the client as it is.
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {"$anchor": "place", "type": "object", "properties": {"city": {"type": "string"}}}
        },
        "properties": {
            "address": {"$ref": "#/$defs/address"},
            "by": {"enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"by": {"const": "phone"}}, "required": ["by"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}


def _says(content: list[types.ContentBlock]) -> Run:
    async def run(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(content=content)

    return run


async def _fails(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    return _said("This tool fails, on purpose.", is_error=True)


# Tools that tell the client something while they run.


async def _logs(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    for text in ("started", "at work", "done"):
        await ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)
    return _said("Three lines were logged.")


async def _reports_progress(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
    return _said("Three notes were sent.")


def _publishes(bus: InMemorySubscriptionBus, event: ServerEvent) -> Run:
    async def run(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        await bus.publish(event)
        return _said("Whoever listens was told.")

    return run


# Tools that ask the client back while they run, as they could up to 2025-11-25.


def form(**kinds: str) -> Schema:
    properties = {name: {"type": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "required": list(kinds)}


_TITLED = [{"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"}]

FORMS: Mapping[str, Schema] = {
    "test_elicitation": form(username="string", email="string"),
    "test_elicitation_sep1034_defaults": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": True},
        },
    },
    "test_elicitation_sep1330_enums": {
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": ["option1", "option2"]},
            "titledSingle": {"type": "string", "oneOf": _TITLED},
            "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["One", "Two"]},
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2"]}},
            "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
        },
    },
}


def _elicits(schema: Schema) -> Run:
    async def run(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        answer = await ctx.session.elicit_form("Please fill this in.", schema, ctx.request_id)
        return _said(f"{answer.action}: {json.dumps(answer.content)}")

    return run


def _question(text: str) -> types.CreateMessageRequest:
    asked = types.SamplingMessage(role="user", content=text_block(text))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[asked], max_tokens=100)
    )


async def _samples(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    answer = await ctx.session.send_request(
        _question(str((params.arguments or {}).get("prompt"))),
        types.CreateMessageResult,
        metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
    )
    return _said(f"The client's model says: {answer.content}")


# Tools that ask the client back by a result, which it answers by calling again: the way from 2026-07-28 on.


def elicitation(message: str, **kinds: str) -> types.ElicitRequest:
    """What asks the person to fill in these fields."""
    params = types.ElicitRequestFormParams(message=message, requested_schema=form(**kinds))
    return types.ElicitRequest(params=params)


_NAME = elicitation("What is your name?", name="string")
_CONFIRMATION = elicitation("Is that right?", ok="boolean")
_GREETING = _question("How would you greet somebody?")
_NEEDS = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}

ROUNDS: Mapping[str, Sequence[types.InputRequests]] = {
    "test_input_required_result_elicitation": [{"user_name": _NAME}],
    "test_input_required_result_sampling": [{"capital_question": _question("The capital of France?")}],
    "test_input_required_result_list_roots": [{"client_roots": types.ListRootsRequest()}],
    "test_input_required_result_request_state": [{"confirm": _CONFIRMATION}],
    "test_input_required_result_tampered_state": [{"confirm": _CONFIRMATION}],
    "test_input_required_result_multiple_inputs": [
        {"user_name": _NAME, "greeting": _GREETING, "client_roots": types.ListRootsRequest()}
    ],
    "test_input_required_result_multi_round": [
        {"step1": _NAME},
        {"step2": elicitation("What is your favourite colour?", color="string")},
    ],
    "test_input_required_result_capabilities": [{"confirm": _CONFIRMATION, "greeting": _GREETING}],
    "test_streaming_elicitation": [{"confirm": _CONFIRMATION}],
    "test_missing_capability": [{"greeting": _GREETING}],
}


def to_ask(
    ctx: Context, params: types.InputResponseRequestParams, rounds: Sequence[types.InputRequests]
) -> types.InputRequiredResult | None:
    """What the client has yet to answer, None when that is all. The state that it sends back is the round."""
    for number in range(int(params.request_state or 0), len(rounds)):
        askable = _askable(ctx, rounds[number])
        open_ = {key: asked for key, asked in askable.items() if key not in (params.input_responses or {})}
        if open_:
            return types.InputRequiredResult(input_requests=open_, request_state=str(number))
    return None


def _askable(ctx: Context, wanted: types.InputRequests) -> types.InputRequests:
    """The requests that the client can take; refuses the call where that is none of them."""
    declared = ctx.session.client_capabilities
    askable = {
        key: request
        for key, request in wanted.items()
        if getattr(declared, _NEEDS[request.method], None) is not None
    }
    if not askable:
        needed: Schema = {_NEEDS[request.method]: {} for request in wanted.values()}
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool has to ask the client back.",
            {"requiredCapabilities": needed},
        )
    return askable


def _asks(rounds: Sequence[types.InputRequests]) -> Run:
    async def run(ctx: Context, params: types.CallToolRequestParams) -> ToolResult:
        return to_ask(ctx, params, rounds) or _said("state-ok: thank you, that was all.")

    return run


def tools(bus: InMemorySubscriptionBus) -> dict[str, Run]:
    """All of them; `bus` is where lists are said to have changed."""
    return {
        **{name: _says(content) for name, content in CONTENT.items()},
        **{name: _elicits(schema) for name, schema in FORMS.items()},
        **{name: _asks(rounds) for name, rounds in ROUNDS.items()},
        "test_error_handling": _fails,
        "test_sampling": _samples,
        "test_tool_with_logging": _logs,
        "test_logging_tool": _logs,
        "test_tool_with_progress": _reports_progress,
        "test_trigger_tool_change": _publishes(bus, ToolsListChanged()),
        "test_trigger_prompt_change": _publishes(bus, PromptsListChanged()),
    }
