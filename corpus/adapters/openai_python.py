"""The adapter of OpenAI's Python library (`pip install openai`), as its documentation uses it.

`--helper` streams by `chat.completions.stream()` and `responses.stream()`, which add an answer up themselves;
without it the adapter asks with `stream=True` and joins what comes, as most programs do.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import openai
from openai import OpenAI

HELPER = "--helper" in sys.argv[1:]
COUNTS = ("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "total_tokens")
BOTH = [
    *("text", "tool_calls", "finish_reason", "complete", "model", "error.status", "error.message"),
    *(f"usage.{name}" for name in COUNTS),
]
OFFERS = {"chat": [*BOTH, "alternatives"], "responses": [*BOTH, "reasoning_text", "citations"]}


class Reading(dict[str, Any]):
    """What has come so far: a stream may end in an exception."""

    def __init__(self) -> None:
        super().__init__(text="", tool_calls=[], usage=None, finish_reason=None, complete=False, error=None)


# ------------------------------------------------------------------------------------ chat


def chat_body(request: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a request."""
    body = {"model": request["model"], "messages": [{"role": "user", "content": request["prompt"]}]}
    if "tools" in request:
        body["tools"] = [{"type": "function", "function": tool} for tool in request["tools"]]
    if "schema" in request:
        form = {"name": "answer", "strict": True, "schema": request["schema"]}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if "n" in request:
        body["n"] = request["n"]
    return body


def chat(client: OpenAI, request: Mapping[str, Any], reading: Reading) -> None:
    """Read one chat completion."""
    body = chat_body(request)
    if not request["stream"]:
        completion(client.chat.completions.create(**body), reading)
        return
    body["stream_options"] = {"include_usage": True}
    if HELPER:
        with client.chat.completions.stream(**body) as stream:
            for event in stream:
                if event.type == "content.delta":
                    reading["text"] += event.delta
            try:
                whole = stream.get_final_completion()
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
                whole = error.completion or stream.current_completion_snapshot
            completion(whole, reading)
        return
    with client.chat.completions.create(**body, stream=True) as chunks:
        joined(chunks, reading)


