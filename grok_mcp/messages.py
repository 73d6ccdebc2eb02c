"""The values of one call: who asks (`Call`), what is asked (`ChatRequest`), and what becomes of it
(`Outcome`).

Both dialects are built from and folded into these; nothing here knows a wire format or MCP.
"""

import copy
import hashlib
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from grok_mcp.errors import GrokError
from grok_mcp.events import Event, Observer, Reason, ignore
from grok_mcp.foreign import load_json
from grok_mcp.usage import Usage, UsageMeter

Role = Literal["user", "assistant", "tool"]
SearchMode = Literal["on", "auto", "off"]
SourceKind = Literal["web", "x", "news", "rss"]
FinishReason = Reason | Literal["interrupted"]

LOCAL = "local"
"""The caller where nobody has to authenticate: on stdio, and on loopback without authentication."""

GROUP, GROUPS = "group", "groups"
"""Claims of a caller's token, once it is checked: the group of its line in the token file, those of a JWT."""

CITATION_MARKER = re.compile(r"\[\[(\d{1,4})\]\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*){0,50})\)")
"""A citation in a text, as Grok writes it: `[[1]](url)`."""


class Attempt(Protocol):
    """An attempt at an answer, which can replay its events in the fewest that matter."""

    def replay(self) -> Iterable[tuple[Event, str]]:
        """Events, each with the text that it added."""
        ...


class Consent(NamedTuple):
    """What became of asking the user of a call about its cost: the amount that was agreed to in USD, or why
    none was, as a whole sentence.
    """

    granted_usd: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True)
class CallerKey:
    """A key for the endpoint that a caller has sent, and where, for sentences about it."""

    value: str = field(repr=False)
    source: str

    @property
    def digest(self) -> str:
        """What tells it from other keys, and does not show it."""
        return hashlib.sha256(b"grok-mcp caller key\0" + self.value.encode()).hexdigest()


def owner_of(caller: str, key: CallerKey | None) -> str:
    """To whom conversations and answers belong: with another key the same caller is somebody else."""
    return caller if key is None else f"{caller}\0{key.digest}"


OWN_KEY = " (own key)"
"""Behind the name of a caller in the ledger, where she pays herself."""


def account_of(caller: str, key: CallerKey | None) -> str:
    """The name in the ledger of what a caller uses."""
    return caller if key is None else f"{caller}{OWN_KEY}"


class Call:
    """One tool call while it is served: who makes it and who watches, and what it has used so far.

    `caller` separates what belongs to one from what belongs to another; `wait_s` is how long the host may be
    kept waiting, None for as long as it takes.
    """

    def __init__(
        self,
        tool: str = "",
        caller: str = LOCAL,
        observe: Observer = ignore,
        wait_s: float | None = None,
    ) -> None:
        self.tool = tool
        self.caller = caller
        self.group = ""
        """The group of the caller, empty where it has none."""
        self.own_key: CallerKey | None = None
        """The key that the caller has sent, to be used in place of the server's."""
        self.transport = "stdio"
        """How it came: a transport by its name in the settings, or `shell`."""
        self.started = time.monotonic()
        self.observe = observe
        self.wait_s = wait_s
        self.file_roots: tuple[Path, ...] = ()
        """The folders that its files may be read from."""
        self.reads_anywhere = False
        """Whether absolute paths may lead out of them, as for a person at her own shell."""
        self.found_files: tuple[Sequence[str], list[Any], list[str]] | None = None
        """The names of its files, and what was found by them, once they have been looked for."""
        self.request_id = secrets.token_hex(4)
        self.meter = UsageMeter()
        self.begin: Callable[[], Awaitable[None]] | None = None
        """What is to be done before each request to the endpoint."""
        self.admit: Callable[[ChatRequest, str], Awaitable[list[str]]] | None = None
        """Admits the call by its first request and wire dialect, or raises; returns notes for its answer."""
        self.consent = Consent()
        self.may_ask = False
        """Whether its user can still be asked about the cost."""
        self.attempt: Attempt | None = None
        """What the present attempt has brought so far."""

    @property
    def owner(self) -> str:
        """To whom its conversation and its answer belong."""
        return owner_of(self.caller, self.own_key)

    @property
    def account(self) -> str:
        """Whose use it is in the ledger: what somebody pays herself is not what this server pays for her."""
        return account_of(self.caller, self.own_key)

    def replay(self) -> Iterable[tuple[Event, str]]:
        """What has been observed so far, for an observer who comes late."""
        return self.attempt.replay() if self.attempt else ()

    def forget(self) -> None:
        """Let go of the attempt and the observer once the call has ended, so that no memory waits for a
        collection.
        """
        self.attempt, self.observe = None, ignore

    def watched_by(self, observe: Observer) -> "Call":
        """The same call with another observer."""
        watched = copy.copy(self)
        watched.observe = observe
        return watched


