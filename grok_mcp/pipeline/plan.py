"""In which form a request goes out, and in which other form once the endpoint has refused that one.

Each change (another dialect, another way to search, a parameter left out, JSON without a schema) happens at
most once a call; what an endpoint can't do is remembered for the process.
"""

import re
from dataclasses import replace

from grok_mcp import errors
from grok_mcp.dialects import DIALECTS
from grok_mcp.errors import GrokError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, ResponseFormat
from grok_mcp.models import find_model
from grok_mcp.pipeline.search import WIRE, prepare, search_dialects
from grok_mcp.settings import Settings

CHAT_ONLY_OPTIONS = ("n", "seed", "stop", "presence_penalty", "frequency_penalty")
"""Sampling options that the Responses API has no field for (docs.x.ai field lists)."""

_FORMAT = re.compile(
    r"response_?format|json_?schema|json_?object|text\.format|structured output", re.IGNORECASE
)


class Plan:
    """The present form of one call: `request` and the wire `dialect` to send it in.

    `refused` is shared by all calls: names of dialects that the endpoint turned out not to speak.
    """

    def __init__(self, request: ChatRequest, gateway: Gateway, settings: Settings, refused: set[str]) -> None:
        self._asked = request
        self._gateway = gateway
        self._settings = settings
        self._refused = refused
        self._done: set[str] = set()
        self._kept: list[str] = []
        self._leave_out_known()
        self._choose()

    def _choose(self) -> None:
        """Set `dialect`, `request` and the warnings that this form calls for."""
        request, dropped = self._asked, []
        search_dialect, self._fallbacks = self._search_dialect()
        if search_dialect:
            self.dialect = WIRE[search_dialect]
        else:
            self.dialect = self._wire_dialect(request)
        if self.dialect == "responses":
            dropped = [name for name in CHAT_ONLY_OPTIONS if name in request.options]
            kept = {name: value for name, value in request.options.items() if name not in dropped}
            request = replace(request, options=kept)
        self.search_dialect = search_dialect
        self.request, unsaid = prepare(request, search_dialect)
        self._said = [f"{name} was left out: this endpoint has no field for it." for name in dropped] + unsaid

    def _leave_out_known(self) -> None:
        """Take out what this model is known to refuse, so that no request is wasted on it."""
        model = find_model(self._asked.model) if self._gateway.serves_xai_models else None
        if model is None:
            return
        given = {**self._asked.options, "reasoning_effort": self._asked.reasoning_effort}
        refused = [name for name, value in given.items() if value is not None and model.refuses(name, value)]
        for name in refused:
            self._kept.append(f"{name} was left out: {model.id} does not take it.")
        options = {name: value for name, value in self._asked.options.items() if name not in refused}
        effort = None if "reasoning_effort" in refused else self._asked.reasoning_effort
        self._asked = replace(self._asked, options=options, reasoning_effort=effort)

    @property
    def warnings(self) -> list[str]:
        """Sentences about everything that is not as it was asked for."""
        return self._kept + self._said

    @property
    def other_dialect(self) -> str | None:
        """The dialect that could still be tried in this call, if there is one."""
        if "dialect" in self._done or self.search_dialect:
            return None
        return next((name for name in self._gateway.dialects if name != self.dialect), None)

    def ask_otherwise(self) -> None:
        """Use the other dialect for this model, now and later: it is served in that one only."""
        self._change_dialect(
            f"The endpoint does not serve {self._asked.model} by {self.dialect}", self._asked.model
        )
        self._choose()

    def _change_dialect(self, cause: str, model: str = "") -> None:
        self._kept.append(f"{cause}; {self.other_dialect} was used.")
        self._refused.add(f"wire:{self.dialect}:{model}")
        self._done.add("dialect")

    def _search_dialect(self) -> tuple[str | None, tuple[str, ...]]:
        """How to search in this form, and what would be left to try after it."""
        search = self._asked.search
        if search is None or search.mode == "off":
            return None, ()
        known = search_dialects(self._gateway, self._settings.search_dialect)
        usable = tuple(name for name in known if f"search:{name}" not in self._refused)
        if usable:
            return usable[0], usable[1:]
        if search.mode == "on":
            raise errors.SearchUnavailableError(
                f"{self._gateway.title} is set up without a way to search.",
                "Set GROK_MCP_SEARCH_DIALECT to one that it speaks, or search with mode=off.",
            )
        self._kept.append("No way to search here: this is the model's own knowledge.")
        self._asked = replace(self._asked, search=replace(search, mode="off"))
        return None, ()

    def _wire_dialect(self, request: ChatRequest) -> str:
        known = tuple(filter(None, (self._settings.dialect, *self._gateway.dialects)))
        usable = [
            name for name in known if not {f"wire:{name}:", f"wire:{name}:{request.model}"} & self._refused
        ] or list(known)
        chat_only = any(name in request.options for name in CHAT_ONLY_OPTIONS)
        if chat_only and "chat_completions" in usable and not self._settings.dialect:
            return "chat_completions"
        return usable[0]

    def mend(self, error: GrokError) -> bool:
        """Change the form so that this refusal does not come again; False where nothing is left to try."""
        for name, change in (
            ("parameter", self._leave_out),
            ("format", self._format_in_words),
            ("search", self._search_otherwise),
            ("dialect", self._other_dialect),
        ):
            if name not in self._done and change(error):
                if name not in ("search", "format"):  # of these each form is tried once, and there are few
                    self._done.add(name)
                self._choose()
                return True
        return False

    def _leave_out(self, error: GrokError) -> bool:
        name = error.parameter if isinstance(error, errors.BadRequestError) else None
        if name is None or _FORMAT.search(name):
            return False
        without = replace(self.request, omit=self.request.omit | {name})
        build_body = DIALECTS[self.dialect].build_body
        if build_body(without, self._gateway) == build_body(self.request, self._gateway):
            return False
        self._asked = replace(self._asked, omit=without.omit)
        self._kept.append(f"{name} was left out: the model does not take it.")
        return True

    def _format_in_words(self, error: GrokError) -> bool:
        wanted = self._asked.response_format
        refused = isinstance(error, errors.BadRequestError) and _FORMAT.search(error.message)
        if wanted is None or not refused:
            return False
        if wanted.schema is None:  # it takes no `json_object` either
            self._asked = replace(self._asked, response_format=None)
            return True
        self._asked = replace(
            self._asked,
            response_format=ResponseFormat(wanted.name, None),
            instructions=f"{self._asked.instructions}\n\n{wanted.in_words}".lstrip(),
        )
        self._kept.append("The endpoint refused the schema: it was given to the model in words.")
        return True

    def _search_otherwise(self, error: GrokError) -> bool:
        search = self._asked.search
        if not self._refuses_search(error) or not search:
            return False
        if self._fallbacks:
            self._refused.add(f"search:{self.search_dialect}")
            following = f"{self._fallbacks[0]} was used"
        elif search.mode == "auto":
            self._asked = replace(self._asked, search=replace(search, mode="off"))
            following = "this is the model's own knowledge"
        else:
            return False
        self._kept.append(f"The endpoint does not search by {self.search_dialect}; {following}.")
        return True

    def _refuses_search(self, error: GrokError) -> bool:
        refused = isinstance(error, errors.SearchUnavailableError) or error.status in (404, 405, 422)
        return (
            refused and self.search_dialect is not None and not isinstance(error, errors.ModelNotFoundError)
        )

    def verdict(self, error: GrokError) -> GrokError:
        """What the caller is told of a refusal that no other form could mend."""
        if not self._refuses_search(error) or isinstance(error, errors.SearchUnavailableError):
            return error
        return errors.SearchUnavailableError(
            f"{self._gateway.title} does not search by {self.search_dialect}: {error.message}",
            "Set GROK_MCP_SEARCH_DIALECT to one that it speaks, or search with mode=off.",
            status=error.status,
            request_id=error.request_id,
        )

    def _other_dialect(self, error: GrokError) -> bool:
        if not isinstance(error, errors.EndpointError) or self.other_dialect is None:
            return False
        self._change_dialect(f"The endpoint does not speak {self.dialect}")
        return True
