"""The values of one call: what is asked (`ChatRequest`) and what comes back (`Answer`).

Both dialects are built from and folded into these; nothing here knows a wire format.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

from grok_mcp.usage import Usage

Role = Literal["user", "assistant", "tool"]
SearchMode = Literal["on", "auto", "off"]
SourceKind = Literal["web", "x", "news", "rss"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "interrupted", "running"]


class ToolCall(NamedTuple):
    """A function that Grok wants the caller to run; `arguments` is JSON text as Grok wrote it."""

    id: str
    name: str
    arguments: str


class Message(NamedTuple):
    """One turn. `images` are URLs or data URIs; `reasoning` holds encrypted items to send back unread."""

    role: Role
    text: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    reasoning: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What a search may look at; dates are ISO dates, both inclusive."""

    mode: SearchMode = "on"
    sources: tuple[SourceKind, ...] = ("web", "x")
    from_date: str | None = None
    to_date: str | None = None
    allowed_domains: tuple[str, ...] = ()
    excluded_domains: tuple[str, ...] = ()
    allowed_x_handles: tuple[str, ...] = ()
    excluded_x_handles: tuple[str, ...] = ()
    country: str | None = None
    max_results: int | None = None
    max_turns: int | None = None
    image_understanding: bool | None = None
    video_understanding: bool | None = None
    safe_search: bool | None = None
    min_likes: int | None = None
    min_views: int | None = None
    rss_links: tuple[str, ...] = ()


class ResponseFormat(NamedTuple):
    """The JSON that is asked for: `schema` with its name, or any JSON object where it is None."""

    name: str = "result"
    schema: Mapping[str, Any] | None = None

    @property
    def in_words(self) -> str:
        """The same for an endpoint that takes no schema, or paid no heed to it."""
        text = json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))
        return (
            f"Answer with one JSON value and nothing else. It must be valid against this JSON Schema:\n{text}"
        )


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Everything that a dialect needs to build a request body.

    `options` holds sampling options under their wire names; `omit` names parameters that the endpoint
    has refused; `cache_key` keeps the turns of one conversation on one upstream machine.
    """

    model: str
    messages: tuple[Message, ...]
    instructions: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | None = None
    search: Search | None = None
    search_dialect: str | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    cache_key: str | None = None
    omit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Citation:
    """A page or post that the endpoint names as a source; spans are code-point offsets into the text."""

    index: int
    url: str
    title: str
    source: SourceKind
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What every tool gives back; empty fields are left out wherever it is shown."""

    text: str = ""
    data: Any = None
    has_data: bool = False
    alternatives: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    searched: bool | None = None
    search_queries: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    conversation_id: str | None = None
    answer_id: str | None = None
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[str, ...] = ()
    reasoning: tuple[Mapping[str, Any], ...] = ()
    start: int = 0
    """Where in the text the caller goes on reading; not published."""

    def to_dict(self) -> dict[str, Any]:
        """The published form: JSON values by their published names, without what is empty."""
        plain: dict[str, Any] = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("has_data", "reasoning", "data", "start")
        }
        plain["citations"] = [citation_dict(citation) for citation in self.citations]
        plain["tool_calls"] = [tool_call_dict(call) for call in self.tool_calls]
        plain["usage"] = self.usage.to_dict()
        for name in ("alternatives", "search_queries", "warnings"):
            plain[name] = list(plain[name])
        shown = {name: value for name, value in plain.items() if value not in (None, "", [], {})}
        return {"data": self.data, **shown} if self.has_data else shown

    def with_warnings(self, warnings: Iterable[str]) -> "Answer":
        """The same answer with further warnings behind its own."""
        return replace(self, warnings=(*self.warnings, *warnings))


def citation_dict(citation: Citation) -> dict[str, Any]:
    """A citation as it is published."""
    shown = {name: getattr(citation, name) for name in ("index", "url", "title", "source")}
    return {**shown, "spans": [list(span) for span in citation.spans]}


def tool_call_dict(call: ToolCall) -> dict[str, Any]:
    """A tool call as it is published: arguments as an object, as text where they are no JSON object."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = call.arguments
    return {"id": call.id, "name": call.name, "arguments": arguments}
