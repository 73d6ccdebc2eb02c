"""In which form a request goes out, and in which other form once the endpoint has refused that one.

Each adaptation (another dialect, another way to search, a parameter left out, JSON without a schema)
happens at most once a call. Only `adapt` and `switch_dialect` change a plan; asking it changes nothing.
"""

import re
from dataclasses import replace
from typing import NamedTuple

from grok_mcp import bounds, errors
from grok_mcp.dialects import CODE_OUTPUTS, DIALECTS
from grok_mcp.errors import GrokError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, ResponseFormat
from grok_mcp.models import find_model
from grok_mcp.pipeline.search import WIRE, prepare, search_dialects
from grok_mcp.settings import Settings

CHAT_ONLY_OPTIONS = ("n", "seed", "stop", "presence_penalty", "frequency_penalty")
"""Sampling options that the Responses API has no field for (docs.x.ai field lists)."""


_CODE = re.compile(r"code_(?:interpreter|execution)(?!_call)", re.IGNORECASE)
_TOOLS = re.compile(r"\btools?\b", re.IGNORECASE)
_OTHER_TOOLS = re.compile(r"web_search|x_search|tool_choice", re.IGNORECASE)
_REFUSED_TOOL = (errors.BadRequestError, errors.SearchUnavailableError)
"""What a refused tool is read as; the second where the refusal lists those of a search as expected."""
_INCLUDED = (
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "file_search_call.results",
    CODE_OUTPUTS,
)
"""What `include` may name: each can be refused alone."""
_SEARCH_FIELDS = ("search_parameters", "plugins", "tools")
_ENCRYPTED = re.compile(r"encrypted.{0,80}(?:content|reasoning)|decrypt", re.IGNORECASE)
_FORMAT = re.compile(
    r"response_?format|json_?schema|json_?object|text\.format|structured output", re.IGNORECASE
)


_FILE = re.compile(r"\bfiles?\b|file_(?:data|url|id)|input_file|attachment|document|\bpdf\b", re.IGNORECASE)


class Refusals:
    """What the endpoint does not speak; remembered for the process, shared by all calls."""

    def __init__(self) -> None:
        self.dialects: set[str] = set()
        self.models: set[tuple[str, str]] = set()
        """Dialects that a model is not served in, as (dialect, model)."""
        self.search_dialects: set[str] = set()
        self.code: set[str] = set()
        """Models for which it runs no code."""
        self._worked: set[str] = set()

    def rule_out(self, dialect: str, model: str) -> bool:
        """Whether requests for this model need not be tried in this dialect."""
        return dialect in self.dialects or (dialect, model) in self.models

    def learn(self, suspects: "Refusals", dialect: str, search_dialect: str | None) -> None:
        """Remember what a call found refused, now that it has worked in another form.

        One refused call proves nothing about the others: a form that has ever worked is not ruled out.
        """
        self._worked |= {dialect, f"search {search_dialect}"}
        self.dialects |= suspects.dialects - self._worked
        self.models |= suspects.models
        self.code |= suspects.code
        self.search_dialects |= {
            name for name in suspects.search_dialects if f"search {name}" not in self._worked
        }
        self.dialects.discard(dialect)
        self.search_dialects.discard(search_dialect or "")


class Form(NamedTuple):
    """One form of a call: the request as its wire dialect takes it, and what it can't express."""

    request: ChatRequest
    dialect: str
    search_dialect: str | None
    other_searches: tuple[str, ...]
    warnings: tuple[str, ...]


