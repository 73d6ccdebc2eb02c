"""`grok_structured`: JSON that is valid against the caller's schema, or a clear error."""

from dataclasses import replace
from typing import Annotated, Any

import anyio
from pydantic import Field, field_validator

from grok_mcp import bounds, errors, events
from grok_mcp.messages import Answer, Call, ChatRequest, Data, Message, ResponseFormat, Search
from grok_mcp.pipeline import Grok, with_sources_of
from grok_mcp.tools.arguments import Arguments, SamplingOptions, not_blank
from grok_mcp.tools.json_schema import SchemaCheck
from grok_mcp.tools.spec import ToolSpec
from grok_mcp.tools.turns import OpenTurn, keep_turn, load_files, load_images, open_conversation, open_turn


class StructuredArguments(Arguments):
    """The arguments of `grok_structured`."""

    prompt: Annotated[str, Field(description="The task, with its material")]
    json_schema: Annotated[dict[str, Any], Field(alias="schema", description="JSON Schema, any root")]
    name: Annotated[str, Field(description="Name for the schema")] = "result"
    search: Annotated[bool, Field(description="Search web and X first")] = False
    code: Annotated[bool, Field(description="Grok may run Python at xAI")] = False
    images: Annotated[tuple[str, ...], Field(description="As in ask_grok")] = ()
    files: Annotated[tuple[str, ...], Field(description="As in ask_grok")] = ()
    temperature: Annotated[float | None, Field(ge=0, le=2, description="0-2")] = None
    options: Annotated[SamplingOptions, Field(description="As in ask_grok")] = SamplingOptions()

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: str) -> str:
        return not_blank(value)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        """Endpoints take letters, digits, _ and - only."""
        plain = "".join(
            mark if mark.isascii() and (mark.isalnum() or mark in "_-") else "_" for mark in value
        )
        return plain[:64] or "result"


async def open_structured(grok: Grok, arguments: StructuredArguments, call: Call) -> OpenTurn:
    """The turn that one `grok_structured` call asks for."""
    check = await anyio.to_thread.run_sync(SchemaCheck.compile, arguments.json_schema)
    return await _open(grok, arguments, call, check)


async def _open(grok: Grok, arguments: StructuredArguments, call: Call, check: SchemaCheck) -> OpenTurn:
    conversation = await open_conversation(grok, arguments, call)
    attached = await load_files(arguments.files, grok, call)
    images = await load_images(arguments.images, grok.settings.image_roots)
    request = open_turn(
        grok,
        arguments,
        conversation,
        (attached.message(arguments.prompt, images),),
        search=Search() if arguments.search else None,
        response_format=ResponseFormat(arguments.name, check.fitted),
        code=arguments.code,
        temperature=arguments.temperature,
        options=arguments.options.model_dump(exclude_none=True),
    )
    return OpenTurn(conversation, request, attached)


async def structured(grok: Grok, arguments: StructuredArguments, call: Call) -> Answer:
    """Answer one `grok_structured` call; a mismatch gets one turn to be repaired."""
    check = await anyio.to_thread.run_sync(SchemaCheck.compile, arguments.json_schema)
    conversation, request, attached = await _open(grok, arguments, call, check)
    answer = attached.noted(await _complete(grok, request, call))
    if mismatches := await _mismatches(check, answer):
        first = answer
        request = _repair(request, first, mismatches)
        call.observe(events.Restarted("correcting the JSON"), "")
        try:
            answer = attached.noted(await _complete(grok, request, call))
        except errors.GrokError as error:
            error.usage = first.usage + error.usage if error.usage else first.usage
            raise
        answer = _corrected(first, answer)
        if mismatches := await _mismatches(check, answer):
            listed = "; ".join(mismatches)
            mismatch = errors.SchemaMismatchError(
                f"Grok's answer is not valid against the schema, also after a correction: {listed}.",
                "Loosen or explain the schema; what Grok wrote stands below.",
            )
            mismatch.usage, mismatch.attachment = answer.usage, answer.text[: bounds.ATTACHED_CHARACTERS]
            raise mismatch
    answer = replace(answer, data=Data(check.value(answer.text))).with_warnings(check.warnings)
    return await keep_turn(grok, conversation, request, answer, call)


async def _complete(grok: Grok, request: ChatRequest, call: Call) -> Answer:
    """One turn; an answer that was cut, stopped or broken is an error of its own, not a mismatch."""
    answer = await grok.complete(request, call)
    error: errors.GrokError
    if answer.finish_reason == "length":
        error = errors.LengthError("The JSON was cut at the token limit.", "Raise max_output_tokens.")
    elif answer.finish_reason == "content_filter":
        error = errors.ContentFilterError(
            "The endpoint stopped the JSON for safety.", "Rephrase the request."
        )
    elif answer.finish_reason == "interrupted":
        error = errors.InterruptedAnswerError(answer.warnings[-1], "Ask again.")
    else:
        return answer
    error.usage, error.attachment = answer.usage, answer.text[: bounds.ATTACHED_CHARACTERS]
    raise error


async def _mismatches(check: SchemaCheck, answer: Answer) -> list[str]:
    try:
        return await check.mismatches(answer.text)
    except errors.SchemaMismatchError as error:
        error.usage, error.attachment = answer.usage, answer.text[: bounds.ATTACHED_CHARACTERS]
        raise


def _corrected(first: Answer, second: Answer) -> Answer:
    """The second answer with all that the first one brought but its text, and what held of that."""
    note = "The first answer did not fit the schema; Grok corrected it."
    outdated = first.evidence.note if first.evidence else ""
    noted = [warning for warning in first.warnings if warning != outdated]
    return replace(
        with_sources_of(first, second),
        searched=first.searched if second.searched is None else second.searched,
        search_queries=tuple(dict.fromkeys((*first.search_queries, *second.search_queries))),
        pages_read=tuple(dict.fromkeys((*first.pages_read, *second.pages_read))),
        documents=tuple(dict.fromkeys((*first.documents, *second.documents))),
        code_runs=first.code_runs + second.code_runs,
        usage=first.usage + second.usage,
        warnings=tuple(dict.fromkeys((*noted, *second.warnings, note))),
    )


def _repair(request: ChatRequest, answer: Answer, mismatches: list[str]) -> ChatRequest:
    """The same conversation with the answer, its mismatches and the schema, which the model may not have
    seen.
    """
    assert request.response_format is not None
    complaint = "\n".join(
        [
            "This is not valid against the schema:",
            *mismatches,
            "Correct it.",
            request.response_format.in_words,
        ]
    )
    answered = Message("assistant", answer.text, reasoning=answer.reasoning)
    messages = (*request.messages, answered, Message("user", complaint))
    met = tuple(cited.url for cited in answer.citations if not cited.from_text)
    return replace(request, messages=messages, search=None, collections=(), code=False, met=met)


STRUCTURED = ToolSpec(
    name="grok_structured",
    title="Grok JSON",
    description="Grok (xAI) extracts or makes JSON, checked against your schema. Costs money.",
    arguments=StructuredArguments,
    run=structured,
    open=open_structured,
    renders="data",
    output_schema={"type": "object", "required": ["data"]},
)
