"""`ask_grok`: a question to Grok, with images, function tools and conversations that continue."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError
from grok_mcp.messages import Answer, Call, Message
from grok_mcp.pipeline import Grok
from grok_mcp.stores import Conversation
from grok_mcp.tools.arguments import Arguments, SamplingOptions
from grok_mcp.tools.spec import ToolSpec
from grok_mcp.tools.turns import OpenTurn, keep_turn, load_files, load_images, open_turn

NO_OUTPUT = "(no output)"
"""What goes out for an empty output: endpoints refuse a message without content."""


class ToolResult(BaseModel):
    """What the caller's function returned for one tool call; an error text is a result too."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, defer_build=True)

    tool_call_id: str
    output: str

    @field_validator("output", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text if text.strip() else NO_OUTPUT


class AskArguments(Arguments):
    """The arguments of `ask_grok`."""

    prompt: Annotated[str, Field(description="Grok sees only what you pass")]
    images: Annotated[tuple[str, ...], Field(description="PNG or JPEG: https URL, data URI or path")] = ()
    files: Annotated[
        tuple[str, ...],
        Field(
            description="Read and sent for you, so don't paste them: path, path:10-40 (lines), glob as "
            "src/**/*.py, folder, PDF, https URL"
        ),
    ] = ()
    tools: Annotated[
        tuple[dict[str, Any], ...],
        Field(description="OpenAI functions; you run them"),
    ] = ()
    tool_choice: Annotated[str | None, Field(description="auto (default), none, required or a name")] = None
    tool_results: Annotated[
        tuple[ToolResult, ...],
        Field(description="{tool_call_id, output} of each call; prompt may be empty"),
    ] = ()
    code: Annotated[bool, Field(description="Grok may run Python at xAI")] = False
    temperature: Annotated[float | None, Field(ge=0, le=2, description="0-2")] = None
    options: Annotated[
        SamplingOptions,
        Field(
            description="top_p 0-1, seed int, stop string[], n 1-8, presence_penalty and frequency_penalty "
            "-2 to 2, parallel_tool_calls bool, service_tier priority, user string"
        ),
    ] = SamplingOptions()

    @field_validator("tools")
    @classmethod
    def _functions(cls, tools: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        if len(tools) > bounds.FUNCTIONS:
            raise ValueError(f"more than {bounds.FUNCTIONS} functions")
        return tuple(_function(tool, number) for number, tool in enumerate(tools))

    @model_validator(mode="after")
    def _check_prompt(self) -> Self:
        if not self.tool_results and not self.prompt.strip():
            raise ValueError("prompt: is empty")
        return self


def _function(tool: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A function definition, nested under `function` or flat, reduced to what both dialects take."""
    inner = tool.get("function", tool)
    if not isinstance(inner, dict) or tool.get("type", "function") != "function":
        raise ValueError(f"entry {number} is not a function definition")
    name, parameters = inner.get("name"), inner.get("parameters")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise ValueError(f"entry {number} needs a name of letters, digits, _ . or -")
    if parameters is not None and not isinstance(parameters, dict):
        raise ValueError(f"the parameters of {name} must be a JSON Schema object")
    description = str(inner.get("description") or "")
    return {
        "name": name,
        "description": description,
        "parameters": parameters or {"type": "object", "properties": {}},
    }


async def open_ask(grok: Grok, arguments: AskArguments, call: Call) -> OpenTurn:
    """The turn that one `ask_grok` call asks for."""
    conversation = await grok.conversations.open(arguments.conversation_id, call.owner)
    tools = arguments.tools or conversation.tools
    names = [tool["name"] for tool in tools]
    choice = arguments.tool_choice
    required = ["required"] if names or arguments.code else []
    if choice and choice not in ("auto", "none", *required, *names):
        raise InvalidArgumentError(
            f"tool_choice: {choice[:80]!r} is not auto, none, required or the name of one of the functions.",
            "Correct it and call again.",
        )
    messages = _results(arguments, conversation)
    attached = await load_files(arguments.files, grok, call)
    if arguments.prompt.strip() or arguments.images or arguments.files:
        images = await load_images(arguments.images, grok.settings.image_roots)
        messages += (attached.message(arguments.prompt, images),)
    request = open_turn(
        grok,
        arguments,
        conversation,
        messages,
        tools=tools,
        tool_choice=choice,
        code=arguments.code,
        temperature=arguments.temperature,
        options=arguments.options.model_dump(exclude_none=True),
    )
    return OpenTurn(conversation, request, attached)


async def ask(grok: Grok, arguments: AskArguments, call: Call) -> Answer:
    """Answer one `ask_grok` call."""
    turn = await open_ask(grok, arguments, call)
    answer = turn.attached.noted(await grok.complete(turn.request, call))
    return await keep_turn(grok, turn.conversation, turn.request, answer, call)


def _results(arguments: AskArguments, conversation: Conversation) -> tuple[Message, ...]:
    """The results of the pending calls, in their order; every call needs one."""
    outputs = {result.tool_call_id: result.output for result in arguments.tool_results}
    pending = [call.id for call in conversation.pending_calls]
    for unknown in outputs.keys() - set(pending):
        raise InvalidArgumentError(
            f"tool_results: no call {unknown[:80]!r} waits for a result in this conversation.",
            "Pass the conversation_id of the answer that made the calls, and its ids.",
        )
    missing = [call_id for call_id in pending if call_id not in outputs]
    if missing:
        raise InvalidArgumentError(
            f"tool_results: there is no result for {', '.join(missing)}.",
            "Give an output for each call of that answer; an error text is fine.",
        )
    return tuple(Message("tool", outputs[call_id], tool_call_id=call_id) for call_id in pending)


ASK = ToolSpec(
    name="ask_grok",
    title="Ask Grok",
    description="Ask Grok (xAI) for a second opinion, also on images and files. It does not search. Costs "
    "money; the last line has the cost and conversation_id.",
    arguments=AskArguments,
    run=ask,
    open=open_ask,
    always_load=True,
)