class FunctionCall(NamedTuple):
    """A function that Grok wants the caller to run; `arguments` is JSON text as Grok wrote it."""

    id: str
    name: str
    arguments: str

    def _read(self) -> tuple[Any, bool]:
        """The arguments as a JSON value, else as they are, and whether they are valid JSON."""
        try:
            return load_json(self.arguments or "{}"), True
        except ValueError:
            return self.arguments, False

    @property
    def is_valid(self) -> bool:
        """Whether the arguments are valid JSON."""
        return self._read()[1]

    def to_dict(self) -> dict[str, Any]:
        """The published form: arguments as an object, as text where they are not a JSON object."""
        return {"id": self.id, "name": self.name, "arguments": self._read()[0]}

    def echoed(self) -> "FunctionCall":
        """The call as the next turn sends it: arguments that are not JSON would be refused."""
        if self.is_valid:
            return self
        return self._replace(arguments=json.dumps({"invalid_arguments": self.arguments}))


class Document(NamedTuple):
    """A document that goes to the endpoint as it is: its name, and its https address or a data URI."""

    name: str
    url: str

    @property
    def is_inline(self) -> bool:
        """Whether the document itself goes out, and not only its address."""
        return self.url.startswith("data:")


class Message(NamedTuple):
    """One turn. `images` are URLs or data URIs; `reasoning` holds encrypted items to send back unread."""

    role: Role
    text: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[FunctionCall, ...] = ()
    tool_call_id: str = ""
    reasoning: tuple[Mapping[str, Any], ...] = ()
    documents: tuple[Document, ...] = ()


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
    image_search: bool | None = None
    safe_search: bool | None = None
    min_likes: int | None = None
    min_views: int | None = None
    rss_links: tuple[str, ...] = ()


class ResponseFormat(NamedTuple):
    """The JSON that is requested: `schema` with its name, or any JSON object where it is None."""

    name: str = "result"
    schema: Mapping[str, Any] | None = None

    @property
    def in_words(self) -> str:
        """The same for an endpoint that takes no schema, or ignored it."""
        text = json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))
        return (
            f"Answer with one JSON value and nothing else. It must be valid against this JSON Schema:\n{text}"
        )


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Everything that a dialect needs to build a request body.

    `options` holds sampling options under their wire names; `omit` names parameters, and values of
    `include`, that the endpoint has refused; `cache_key` keeps the turns of one conversation on one upstream
    machine; `code`: the model may run Python at the endpoint. `guidelines` are what the endpoint is told to
    decline, `collections` documents there that it may search, and `safety_identifier` stands for the caller:
    all three are the operator's, not the caller's. `met` are the addresses that an answer met which the last
    two messages have corrected, None where they do not.
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
    code: bool = False
    omit: frozenset[str] = frozenset()
    guidelines: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    safety_identifier: str | None = None
    met: tuple[str, ...] | None = None

    @property
    def uses_server_tools(self) -> bool:
        """Whether the endpoint's own tools may work on the answer."""
        searches = self.search is not None and self.search.mode != "off"
        documents = any(message.documents for message in self.messages)
        return searches or documents or self.code or bool(self.collections)


@dataclass(frozen=True, slots=True)
class Citation:
    """A page or post that is named as a source; spans are code-point offsets into the text.

    `from_text` marks one that only the model's text names, and the endpoint does not.
    """

    index: int
    url: str
    title: str
    source: SourceKind
    spans: tuple[tuple[int, int], ...] = ()
    from_text: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The published form; `from_text` only where it is so."""
        published = {
            "index": self.index,
            "url": self.url,
            "title": self.title,
            "source": self.source,
            "spans": [list(span) for span in self.spans],
        }
        return published | {"from_text": True} if self.from_text else published


StepKind = Literal["web", "x", "page", "code", "files", "tool", "media"]


class Step(NamedTuple):
    """What a tool at the endpoint did: a search with its queries, a page that it opened and what it looked
    for there, a run of code, a search of files, a tool of another server or a medium by its name.

    `met` holds the numbers of the citations whose address the step showed.
    """

    kind: StepKind
    queries: tuple[str, ...] = ()
    url: str = ""
    pattern: str = ""
    name: str = ""
    met: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The published form, without what is empty."""
        published = {name: value for name, value in self._asdict().items() if value}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in published.items()}


