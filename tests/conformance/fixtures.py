"""The server that the conformance suite calls: tools, prompts and resources whose names its scenarios fix.

None of this is in the product: only `app.py` beside this file serves it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError

from grok_mcp.server.connection import Context
from tests.conformance.tools import (
    PIXEL,
    PNG,
    SCHEMAS,
    ToolResult,
    document,
    elicitation,
    form,
    text_block,
    to_ask,
    tools,
)

Contents = types.TextResourceContents | types.BlobResourceContents

RESOURCES: Mapping[str, Contents] = {
    "test://static-text": types.TextResourceContents(
        uri="test://static-text", mime_type="text/plain", text="A text."
    ),
    "test://static-binary": types.BlobResourceContents(
        uri="test://static-binary", mime_type="image/png", blob=PNG
    ),
    "test://watched-resource": types.TextResourceContents(
        uri="test://watched-resource", mime_type="text/plain", text="It never changes."
    ),
}
TEMPLATE = "test://template/{id}/data"


async def _list_resources(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    listed = [
        types.Resource(uri=uri, name=uri, mime_type=found.mime_type) for uri, found in RESOURCES.items()
    ]
    return types.ListResourcesResult(resources=listed)


async def _list_templates(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(uri_template=TEMPLATE, name="template")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def _read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[_contents(params.uri)])


def _contents(uri: str) -> Contents:
    if uri in RESOURCES:
        return RESOURCES[uri]
    if found := re.fullmatch(r"test://template/([^/]+)/data", uri):
        text = json.dumps({"id": found[1]})
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=text)
    raise MCPError(types.INVALID_PARAMS, "There is no such resource.", {"uri": uri})


PROMPTS: Mapping[str, Sequence[str]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
PROMPT_ROUNDS: Sequence[types.InputRequests] = [
    {"user_context": elicitation("In which context?", context="string")}
]


async def _list_prompts(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    listed = [
        types.Prompt(
            name=name,
            description=f"Fixture {name}.",
            arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
        )
        for name, arguments in PROMPTS.items()
    ]
    return types.ListPromptsResult(prompts=listed)


async def _get_prompt(
    ctx: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    if params.name not in PROMPTS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    if params.name == "test_input_required_result_prompt" and (asked := to_ask(ctx, params, PROMPT_ROUNDS)):
        return asked
    parts = _prompt(params.name, params.arguments or {})
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=part) for part in parts])


def _prompt(name: str, given: Mapping[str, str]) -> list[types.ContentBlock]:
    if name == "test_prompt_with_image":
        return [PIXEL, text_block("What is this?")]
    if name == "test_prompt_with_embedded_resource":
        return [document(given["resourceUri"], "A document inside the prompt."), text_block("Sum it up.")]
    return [text_block(f"A prompt, given {json.dumps(given)}.")]


async def _complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    values = [word for word in ("tea", "test", "text") if word.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


async def _accept(ctx: Context, params: types.RequestParams) -> types.EmptyResult:
    return types.EmptyResult()


def fixture_server() -> Server[Any]:
    """A server that does all that the scenarios call for, and nothing that Grok is for."""
    bus = InMemorySubscriptionBus()
    runs = tools(bus)
    schemas = {name: SCHEMAS.get(name, form()) for name in runs}
    listed = [
        types.Tool(name=name, description=f"Fixture {name}.", input_schema=schema)
        for name, schema in schemas.items()
    ]

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> ToolResult:
        if params.name not in runs:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        return await runs[params.name](ctx, params)

    server = Server(
        "conformance-fixtures",
        version="1",
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=_list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=_read_resource,
        on_subscribe_resource=_accept,
        on_unsubscribe_resource=_accept,
        on_subscriptions_listen=ListenHandler(bus),
        on_list_prompts=_list_prompts,
        on_get_prompt=_get_prompt,
        on_completion=_complete,
    )
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, _accept)
    server.middleware.append(
        RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name)
    )
    return server