def completion(whole: Any, reading: Reading) -> None:
    """Read a whole completion."""
    choices = sorted(whole.choices, key=lambda choice: choice.index or 0)
    first = choices[0]
    reading["text"] = first.message.content or ""
    reading["alternatives"] = [choice.message.content or "" for choice in choices[1:]]
    reading["tool_calls"] = [
        {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        for call in first.message.tool_calls or ()
    ]
    reading["model"] = whole.model
    end(first.finish_reason, chat_usage(whole.usage), reading)


def joined(chunks: Iterable[Any], reading: Reading) -> None:
    """Read a stream chunk by chunk; of tool calls the pieces are joined by their index."""
    texts: dict[int, str] = {}
    calls: dict[int, dict[str, Any]] = {}
    finish, usage = None, None
    for chunk in chunks:
        usage = chunk.usage or usage
        reading["model"] = reading.get("model") or chunk.model
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            first = min(texts)
            reading["text"] = texts[first]
            if choice.index != first:
                continue
            finish = choice.finish_reason or finish
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": None, "name": "", "arguments": ""})
                call["id"] = call["id"] or piece.id
                call["name"] = call["name"] or piece.function.name
                call["arguments"] += piece.function.arguments or ""
    reading["alternatives"] = [texts[index] for index in sorted(texts)[1:]]
    reading["tool_calls"] = list(calls.values())
    end(finish, chat_usage(usage), reading)


def chat_usage(usage: Any) -> dict[str, Any] | None:
    """Counts in the words of the corpus."""
    if usage is None:
        return None
    prompt, output = usage.prompt_tokens_details, usage.completion_tokens_details
    values = (
        *(usage.prompt_tokens, usage.completion_tokens),
        *(output and output.reasoning_tokens, prompt and prompt.cached_tokens, usage.total_tokens),
    )
    return dict(zip(COUNTS, values, strict=True))


def end(finish: str | None, usage: dict[str, Any] | None, reading: Reading) -> None:
    """What stands at the end: an answer without a reason has no end."""
    reading.update(finish_reason=finish, usage=usage, complete=finish is not None)


# ------------------------------------------------------------------------------------ responses


def responses(client: OpenAI, request: Mapping[str, Any], reading: Reading) -> None:
    """Read one response."""
    body: dict[str, Any] = {"model": request["model"], "input": request["prompt"]}
    tools: list[Any] = [{"type": "function", "strict": False, **tool} for tool in request.get("tools", ())]
    if request.get("search"):
        tools.append({"type": "web_search"})
    if tools:
        body["tools"] = tools
    if "schema" in request:
        form = {"type": "json_schema", "name": "answer", "strict": True, "schema": request["schema"]}
        body["text"] = {"format": form}
    if not request["stream"]:
        response(client.responses.create(**body), reading)
        return
    if HELPER:
        with client.responses.stream(**body) as events:
            ended = listen(events, reading)
            if ended or not reading["error"]:
                response(ended or events.get_final_response(), reading)
        return
    with client.responses.create(**body, stream=True) as events:
        ended = listen(events, reading)
        if ended:
            response(ended, reading)


def listen(events: Iterable[Any], reading: Reading) -> Any:
    """Collect the text; returns the response that the last event holds, None where there is none."""
    for event in events:
        if event.type == "response.output_text.delta":
            reading["text"] += event.delta
        elif event.type == "error":
            reading["error"] = {"status": None, "message": event.message}
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            reading["is_cut"] = event.type == "response.incomplete"
            return event.response
    return None


def response(whole: Any, reading: Reading) -> None:
    """Read a whole response. Behind a stream its last event, too, may say that it is incomplete."""
    is_cut = reading.pop("is_cut", False) or whole.status == "incomplete"
    output = whole.output or ()
    parts = [part for item in output if item.type == "message" for part in item.content]
    notes = [note for part in parts if part.type == "output_text" for note in part.annotations or ()]
    reading["text"] = "".join(part.text for part in parts if part.type == "output_text") or reading["text"]
    reading["model"] = whole.model
    reading["reasoning_text"] = "".join(
        part.text
        for item in output
        if item.type == "reasoning"
        for part in [*(item.summary or ()), *(item.content or ())]
    )
    reading["tool_calls"] = [
        {"id": item.call_id, "name": item.name, "arguments": item.arguments}
        for item in output
        if item.type == "function_call"
    ]
    reading["citations"] = cited(note for note in notes if note.type == "url_citation")
    reading["usage"] = response_usage(whole.usage)
    if whole.error:
        reading["error"] = {"status": None, "message": whole.error.message}
    reason = whole.incomplete_details.reason if whole.incomplete_details else None
    meant = {None: "tool_calls" if reading["tool_calls"] else "stop", "max_output_tokens": "length"}
    reading["finish_reason"] = meant.get(reason, reason) if reason or not is_cut else None
    reading["complete"] = whole.status in ("completed", "incomplete") and reading["error"] is None


def cited(notes: Iterable[Any]) -> list[dict[str, Any]]:
    """The sources, each once with all its places."""
    by_url: dict[str, dict[str, Any]] = {}
    for note in notes:
        one = by_url.setdefault(note.url, {"url": note.url, "title": note.title, "spans": []})
        if note.end_index:
            one["spans"].append([note.start_index, note.end_index])
    return list(by_url.values())


def response_usage(usage: Any) -> dict[str, Any] | None:
    """Counts in the words of the corpus."""
    if usage is None:
        return None
    given, output = usage.input_tokens_details, usage.output_tokens_details
    values = (
        *(usage.input_tokens, usage.output_tokens),
        *(output and output.reasoning_tokens, given and given.cached_tokens, usage.total_tokens),
    )
    return dict(zip(COUNTS, values, strict=True))


# ------------------------------------------------------------------------------------ the adapter


def read(task: Mapping[str, Any]) -> Reading:
    """The reading of one case; what the library raises is an error behind what had come."""
    request, reading = task["request"], Reading()
    client = OpenAI(
        base_url=task["base_url"],
        api_key=request["api_key"],
        max_retries=0,
        timeout=request.get("timeout_s", 10),
    )
    try:
        (chat if request["dialect"] == "chat" else responses)(client, request, reading)
    except openai.APIStatusError as error:
        failed(reading, f"{error} {error.response.text}", error.status_code)
    except openai.APIError as error:
        failed(reading, f"{error} {error.body or ''}")
    except Exception as error:
        failed(reading, f"{type(error).__name__}: {error}")
    return reading


def failed(reading: Reading, message: str, status: int | None = None) -> None:
    """What came stays; it is not the whole answer."""
    reading.update(complete=False, error={"status": status, "message": message})


def main() -> None:
    """Read cases from stdin until it ends."""
    name = "openai-python, stream()" if HELPER else "openai-python, stream=True"
    print(json.dumps({"client": name, "version": openai.__version__, "offers": OFFERS}), flush=True)
    for line in sys.stdin:
        print(json.dumps(read(json.loads(line)), default=repr), flush=True)


if __name__ == "__main__":
    main()