class BrokenMarker(NamedTuple):
    """A marker of the text, or the number of a source, that does not hold, and why.

    `no_source`: it leads to no page; `two_numbers`: number and source are not one to one; `span_outside`: the
    endpoint places the source outside the text, or where the text does not cite it.
    """

    marker: int
    why: Literal["no_source", "two_numbers", "span_outside"]


class Evidence(NamedTuple):
    """Where the sources of an answer come from, by their numbers; says nothing about whether they are right.

    `cited`: the text cites it, and the run met it; `met_only`: met, not cited; `unseen`: cited, but neither a
    step of the run nor a list of the endpoint has shown its address; `note` says in words what does not hold.
    """

    cited: tuple[int, ...] = ()
    met_only: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    broken: tuple[BrokenMarker, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The published form: all four lists. The note stands among the answer's warnings."""
        return {
            "cited": list(self.cited),
            "met_only": list(self.met_only),
            "unseen": list(self.unseen),
            "broken": [one._asdict() for one in self.broken],
        }


class CodeRun(NamedTuple):
    """Code that ran at the endpoint, and what it wrote; `images` are the addresses of pictures that it made.

    `status` is the endpoint's word for a run that did not complete, else empty.
    """

    code: str = ""
    output: str = ""
    images: tuple[str, ...] = ()
    status: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The published form; images and status only where there are any."""
        published: dict[str, Any] = {"code": self.code, "output": self.output}
        if self.images:
            published["images"] = list(self.images)
        return published | {"status": self.status} if self.status else published


class FoundDocument(NamedTuple):
    """A document that a search of files met; `score` is the endpoint's, None where it gives none."""

    id: str
    name: str = ""
    score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The published form, without what the endpoint did not give."""
        return {name: value for name, value in self._asdict().items() if value not in (None, "")}


class Data(NamedTuple):
    """A JSON value that was requested: null is one too."""

    value: Any


_UNPUBLISHED = ("data", "reasoning", "steps")
"""Fields of an answer that are not in its published form, or not under their own name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool call brings when it ends well; `data` is None where text was requested.

    `steps` are in the order of the run, with the numbers of the citations that they met; `evidence` is None
    where there are neither citations nor markers.
    """

    text: str = ""
    data: Data | None = None
    alternatives: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    searched: bool | None = None
    search_queries: tuple[str, ...] = ()
    pages_read: tuple[str, ...] = ()
    documents: tuple[FoundDocument, ...] = ()
    code_runs: tuple[CodeRun, ...] = ()
    tool_calls: tuple[FunctionCall, ...] = ()
    finish_reason: FinishReason = "stop"
    conversation_id: str | None = None
    model: str = ""
    response_id: str = ""
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[str, ...] = ()
    reasoning: tuple[Mapping[str, Any], ...] = ()
    files: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    evidence: Evidence | None = None

    def to_dict(self) -> dict[str, Any]:
        """The published form: JSON values by their published names, without what is empty."""
        plain: dict[str, Any] = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in _UNPUBLISHED
        }
        for name in ("citations", "documents", "code_runs", "tool_calls"):
            plain[name] = [one.to_dict() for one in plain[name]]
        plain["usage"] = self.usage.to_dict()
        plain["evidence"] = self.evidence and self.evidence.to_dict()
        for name in ("alternatives", "search_queries", "pages_read", "files", "warnings"):
            plain[name] = list(plain[name])
        published = {name: value for name, value in plain.items() if value not in (None, "", [], {})}
        return {"data": self.data.value, **published} if self.data else published

    def with_warnings(self, warnings: Iterable[str]) -> "Answer":
        """The same answer with further warnings behind its own."""
        further = tuple(warnings)
        return replace(self, warnings=self.warnings + further) if further else self


class Running(NamedTuple):
    """A call that goes on after its host has waited long enough; `answer_id` collects the rest of it.

    `text` is what Grok has written so far; `as_data` says that JSON will come, which is only useful whole;
    `status` is the present phase in words, and `since` when it began, in seconds since the epoch.
    """

    answer_id: str
    text: str = ""
    model: str = ""
    as_data: bool = False
    warnings: tuple[str, ...] = ()
    status: str = ""
    since: float = 0.0

    def with_warnings(self, warnings: Iterable[str]) -> "Running":
        """The same with further warnings behind its own."""
        return self._replace(warnings=(*self.warnings, *warnings))


Outcome = Answer | Running | GrokError
"""What becomes of a call."""


class Collected(NamedTuple):
    """What `grok_result` finds under an `answer_id`, to be read from the character `offset` on."""

    outcome: Answer | Running
    answer_id: str
    offset: int
