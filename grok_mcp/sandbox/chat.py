"""The chat completions dialect: reads a request, writes a reply as a stream of chunks or one body."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from grok_mcp.sandbox.answering import Question, Reply, reading
from grok_mcp.sandbox.answering.models import CREATED, choose_effort, refuse_parameters, serving_model
from grok_mcp.sandbox.answering.question import Turn
from grok_mcp.sandbox.answering.search import MAX_DOMAINS, MAX_HANDLES, NEWS, PAGES, POSTS, Scope
from grok_mcp.sandbox.answering.text import Answer
from grok_mcp.sandbox.errors import JSON, RefusalError, refusal, unknown_tool

MAX_CHOICES = 8
PLUGIN_RESULTS = 5
LIVE_RESULTS = 8


def _read(body: JSON, conversation: str) -> Question:
    model = serving_model(body.get("model"))
    tools = body.get("tools") or []
    functions = reading.functions(tools)
    for place, tool in enumerate(tools):
        if tool.get("type") == "live_search":
            raise refusal(410)
        if tool.get("type") != "function":
            raise unknown_tool(place, tool.get("type"))
    refuse_parameters(model, body)
    kind, schema = reading.answer_format(body.get("response_format") or {})
    stop = body.get("stop") or ()
    return Question(
        model,
        choose_effort(model, body.get("reasoning_effort")),
        _read_turns(body["messages"]),
        functions,
        reading.tool_choice(body.get("tool_choice"), functions),
        format=kind,
        schema=schema,
        max_tokens=reading.count(body, "max_completion_tokens", "max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        choices=min(reading.count(body, "n") or 1, MAX_CHOICES),
        conversation=str(body.get("prompt_cache_key") or conversation),
        overhead=reading.as_text(tools, schema),
        **_read_search(body),
    )


def _read_turns(messages: list[JSON]) -> tuple[Turn, ...]:
    turns = [reading.turn(str(message.get("role")), message.get("content")) for message in messages]
    if not turns:
        raise RefusalError(400, "messages must not be empty.")
    calls = [reading.as_text(message.get("tool_calls")) for message in messages]
    return tuple(replace(turn, text=turn.text + call) for turn, call in zip(turns, calls, strict=True))


def _read_search(body: JSON) -> JSON:
    """OpenRouter's web plugin, which always searches the web and X, or the legacy live search."""
    for plugin in body.get("plugins") or []:
        if plugin.get("id") == "web":
            limit = reading.count(plugin, "max_results") or PLUGIN_RESULTS
            scopes = (Scope(PAGES), Scope(POSTS))
            return {"search": "on", "scopes": scopes, "max_sources": limit, "cites": "plugin"}
    live = body.get("search_parameters")
    if live is None:
        return {"search": "off", "cites": "none"}
    mode = live.get("mode", "auto")
    if mode not in ("on", "off", "auto"):
        raise RefusalError(422, f"search_parameters.mode: unknown variant `{mode}`")
    first, last = reading.dates(live)
    sources = live.get("sources") or ({"type": "web"}, {"type": "x"})
    return {
        "search": mode,
        "scopes": tuple(replace(_read_scope(source), from_date=first, to_date=last) for source in sources),
        "max_sources": reading.count(live, "max_search_results") or LIVE_RESULTS,
        "cites": "links" if live.get("return_citations", True) else "none",
    }


def _read_scope(source: JSON) -> Scope:
    kind = source.get("type")
    if kind == "x":
        likes, views = source.get("post_favorite_count") or 0, source.get("post_view_count") or 0
        handles = reading.names(source, "included_x_handles", "excluded_x_handles", MAX_HANDLES)
        return Scope(POSTS, *handles, min_likes=likes, min_views=views)
    if kind == "rss":
        return Scope(PAGES, frozenset(urlsplit(link).hostname or "" for link in source.get("links") or []))
    if kind not in ("web", "news"):
        raise RefusalError(422, f"search_parameters.sources: unknown variant `{kind}`")
    domains = reading.names(source, "allowed_websites", "excluded_websites", MAX_DOMAINS)
    return Scope(PAGES if kind == "web" else NEWS, *domains)


class ChatCompletion:
    """One reply in the chat completions dialect."""

    name = "chat"
    read = staticmethod(_read)

    def __init__(self, body: JSON, question: Question, reply: Reply, reply_id: str) -> None:
        self._question = question
        self._reply = reply
        self._tier = body.get("service_tier") or "default"
        self._id = reply_id
        options = body.get("stream_options") or {}
        self._separate_usage = bool(options.get("include_usage")) and question.cites != "links"

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
            choices.append({"index": index, "message": message, "finish_reason": self._finish(answer)})
        return self._envelope("chat.completion", choices) | self._end()

    def events(self) -> Iterator[JSON]:
        """The chunks of the stream."""
        last = len(self._reply.answers) - 1
        for index, answer in enumerate(self._reply.answers):
            opening = {"role": "assistant"}
            for delta in self._deltas(answer):
                yield self._chunk({"index": index, "delta": opening | delta})
                opening = {}
            closing = self._chunk({"index": index, "delta": opening, "finish_reason": self._finish(answer)})
            yield closing if index < last or self._separate_usage else closing | self._end()
        if self._separate_usage:
            yield self._chunk() | {"usage": self._usage()}

    def _deltas(self, answer: Answer) -> Iterator[JSON]:
        for piece in self._reply.reasoning_pieces:
            yield {"reasoning_content": piece}
        for piece in answer.pieces:
            yield {"content": piece}
        if self._reply.calls:
            yield {"tool_calls": [{"index": place} | call for place, call in enumerate(self._calls())]}
        if self._question.cites == "plugin":
            yield {"content": "", "annotations": _annotations(answer)}

    def _chunk(self, *choices: JSON) -> JSON:
        return self._envelope("chat.completion.chunk", [*choices])

    def _envelope(self, kind: str, choices: list[JSON]) -> JSON:
        return {
            "id": self._id,
            "object": kind,
            "created": CREATED,
            "model": self._question.model.id,
            "choices": choices,
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

    def _end(self) -> JSON:
        links = {"citations": [source.url for source in self._reply.sources]}
        return {"usage": self._usage()} | (links if self._question.cites == "links" else {})

    def _usage(self) -> JSON:
        usage = self._reply.usage
        counts: JSON = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.text_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {
                "text_tokens": usage.input_tokens - usage.image_tokens,
                "image_tokens": usage.image_tokens,
                "cached_tokens": usage.cached_tokens,
            },
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
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
