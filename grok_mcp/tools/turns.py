"""One turn of a conversation, the same for all tools: open it, ask, keep the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from grok_mcp.errors import InvalidArgumentError
from grok_mcp.messages import Answer, Call, ChatRequest, Message, ResponseFormat, Search
from grok_mcp.pipeline import Grok
from grok_mcp.stores import Conversation
from grok_mcp.tools.arguments import Arguments
from grok_mcp.tools.attached import Attached
from grok_mcp.tools.images import read_images


class OpenTurn(NamedTuple):
    """A turn before it is sent: what it continues, what is asked, and the files that go with it."""

    conversation: Conversation
    request: ChatRequest
    attached: Attached = Attached()


async def load_images(images: tuple[str, ...], roots: tuple[Path, ...]) -> tuple[str, ...]:
    """The images in the form that endpoints take; files are read in a thread."""
    return await anyio.to_thread.run_sync(read_images, images, roots) if images else ()


async def load_files(files: tuple[str, ...], grok: Grok, call: Call) -> Attached:
    """The files in the form in which they go out; raises InvalidArgumentError."""
    if not files:
        return Attached()
    from grok_mcp.tools.files import attach

    return await attach(files, grok, call)


async def state_of_files(names: Sequence[str], call: Call) -> str | None:
    """What tells apart two calls that name the same files, where these have changed; None for an error."""
    from grok_mcp.tools.files import state_of

    return await state_of(names, call)


async def open_conversation(grok: Grok, arguments: Arguments, call: Call) -> Conversation:
    """The conversation to continue, refused where its last answer waits for function results."""
    conversation = await grok.conversations.open(arguments.conversation_id, call.owner)
    if conversation.pending_calls:
        raise InvalidArgumentError(
            "conversation_id: that answer waits for the results of its tool_calls.",
            "Give them to ask_grok as tool_results first.",
        )
    return conversation


def open_turn(
    grok: Grok,
    arguments: Arguments,
    conversation: Conversation,
    messages: tuple[Message, ...],
    *,
    search: Search | None = None,
    response_format: ResponseFormat | None = None,
    tools: tuple[Mapping[str, Any], ...] = (),
    tool_choice: str | None = None,
    code: bool = False,
    temperature: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> ChatRequest:
    """The request for the next turn: all earlier ones with the new messages behind."""
    return ChatRequest(
        model=arguments.model or grok.default_model,
        messages=(*conversation.messages, *messages),
        instructions=arguments.instructions or conversation.instructions,
        tools=tools,
        tool_choice=tool_choice,
        code=code,
        search=search,
        response_format=response_format,
        reasoning_effort=arguments.reasoning_effort or grok.settings.reasoning_effort,
        max_output_tokens=arguments.max_output_tokens,
        temperature=temperature,
        options=options or {},
        cache_key=conversation.root,
        guidelines=grok.settings.guidelines,
        collections=grok.settings.collections,
    )


async def keep_turn(
    grok: Grok, conversation: Conversation, request: ChatRequest, answer: Answer, call: Call
) -> Answer:
    """The answer with a handle to continue from it. A broken answer continues from the text that came."""
    answered = Message(
        "assistant",
        answer.text,
        tool_calls=tuple(call.echoed() for call in answer.tool_calls),
        reasoning=answer.reasoning,
    )
    longer = Conversation(
        root=conversation.root,
        messages=(*request.messages, answered),
        instructions=request.instructions,
        tools=request.tools or conversation.tools,
    )
    handle = await grok.conversations.keep(longer, call.owner)
    if handle is None:
        return answer.with_warnings(["This answer can't be continued: the conversation could not be stored."])
    return replace(answer, conversation_id=handle)
