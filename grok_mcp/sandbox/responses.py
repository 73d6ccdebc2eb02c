"""Writes a reply in the responses dialect: a stream of events or one body."""

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from grok_mcp.sandbox.errors import JSON_BODIES, RefusalError, error_json
from grok_mcp.sandbox.output_items import JSON, annotations, call_item, function_item, search_item
from grok_mcp.sandbox.plan import Reply
from grok_mcp.sandbox.question import Question

CREATED = 1_795_300_000


class ResponsesReply:
    """One reply in the responses dialect."""

    def __init__(self, body: JSON, question: Question, reply: Reply, reply_id: str) -> None:
        self._asked = body
        self._question = question
        self._reply = reply
        self._id = reply_id
        self._answer = reply.answers[0]
        self._include = body.get("include") or []
        self._sequence = 0
        self._output: list[JSON] = []

    def body(self) -> JSON:
        """The whole reply as one object."""
        for _ in self._events():
            pass
        return self._response(self._status)

    def events(self, bend: Callable[[Iterable[JSON]], Iterable[JSON]]) -> Iterator[JSON]:
        """The events of the stream, bent as a fault script says, then numbered."""
        for number, event in enumerate(bend(self._events())):
            self._sequence = number + 1
            yield {"sequence_number": number} | event

    def error_event(self, shape: str, error: RefusalError) -> JSON:
        """An error in the middle of the stream: the event of this dialect, or a gateway's own object."""
        if shape in JSON_BODIES and shape != "xai":
            return error_json(shape, error)
        return {
            "sequence_number": self._sequence,
            "type": "error",
            "code": None,
            "message": error.message,
            "param": None,
        }

    @property
    def _status(self) -> str:
        return "incomplete" if self._answer.cut else "completed"

    def _events(self) -> Iterator[JSON]:
        self._output = []
        yield {"type": "response.created", "response": self._response("in_progress")}
        yield {"type": "response.in_progress", "response": self._response("in_progress")}
        if self._reply.reasoning:
            yield from self._reasoning()
        if self._reply.searches:
            yield from self._searches()
        for place in range(len(self._reply.calls)):
            yield from self._call(place)
        if not self._reply.calls:
            yield from self._message()
        yield {"type": f"response.{self._status}", "response": self._response(self._status)}

    def _open(self, item: JSON) -> JSON:
        self._output.append(item)
        return _event("output_item.added", output_index=len(self._output) - 1, item=item)

    def _close(self, index: int, item: JSON) -> JSON:
        self._output[index] = item
        return _event("output_item.done", output_index=index, item=item)

    def _reasoning(self) -> Iterator[JSON]:
        item: JSON = {"id": f"rs_{self._id}", "type": "reasoning", "summary": []}
        yield self._open(item | {"status": "in_progress"})
        index = len(self._output) - 1
        at = {"item_id": item["id"], "output_index": index, "summary_index": 0}
        part = {"type": "summary_text", "text": self._reply.reasoning}
        yield _event("reasoning_summary_part.added", **at, part=part | {"text": ""})
        for piece in self._reply.reasoning_pieces:
            yield _event("reasoning_summary_text.delta", **at, delta=piece)
        yield _event("reasoning_summary_text.done", **at, text=self._reply.reasoning)
        yield _event("reasoning_summary_part.done", **at, part=part)
        done = item | {"summary": [part], "status": "completed"}
        if "reasoning.encrypted_content" in self._include:
            sealed = base64.b64encode(self._reply.reasoning.encode()).decode()
            done["encrypted_content"] = sealed
        yield self._close(index, done)

    def _searches(self) -> Iterator[JSON]:
        """Web searches open first and close last, as they do on the real wire."""
        closing: list[JSON] = []
        show = "web_search_call.action.sources" in self._include
        for number, search in enumerate(self._reply.searches, start=1):
            if search.tool == "web":
                item = search_item(self._id, number, search, show)
                opened = {key: item[key] for key in ("id", "type")} | {"status": "in_progress"}
                yield self._open(opened)
                at = {"item_id": item["id"], "output_index": len(self._output) - 1}
                yield _event("web_search_call.in_progress", **at)
                yield _event("web_search_call.searching", **at)
                closing.append(at | {"item": item})
            else:
                yield from self._x_search(call_item(self._id, number, search))
        for one in closing:
            item = one.pop("item")
            yield _event("web_search_call.completed", **one)
            yield self._close(one["output_index"], item)

    def _x_search(self, item: JSON) -> Iterator[JSON]:
        yield self._open(item | {"input": "", "status": "in_progress"})
        at = {"item_id": item["id"], "output_index": len(self._output) - 1}
        yield _event("custom_tool_call_input.delta", **at, delta=item["input"])
        yield _event("custom_tool_call_input.done", **at, input=item["input"])
        yield self._close(at["output_index"], item)

    def _call(self, place: int) -> Iterator[JSON]:
        item = function_item(self._id, place, self._reply.calls[place])
        yield self._open(item | {"arguments": "", "status": "in_progress"})
        at = {"item_id": item["id"], "output_index": len(self._output) - 1}
        yield _event("function_call_arguments.delta", **at, delta=item["arguments"])
        yield _event("function_call_arguments.done", **at, arguments=item["arguments"])
        yield self._close(at["output_index"], item)

    def _message(self) -> Iterator[JSON]:
        item: JSON = {"id": f"msg_{self._id}", "type": "message", "role": "assistant"}
        yield self._open(item | {"content": [], "status": "in_progress"})
        index = len(self._output) - 1
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        part: JSON = {"type": "output_text", "text": "", "logprobs": [], "annotations": []}
        yield _event("content_part.added", **at, part=part)
        for piece in self._answer.pieces:
            yield _event("output_text.delta", **at, delta=piece, logprobs=[])
        notes = annotations(self._answer, positions=self._question.cites == "inline")
        for number, note in enumerate(notes):
            where = {**at, "annotation_index": number}
            yield _event("output_text.annotation.added", **where, annotation=note)
        part = part | {"text": self._answer.text, "annotations": notes}
        yield _event("output_text.done", **at, text=part["text"], logprobs=[])
        yield _event("content_part.done", **at, part=part)
        yield self._close(index, item | {"content": [part], "status": self._status})

    def _response(self, status: str) -> JSON:
        asked = self._asked.get
        ended = status != "in_progress"
        cut = status == "incomplete"
        return {
            "id": self._id,
            "object": "response",
            "created_at": CREATED,
            "completed_at": CREATED + 1 if status == "completed" else None,
            "model": self._question.model.id,
            "status": status,
            "output": list(self._output) if ended else [],
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": asked("instructions"),
            "max_output_tokens": asked("max_output_tokens"),
            "max_tool_calls": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "prompt_cache_key": asked("prompt_cache_key"),
            "reasoning": {"effort": self._question.effort, "summary": "detailed"},
            "service_tier": asked("service_tier") or "default",
            "store": asked("store", True),
            "temperature": asked("temperature"),
            "text": asked("text") or {"format": {"type": "text"}},
            "tool_choice": asked("tool_choice") or "auto",
            "tools": asked("tools") or [],
            "top_p": asked("top_p"),
            "truncation": "disabled",
            "usage": self._usage() if ended else None,
            "user": asked("user"),
        }

    def _usage(self) -> JSON:
        usage = self._reply.usage
        return {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.total_tokens,
            "num_sources_used": 0,
            "num_server_side_tools_used": usage.web_calls + usage.x_calls,
            "cost_in_usd_ticks": usage.ticks(self._question.model),
            "server_side_tool_usage_details": {
                "web_search_calls": usage.web_calls,
                "x_search_calls": usage.x_calls,
                "x_posts_fetched": usage.posts,
                "x_users_fetched": 0,
                "code_interpreter_calls": 0,
                "file_search_calls": 0,
                "mcp_calls": 0,
                "document_search_calls": usage.attachments,
                "image_generation_calls": 0,
            },
            "context_details": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.text_tokens,
            },
        }


def _event(name: str, **fields: Any) -> JSON:
    return {"type": f"response.{name}", **fields}
