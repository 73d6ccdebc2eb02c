"""The wire formats in which hosts talk to a model: what a request offers and brings back, and replies to it.

Every wire is pure: `fake_model.py` decides what is said. A reply is one turn, either a tool call or a text.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]
MODEL = "fake-model"


@dataclass(frozen=True)
class Offered:
    """A tool as the model is offered it."""

    name: str
    description: str
    schema: Json
    namespace: str = ""


@dataclass(frozen=True)
class Turn:
    """What the model says: a call of `tool` with `arguments`, or else `text`."""

    text: str = ""
    tool: Offered | None = None
    arguments: Mapping[str, Any] | None = None
    call_id: str = ""
    number: int = 1
    """Of all turns: a host at a terminal takes two with the same id for one."""


class Wire(Protocol):
    """One wire format."""

    def offered(self, body: Json) -> list[Offered]:
        """The tools that the request offers."""

    def results(self, body: Json) -> dict[str, str]:
        """What it says the tools answered, by the call's id, as the text that a model would read."""

    def stream(self, turn: Turn) -> Iterator[tuple[str, Json]]:
        """The turn as server-sent events: name (empty for none) and data."""

    def whole(self, turn: Turn) -> Json:
        """The turn as one body."""


def _text_of(content: Any) -> str:
    """The text of a content that is a string or a list of parts; what is no text is shown as JSON."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(part.get("text") or json.dumps(part, ensure_ascii=False) for part in parts)


class Anthropic:
    """Messages."""

    def offered(self, body: Json) -> list[Offered]:
        return [
            Offered(tool["name"], tool.get("description", ""), tool.get("input_schema", {}))
            for tool in body.get("tools", [])
        ]

    def results(self, body: Json) -> dict[str, str]:
        contents = [one["content"] for one in body["messages"] if isinstance(one["content"], list)]
        results = [block for content in contents for block in content if block["type"] == "tool_result"]
        return {block["tool_use_id"]: _text_of(block.get("content", "")) for block in results}

    def stream(self, turn: Turn) -> Iterator[tuple[str, Json]]:
        whole = self.whole(turn)
        (block,) = whole["content"]
        start = {**whole, "content": [], "stop_reason": None}
        if turn.tool:
            opened = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            opened = {**block, "text": ""}
            delta = {"type": "text_delta", "text": turn.text}
        stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events: list[Json] = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": opened},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]
        for event in events:
            yield event["type"], event

    def whole(self, turn: Turn) -> Json:
        block: Json = {"type": "text", "text": turn.text}
        if turn.tool:
            block = {"type": "tool_use", "id": turn.call_id, "name": turn.tool.name, "input": turn.arguments}
        return {
            "id": f"msg_{turn.number}",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [block],
            "stop_reason": "tool_use" if turn.tool else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5},
        }


class ChatCompletions:
    """Chat completions."""

    def offered(self, body: Json) -> list[Offered]:
        tools = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
        return [Offered(t["name"], t.get("description", ""), t.get("parameters", {})) for t in tools]

    def results(self, body: Json) -> dict[str, str]:
        results = [message for message in body["messages"] if message["role"] == "tool"]
        return {message["tool_call_id"]: _text_of(message["content"]) for message in results}

    def stream(self, turn: Turn) -> Iterator[tuple[str, Json]]:
        message = self._message(turn)
        for number, call in enumerate(message.get("tool_calls", ())):
            call["index"] = number
        finish = self._finish(turn)
        yield "", self._chunk({"index": 0, "delta": message, "finish_reason": None})
        yield "", self._chunk({"index": 0, "delta": {}, "finish_reason": finish})
        yield "", {**self._chunk(), "usage": self._usage()}

    def whole(self, turn: Turn) -> Json:
        choice = {"index": 0, "message": self._message(turn), "finish_reason": self._finish(turn)}
        return {**self._chunk(choice), "object": "chat.completion", "usage": self._usage()}

    def _message(self, turn: Turn) -> Json:
        if not turn.tool:
            return {"role": "assistant", "content": turn.text}
        function = {"name": turn.tool.name, "arguments": json.dumps(turn.arguments)}
        call = {"id": turn.call_id, "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def _finish(self, turn: Turn) -> str:
        return "tool_calls" if turn.tool else "stop"

    def _chunk(self, *choices: Json) -> Json:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": MODEL,
            "choices": choices,
        }

    def _usage(self) -> Json:
        return {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class Responses:
    """Responses, with the namespaces that Codex puts tools of MCP servers into."""

    def offered(self, body: Json) -> list[Offered]:
        found = []
        for tool in body.get("tools") or []:
            inner = tool["tools"] if tool["type"] == "namespace" else [tool]
            namespace = tool["name"] if tool["type"] == "namespace" else ""
            found += [
                Offered(one["name"], one.get("description", ""), one.get("parameters") or {}, namespace)
                for one in inner
                if one["type"] == "function"
            ]
        return found

    def results(self, body: Json) -> dict[str, str]:
        results = [item for item in body["input"] if item.get("type") == "function_call_output"]
        return {item["call_id"]: _text_of(item["output"]) for item in results}

    def stream(self, turn: Turn) -> Iterator[tuple[str, Json]]:
        whole = self.whole(turn)
        (item,) = whole["output"]
        place = {"output_index": 0, "item_id": item["id"]}
        events: list[Json] = [
            {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}
        ]
        if turn.tool:
            text = item["arguments"]
            opened = {**item, "arguments": "", "status": "in_progress"}
            events += [
                {"type": "response.output_item.added", "output_index": 0, "item": opened},
                {"type": "response.function_call_arguments.delta", **place, "delta": text},
                {"type": "response.function_call_arguments.done", **place, "arguments": text},
            ]
        else:
            at = {**place, "content_index": 0}
            opened = {**item, "content": [], "status": "in_progress"}
            part = {"type": "output_text", "text": "", "annotations": []}
            events += [
                {"type": "response.output_item.added", "output_index": 0, "item": opened},
                {"type": "response.content_part.added", **at, "part": part},
                {"type": "response.output_text.delta", **at, "delta": turn.text},
                {"type": "response.output_text.done", **at, "text": turn.text},
                {"type": "response.content_part.done", **at, "part": item["content"][0]},
            ]
        events += [
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": whole},
        ]
        for number, event in enumerate(events):
            yield event["type"], {**event, "sequence_number": number}

    def whole(self, turn: Turn) -> Json:
        if turn.tool:
            item: Json = {
                "type": "function_call",
                "id": "fc_1",
                "call_id": turn.call_id,
                "name": turn.tool.name,
                "arguments": json.dumps(turn.arguments),
                "status": "completed",
            }
            if turn.tool.namespace:
                item["namespace"] = turn.tool.namespace
        else:
            text = {"type": "output_text", "text": turn.text, "annotations": []}
            item = {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [text],
                "status": "completed",
            }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": MODEL,
            "status": "completed",
            "output": [item],
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        }


class Gemini:
    """generateContent."""

    def offered(self, body: Json) -> list[Offered]:
        declared = [one for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
        return [
            Offered(
                one["name"],
                one.get("description", ""),
                one.get("parametersJsonSchema") or one.get("parameters") or {},
            )
            for one in declared
        ]

    def results(self, body: Json) -> dict[str, str]:
        parts = [part for content in body["contents"] for part in content.get("parts", [])]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        return {one["id"]: "\n".join(map(_text_of, one["response"].values())) for one in results}

    def stream(self, turn: Turn) -> Iterator[tuple[str, Json]]:
        yield "", self.whole(turn)

    def whole(self, turn: Turn) -> Json:
        part: Json = {"text": turn.text}
        if turn.tool:
            call = {"name": turn.tool.name, "args": turn.arguments, "id": turn.call_id}
            part = {"functionCall": call}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}