class Plan:
    """One call: the form to send it in now, and how to adapt it to a refusal."""

    def __init__(
        self, request: ChatRequest, gateway: Gateway, settings: Settings, refusals: Refusals
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._refusals = refusals
        self._suspects = Refusals()
        self._adapted: set[str] = set()
        self._notes: list[str] = []
        self._request = self._without_refused_options(request)
        self.form = self._choose()

    @property
    def warnings(self) -> list[str]:
        """Sentences about everything that differs from what was requested."""
        return [*self._notes, *self.form.warnings]

    @property
    def other_dialect(self) -> str | None:
        """The wire dialect that could still be tried in this call, if there is one."""
        if "dialect" in self._adapted or self.form.search_dialect:
            return None
        return next((name for name in self._gateway.dialects if name != self.form.dialect), None)

    def _without_refused_options(self, request: ChatRequest) -> ChatRequest:
        """Take out what this model is known to refuse, so that no request is wasted on it."""
        model = find_model(request.model) if self._gateway.serves_xai_models else None
        if model is None:
            return request
        requested = {**request.options, "reasoning_effort": request.reasoning_effort}
        refused = [
            name for name, value in requested.items() if value is not None and model.refuses(name, value)
        ]
        if not refused:
            return request
        self._notes += [f"{name} was left out: {model.id} does not take it." for name in refused]
        options = {name: value for name, value in request.options.items() if name not in refused}
        effort = None if "reasoning_effort" in refused else request.reasoning_effort
        return replace(request, options=options, reasoning_effort=effort)

    def _choose(self) -> Form:
        """The form that fits what is requested and what is known of the endpoint."""
        request, warnings = self._request, []
        searches = self._usable_searches()
        if request.search and request.search.mode != "off" and not searches:
            if request.search.mode == "on":
                raise errors.SearchUnavailableError(
                    f"{self._gateway.title} is set up without a way to search.",
                    "Set GROK_MCP_SEARCH_DIALECT to one that it speaks, or search with mode=off.",
                )
            warnings.append("No way to search here: this is the model's own knowledge.")
            request = replace(request, search=replace(request.search, mode="off"))
        search_dialect = searches[0] if searches else None
        dialect = WIRE[search_dialect] if search_dialect else self._wire_dialect()
        if request.code and (dialect != "responses" or not self._may_run_code):
            self._allow_no_code()
            warnings.append("The endpoint runs no code here: the model answered without it.")
            request = replace(request, code=False)
        if dialect == "responses":
            dropped = [name for name in CHAT_ONLY_OPTIONS if name in request.options]
            warnings += [f"{name} was left out: this endpoint has no field for it." for name in dropped]
            if dropped:
                options = {name: value for name, value in request.options.items() if name not in dropped}
                request = replace(request, options=options)
        request, unsent = self._without_unsendable(request, dialect)
        warnings += unsent
        request, inexpressible = prepare(request, search_dialect)
        return Form(request, dialect, search_dialect, searches[1:], (*warnings, *inexpressible))

    def _without_unsendable(self, request: ChatRequest, dialect: str) -> tuple[ChatRequest, list[str]]:
        """Take out what the operator has set and this form can't have, with a note on each."""
        notes = []
        takes_collections = "collections" in self._gateway.extensions and dialect == "responses"
        if request.collections and not takes_collections:
            notes.append(
                f"No collection was searched: {self._gateway.mention} does not do that by {dialect}."
            )
            request = replace(request, collections=())
        multi_agent = "a multi-agent model" if "multi-agent" in request.model else None
        stop = "stop" if "stop" in request.options and "stop" not in request.omit else None
        if request.guidelines and (without := multi_agent or stop):
            notes.append(
                f"This server's guidelines were not sent: {self._gateway.mention} takes none with {without}."
            )
            request = replace(request, guidelines=())
        return request, notes

    def _usable_searches(self) -> tuple[str, ...]:
        """The ways to search that are left to try, in order; none where nothing is to be searched."""
        if self._request.search is None or self._request.search.mode == "off":
            return ()
        known = search_dialects(self._gateway, self._settings.search_dialect)
        usable = tuple(name for name in known if name not in self._ruled_out_searches)
        if not self._has_documents:
            return usable
        return tuple(name for name in usable if WIRE[name] in self._gateway.document_dialects)

    @property
    def _has_documents(self) -> bool:
        return any(message.documents for message in self._request.messages)

    @property
    def _ruled_out_searches(self) -> set[str]:
        return self._refusals.search_dialects | self._suspects.search_dialects

    def _wire_dialect(self) -> str:
        request = self._request
        known = tuple(filter(None, (self._settings.dialect, *self._gateway.dialects)))
        if self._has_documents:
            known = self._gateway.document_dialects
            if not known:
                raise errors.InvalidArgumentError(
                    f"files: {self._gateway.mention} takes no documents, only texts and images.",
                    "Leave PDFs and addresses out, or copy their text into the prompt.",
                )
        ruled_out = [
            name
            for name in known
            if self._refusals.rule_out(name, request.model) or self._suspects.rule_out(name, request.model)
        ]
        usable = [name for name in known if name not in ruled_out] or list(known)
        if self._may_run_code and "responses" in usable and not self._settings.dialect:
            return "responses"  # the one that runs code
        chat_only = any(name in request.options for name in CHAT_ONLY_OPTIONS)
        if chat_only and "chat_completions" in usable and not self._settings.dialect:
            return "chat_completions"
        return usable[0]

    @property
    def _may_run_code(self) -> bool:
        """Whether code is wanted, and nothing is known against it."""
        refused = self._refusals.code | self._suspects.code
        return self._request.code and self._request.model not in refused

    def _allow_no_code(self, reason: str = "") -> None:
        """Raise InvalidArgumentError where code has to run, and nothing but code can."""
        if self._request.tool_choice == "required" and not self._request.tools:
            raise errors.InvalidArgumentError(
                f"tool_choice: code is required, and {self._gateway.mention} runs none here{reason}.",
                "Ask without tool_choice, or without code.",
            )

    def switch_dialect(self) -> None:
        """Use the other dialect for this model, and later too if that works."""
        model = self._request.model
        self._suspects.models.add((self.form.dialect, model))
        self._use_other_dialect(f"The endpoint does not serve {model} by {self.form.dialect}")
        self.form = self._choose()

    def _use_other_dialect(self, cause: str) -> None:
        self._notes.append(f"{cause}; {self.other_dialect} was used.")
        self._adapted.add("dialect")

    def adapt(self, error: GrokError) -> bool:
        """Change the form so that this refusal does not come again; False where nothing is left to try."""
        for name, change in (
            ("reasoning", self._without_reasoning),
            ("code", self._without_code),
            ("parameter", self._leave_out),
            ("format", self._format_in_words),
            ("search", self._search_otherwise),
            ("dialect", self._other_dialect),
        ):
            if name not in self._adapted and change(error):
                if name in ("dialect", "reasoning"):  # the others try each of their few forms once
                    self._adapted.add(name)
                self.form = self._choose()
                return True
        return False

    def _without_reasoning(self, error: GrokError) -> bool:
        """Leave encrypted reasoning out that another key, team or model can't decrypt."""
        if not isinstance(error, errors.BadRequestError) or not _ENCRYPTED.search(error.message):
            return False
        if not any(message.reasoning for message in self._request.messages):
            return False
        messages = tuple(message._replace(reasoning=()) for message in self._request.messages)
        self._request = replace(self._request, messages=messages)
        self._notes.append("Earlier thoughts were left out: the endpoint can't decrypt them any more.")
        return True

    def _without_code(self, error: GrokError) -> bool:
        """Leave code out where the refusal names its tool, or tools as such."""
        if not self.form.request.code or not isinstance(error, _REFUSED_TOOL):
            return False
        refused = error.message.partition("expected")[0]
        if not _CODE.search(refused) and (not _TOOLS.search(refused) or _OTHER_TOOLS.search(refused)):
            return False
        self._suspects.code.add(self._request.model)
        self._allow_no_code(f": {error.message.rstrip('.')}")
        return True

    def _leave_out(self, error: GrokError) -> bool:
        if not isinstance(error, errors.BadRequestError):
            return False
        name = next((value for value in _INCLUDED if value in error.message), error.parameter)
        if name in _SEARCH_FIELDS and self.form.search_dialect:  # another way to search comes first
            return False
        if name is None or _FORMAT.search(name) or len(self._request.omit) >= bounds.OMITTED_FIELDS:
            return False
        without = replace(self.form.request, omit=self.form.request.omit | {name})
        build_body = DIALECTS[self.form.dialect].build_body
        if build_body(without, self._gateway) == build_body(self.form.request, self._gateway):
            return False
        self._request = replace(self._request, omit=without.omit)
        self._notes.append(f"{name} was left out: the model does not take it.")
        return True

    def _format_in_words(self, error: GrokError) -> bool:
        wanted = self._request.response_format
        refused = isinstance(error, errors.BadRequestError) and _FORMAT.search(error.message)
        if wanted is None or not refused:
            return False
        if wanted.schema is None:  # it takes no `json_object` either
            self._request = replace(self._request, response_format=None)
            return True
        self._request = replace(
            self._request,
            response_format=ResponseFormat(wanted.name, None),
            instructions=f"{self._request.instructions}\n\n{wanted.in_words}".lstrip(),
        )
        self._notes.append("The endpoint refused the schema: the model got it in words.")
        return True

    def _search_otherwise(self, error: GrokError) -> bool:
        search = self._request.search
        if not search or not self.form.search_dialect or not self._refuses_search(error):
            return False
        if self.form.other_searches:
            self._suspects.search_dialects.add(self.form.search_dialect)
            following = f"{self.form.other_searches[0]} was used"
        elif search.mode == "auto":
            self._request = replace(self._request, search=replace(search, mode="off"))
            following = "this is the model's own knowledge"
        else:
            return False
        self._notes.append(f"The endpoint does not search by {self.form.search_dialect}; {following}.")
        return True

    def _refuses_search(self, error: GrokError) -> bool:
        refused = isinstance(error, errors.SearchUnavailableError) or error.status in (404, 405, 422)
        return (
            refused
            and self.form.search_dialect is not None
            and not isinstance(error, errors.ModelNotFoundError)
        )

    def _other_dialect(self, error: GrokError) -> bool:
        if not isinstance(error, errors.EndpointError) or self.other_dialect is None:
            return False
        if self._has_documents and self.other_dialect not in self._gateway.document_dialects:
            return False
        self._suspects.dialects.add(self.form.dialect)
        self._use_other_dialect(f"The endpoint does not speak {self.form.dialect}")
        return True

    def _documents_refused(self, error: GrokError) -> GrokError:
        documents = [one for message in self._request.messages for one in message.documents]
        inline = [one.name for one in documents if one.is_inline]
        advice = "Check that anybody can fetch the address, or copy the text into the prompt."
        if inline:
            advice = f"Give the https address of {inline[0]}, which the endpoint fetches, or copy its text."
        return errors.BadRequestError(
            f"files: {self._gateway.mention} refused the document: {error.message}",
            advice,
            status=error.status,
            request_id=error.request_id,
        )

    def worked(self) -> None:
        """Remember for the calls to come what this one found out: its present form has brought an answer."""
        self._refusals.learn(self._suspects, self.form.dialect, self.form.search_dialect)

    def final_error(self, error: GrokError) -> GrokError:
        """The error to report for a refusal that no other form could avoid."""
        if self._has_documents and isinstance(error, errors.BadRequestError) and _FILE.search(error.message):
            return self._documents_refused(error)
        if not self._refuses_search(error) or isinstance(error, errors.SearchUnavailableError):
            return error
        return errors.SearchUnavailableError(
            f"{self._gateway.title} does not search by {self.form.search_dialect}: {error.message}",
            "Set GROK_MCP_SEARCH_DIALECT to one that it speaks, or search with mode=off.",
            status=error.status,
            request_id=error.request_id,
        )
