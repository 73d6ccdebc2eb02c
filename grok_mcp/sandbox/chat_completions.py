"""Writes a reply as chat completions: a stream of chunks or one body."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from grok_mcp.sandbox.answer import Answer
from grok_mcp.sandbox.errors import RefusalError, error_json
from grok_mcp.sandbox.plan import Reply
from grok_mcp.sandbox.question import Question

JSON = dict[str, Any]

CREATED = 1_795_300_000
FINGERPRINT = "fp_7c31d0a9be"


class ChatCompletion:
    """One reply in the chat completions dialect."""

    def __init__(self, body: JSON, question: Question, reply: Reply, reply_id: str) -> None:
        self._question = question
        self._reply = reply
        self._tier = body.get("service_tier") or "default"
        self._id = reply_id
        options = body.get("stream_options") or {}
        self._apart = bool(options.get("include_usage")) and question.cites != "links"

    def body(self) -> JSON:
        """The whole reply as one object."""
        choices = []
        for index, answer in enumerate(self._reply.answers):
            message: JSON = {"role": "assistant", "content": answer.text, "refusal": None}
            if self._reply.reasoning:
                message["reasoning_content"] = self._reply.reasoning
            if self._reply.calls:
                message["tool_calls"] = self._calls()
            if self._question.cites == "plugin":
                message["annotations"] = _annotations(answer)
            finish = self._finish(answer)
            choices.append({"index": index, "message": message, "finish_reason": finish})
        return self._envelope("chat.completion", choices) | {"usage": self._usage()} | self._links()

    def events(self, bend: Callable[[Iterable[JSON]], Iterable[JSON]]) -> Iterable[JSON]:
        """The chunks of the stream, bent as a fault script says."""
        return bend(self._events())

    def error_event(self, shape: str, error: RefusalError) -> JSON:
        """An error in the middle of the stream; OpenRouter puts it beside a choice that ends with it."""
        told = error_json(shape, error)
        if shape != "openrouter":
            return told
        reasons = {"finish_reason": "error", "native_finish_reason": "error"}
        choices = [{"index": 0, "delta": {"content": ""}, **reasons}]
        return self._envelope("chat.completion.chunk", choices) | {"provider": "xAI", "error": told["error"]}

    def _events(self) -> Iterator[JSON]:
        last = len(self._reply.answers) - 1
        for index, answer in enumerate(self._reply.answers):
            opening = {"role": "assistant"}
            for delta in self._deltas(answer):
                yield self._chunk(index, opening | delta)
                opening = {}
            closing = self._chunk(index, opening, self._finish(answer))
            if index == last and not self._apart:
                closing |= {"usage": self._usage()} | self._links()
            yield closing
        if self._apart:
            yield self._envelope("chat.completion.chunk", []) | {"usage": self._usage()}

    def _deltas(self, answer: Answer) -> Iterator[JSON]:
        for piece in self._reply.reasoning_pieces:
            yield {"reasoning_content": piece}
        for piece in answer.pieces:
            yield {"content": piece}
        if self._reply.calls:
            calls = [{"index": place} | call for place, call in enumerate(self._calls())]
            yield {"tool_calls": calls}
        if self._question.cites == "plugin":
            yield {"content": "", "annotations": _annotations(answer)}

    def _chunk(self, index: int, delta: JSON, finish: str | None = None) -> JSON:
        choice: JSON = {"index": index, "delta": delta}
        if finish is not None:
            choice["finish_reason"] = finish
        return self._envelope("chat.completion.chunk", [choice])

    def _envelope(self, kind: str, choices: list[JSON]) -> JSON:
        return {
            "id": self._id,
            "object": kind,
            "created": CREATED,
            "model": self._question.model.id,
            "choices": choices,
            "system_fingerprint": FINGERPRINT,
            "service_tier": self._tier,
        }

    def _calls(self) -> list[JSON]:
        return [
            {
                "id": f"call_{self._id[:6]}{place:02}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for place, call in enumerate(self._reply.calls)
        ]

    def _finish(self, answer: Answer) -> str:
        if self._reply.calls:
            return "tool_calls"
        return "length" if answer.cut else "stop"

    def _links(self) -> JSON:
        if self._question.cites != "links":
            return {}
        found = (source.url for search in self._reply.searches for source in search.sources)
        return {"citations": list(dict.fromkeys(found))}

    def _usage(self) -> JSON:
        usage = self._reply.usage
        counts: JSON = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.text_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {
                "text_tokens": usage.input_tokens - usage.image_tokens,
                "audio_tokens": 0,
                "image_tokens": usage.image_tokens,
                "cached_tokens": usage.cached_tokens,
            },
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        ticks = usage.ticks(self._question.model)
        if self._question.cites == "plugin":
            # OpenRouter counts the reasoning as a part of the completion and bills in USD
            counts["completion_tokens"] = usage.output_tokens
            counts["cost"] = ticks / 10**10
            counts["server_tool_use"] = {"web_search_requests": usage.web_calls}
            return counts
        return counts | {"num_sources_used": usage.live_sources, "cost_in_usd_ticks": ticks}


def _annotations(answer: Answer) -> list[JSON]:
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "url": citation.source.url,
                "title": citation.source.title,
                "content": citation.source.text,
                "start_index": citation.start,
                "end_index": citation.end,
            },
        }
        for citation in answer.citations
    ]
