"""The responses dialect: reads a request, writes a reply as a stream of events or one body."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from grok_mcp.sandbox.answering import Question, Reply, reading
from grok_mcp.sandbox.answering.models import CREATED, choose_effort, refuse_parameters, serving_model
from grok_mcp.sandbox.answering.question import Turn
from grok_mcp.sandbox.answering.reply import Search
from grok_mcp.sandbox.answering.search import MAX_DOMAINS, MAX_HANDLES, PAGES, POSTS, Scope
from grok_mcp.sandbox.answering.text import Answer
from grok_mcp.sandbox.errors import JSON, RefusalError, refusal

CODE = "code_interpreter"
NO_SEARCH = ("function", "file_search", CODE)
"""Tools that are no search of the web or X."""


def _read(body: JSON, conversation: str) -> Question:
    model = serving_model(body.get("model"))
    refuse_parameters(model, body)
    if body.get("previous_response_id") is not None:
        raise refusal(404, f"Response {body['previous_response_id']} does not exist: nothing is stored here.")
    tools = body.get("tools") or []
    functions = reading.functions(tools)
    choice = reading.tool_choice(body.get("tool_choice"), functions)
    kind, schema = reading.answer_format((body.get("text") or {}).get("format") or {})
    return Question(
        model,
        choose_effort(model, (body.get("reasoning") or {}).get("effort")),
        _read_turns(body.get("instructions"), body.get("input")),
        functions,
        choice,
        tuple(_read_scope(tool) for tool in tools if tool.get("type") not in NO_SEARCH),
        any(tool.get("type") == CODE for tool in tools),
        {"required": "on", "none": "off"}.get(choice, "auto"),
        format=kind,
        schema=schema,
        max_tokens=reading.count(body, "max_output_tokens"),
        cap_includes_reasoning=True,
        conversation=str(body.get("prompt_cache_key") or conversation),
        overhead=reading.as_text(tools, schema),
    )


def _read_scope(tool: JSON) -> Scope:
    kind = tool.get("type")
    if kind == "x_search":
        first, last = reading.dates(tool)
        handles = reading.names(tool, "allowed_x_handles", "excluded_x_handles", MAX_HANDLES)
        return Scope(POSTS, *handles, from_date=first, to_date=last)
    if kind != "web_search":
        raise RefusalError(422, f"tools: the sandbox does not run the server tool `{kind}`")
    filters = tool.get("filters") or {}
    return Scope(PAGES, *reading.names(filters, "allowed_domains", "excluded_domains", MAX_DOMAINS))


def _read_turns(instructions: str | None, items: Any) -> tuple[Turn, ...]:
    turns = [Turn("system", instructions)] if instructions else []
    if not items:
        raise RefusalError(400, "input must be a text or a list of at least one item.")
    return (*turns, *([Turn("user", items)] if isinstance(items, str) else map(_read_item, items)))


def _read_item(item: JSON) -> Turn:
    kind = item.get("type", "message")
    if kind == "message":
        return reading.turn(str(item.get("role")), item.get("content"))
    if kind == "function_call_output":
        return Turn("tool", str(item.get("output")))
    # reasoning and calls that are sent back only count as tokens
    return Turn("assistant", reading.as_text(item))


_ECHOED = """
instructions max_output_tokens prompt_cache_key service_tier store temperature text tool_choice tools top_p
"""


class ResponsesReply:
    """One reply in the responses dialect."""

    name = "responses"
    read = staticmethod(_read)

    def __init__(self, body: JSON, question: Question, reply: Reply, reply_id: str) -> None:
        self._request = body
        self._question = question
        self._reply = reply
        self._id = reply_id
        self._answer = reply.answers[0]
        self._include = body.get("include") or []
        self._output: list[JSON] = []

    def body(self) -> JSON:
        """The whole reply as one object."""
        *_, end = self.events()
        response: JSON = end["response"]
        return response

    def events(self) -> Iterator[JSON]:
        """The events of the stream, without their numbers."""
        self._output = []
        yield _event("created", response=self._response("in_progress"))
        yield _event("in_progress", response=self._response("in_progress"))
        if self._reply.reasoning:
            yield from self._reasoning()
        yield from self._searches()
        yield from self._runs()
        yield from self._others()
        yield from self._calls()
        if not self._reply.calls:
            yield from self._message()
        yield _event(self._status, response=self._response(self._status))

    @property
    def _status(self) -> str:
        return "incomplete" if self._answer.cut else "completed"

    def _open(self, item: JSON, **changes: Any) -> JSON:
        """The event that opens an item, which is then the last one of the output."""
        self._output.append(item | changes | {"status": "in_progress"})
        return _event("output_item.added", output_index=len(self._output) - 1, item=self._output[-1])

    def _close(self, index: int, item: JSON, status: str = "completed") -> JSON:
        self._output[index] = item | {"status": status}
        return _event("output_item.done", output_index=index, item=self._output[index])

    def _at(self) -> JSON:
        """Where the last item of the output stands."""
        return {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}

    def _reasoning(self) -> Iterator[JSON]:
        item: JSON = {"id": f"rs_{self._id}", "type": "reasoning", "summary": []}
        yield self._open(item)
        at = self._at() | {"summary_index": 0}
        part = {"type": "summary_text", "text": self._reply.reasoning}
        yield _event("reasoning_summary_part.added", **at, part=part | {"text": ""})
        for piece in self._reply.reasoning_pieces:
            yield _event("reasoning_summary_text.delta", **at, delta=piece)
        yield _event("reasoning_summary_text.done", **at, text=self._reply.reasoning)
        yield _event("reasoning_summary_part.done", **at, part=part)
        item["summary"] = [part]
        if "reasoning.encrypted_content" in self._include:
            item["encrypted_content"] = base64.b64encode(self._reply.reasoning.encode()).decode()
        yield self._close(at["output_index"], item)

    def _searches(self) -> Iterator[JSON]:
        """Web searches open first and close last, as they do on the real wire."""
        open_items = []
        for number, search in enumerate(self._reply.searches, start=1):
            if search.tool == "x":
                yield from self._x_search(number, search)
                continue
            item = self._web_search(number, search)
            yield self._open({name: item[name] for name in ("id", "type")})
            at = self._at()
            yield _event("web_search_call.in_progress", **at)
            yield _event("web_search_call.searching", **at)
            open_items.append((at, item))
        for at, item in open_items:
            yield _event("web_search_call.completed", **at)
            yield self._close(at["output_index"], item)
        for number, search in enumerate(self._reply.searches, start=1):
            yield from self._reading(number, search)

    def _reading(self, number: int, search: Search) -> Iterator[JSON]:
        """The page that is opened after a search, and what is looked for in it."""
        if search.opened is None:
            return
        url = search.opened.url
        for action in (
            {"type": "open_page", "url": url},
            {"type": "find_in_page", "url": url, "pattern": search.query.split()[-1]},
        ):
            name = f"ws_{self._id}_{action['type']}_{number:08}"
            yield self._open({"id": name, "type": "web_search_call"})
            at = self._at()
            yield _event("web_search_call.in_progress", **at)
            yield _event("web_search_call.completed", **at)
            yield self._close(at["output_index"], {"id": name, "type": "web_search_call", "action": action})

    def _runs(self) -> Iterator[JSON]:
        """Code that runs; what it writes is listed only where the request includes it."""
        for number, run in enumerate(self._reply.runs):
            item: JSON = {"id": f"ci_{self._id}_{number}", "type": "code_interpreter_call"}
            yield self._open(item, code="", outputs=None)
            at = self._at()
            yield _event("code_interpreter_call.in_progress", **at)
            for piece in run.pieces:
                yield _event("code_interpreter_call_code.delta", **at, delta=piece)
            yield _event("code_interpreter_call_code.done", **at, code=run.code)
            yield _event("code_interpreter_call.interpreting", **at)
            yield _event("code_interpreter_call.completed", **at)
            shown = "code_interpreter_call.outputs" in self._include
            outputs = [{"type": "logs", "logs": run.logs}] if shown else None
            yield self._close(at["output_index"], item | {"code": run.code, "outputs": outputs})

    def _others(self) -> Iterator[JSON]:
        """Items of further tools: opened, in progress, done."""
        for number, item in enumerate(self._reply.others):
            item = {"id": f"st_{self._id}_{number}"} | item
            yield self._open({"id": item["id"], "type": item["type"]})
            yield _event(f"{item['type']}.in_progress", **self._at())
            yield self._close(self._at()["output_index"], item)

    def _web_search(self, number: int, search: Search) -> JSON:
        """A web search; its sources are listed only where the request includes them."""
        action: JSON = {"type": "search", "query": search.query, "queries": search.queries}
        if "web_search_call.action.sources" in self._include:
            action["sources"] = [{"type": "url", "url": source.url} for source in search.sources]
        return {"id": f"ws_{self._id}_call_{number:08}", "type": "web_search_call", "action": action}

    def _x_search(self, number: int, search: Search) -> Iterator[JSON]:
        """A search on X, which the real wire writes as a custom tool call."""
        since = f" since:{search.from_date}" if search.from_date else ""
        call_id = f"xs_call_{number:08}"
        item = {
            "id": f"ctc_{self._id}_{call_id}",
            "type": "custom_tool_call",
            "call_id": call_id,
            "name": "x_keyword_search",
            "input": json.dumps({"query": search.query + since, "limit": 10, "mode": "Latest"}),
        }
        yield from self._streamed(item, "custom_tool_call_input", "input")

    def _calls(self) -> Iterator[JSON]:
        for place, call in enumerate(self._reply.calls):
            item = {
                "id": f"fc_{self._id}_{place}",
                "type": "function_call",
                "call_id": f"call_{self._id[:6]}{place:02}",
                "name": call.name,
                "arguments": call.arguments,
            }
            yield from self._streamed(item, "function_call_arguments", "arguments")

    def _streamed(self, item: JSON, event: str, field: str) -> Iterator[JSON]:
        """An item whose field comes in one delta."""
        yield self._open(item, **{field: ""})
        at = self._at()
        yield _event(f"{event}.delta", **at, delta=item[field])
        yield _event(f"{event}.done", **at, **{field: item[field]})
        yield self._close(at["output_index"], item)

    def _message(self) -> Iterator[JSON]:
        item: JSON = {"id": f"msg_{self._id}", "type": "message", "role": "assistant"}
        yield self._open(item, content=[])
        at = self._at() | {"content_index": 0}
        part: JSON = {"type": "output_text", "text": "", "logprobs": [], "annotations": []}
        yield _event("content_part.added", **at, part=part)
        for piece in self._answer.pieces:
            yield _event("output_text.delta", **at, delta=piece, logprobs=[])
        notes = _annotations(self._answer)
        for number, note in enumerate(notes):
            yield _event("output_text.annotation.added", **at, annotation_index=number, annotation=note)
        part = part | {"text": self._answer.text, "annotations": notes}
        yield _event("output_text.done", **at, text=part["text"], logprobs=[])
        yield _event("content_part.done", **at, part=part)
        yield self._close(at["output_index"], item | {"content": [part]}, self._status)

    def _response(self, status: str) -> JSON:
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
            "reasoning": {"effort": self._question.effort, "summary": "detailed"},
            "usage": self._usage() if ended else None,
            **{name: self._request.get(name) for name in _ECHOED.split()},
        }

    def _usage(self) -> JSON:
        usage = self._reply.usage
        return {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.total_tokens,
            "num_server_side_tools_used": usage.web_calls + usage.x_calls + usage.code_calls,
            "cost_in_usd_ticks": usage.ticks(self._question.model),
            "server_side_tool_usage_details": {
                "web_search_calls": usage.web_calls,
                "x_search_calls": usage.x_calls,
                "x_posts_fetched": usage.posts,
                "code_interpreter_calls": usage.code_calls,
            },
        }


def _annotations(answer: Answer) -> list[JSON]:
    """The citations; one that the text doesn't cite has no span and its address as title."""
    return [
        {
            "type": "url_citation",
            "url": citation.source.url,
            "start_index": citation.start,
            "end_index": citation.end,
            "title": str(citation.number) if citation.number else citation.source.url,
        }
        for citation in answer.citations
    ]


def _event(name: str, **fields: Any) -> JSON:
    return {"type": f"response.{name}", **fields}
