"""Checks of the endpoint that cost nothing: whether it answers, its key, dialects and models.

An empty request shows whether an endpoint speaks a dialect: if it does, it names what is missing; if not, it
knows no such path.
"""

import asyncio
from typing import Any

from grok_mcp import errors
from grok_mcp.dialects import DIALECTS
from grok_mcp.doctor.findings import Check, all_ok, doubtful, fine, wrong
from grok_mcp.doctor.network import check_way
from grok_mcp.endpoint import BLOCKED, Catalog, Endpoint, Keys, Timeouts, Upstream
from grok_mcp.errors import GrokError
from grok_mcp.foreign import mapping
from grok_mcp.gateways import Gateway, endpoint_url, resolve
from grok_mcp.models import RETIRED, RETIRED_ON, find_model
from grok_mcp.pipeline import WIRE, search_dialects
from grok_mcp.settings import Settings

ANSWER_S = 10.0

_ADDRESS = "Correct XAI_BASE_URL: it is the part before /chat/completions, as in https://api.x.ai/v1."


async def check_endpoint(settings: Settings, keys: Keys) -> tuple[list[Check], bool]:
    """All findings, and whether calls can be answered at all. Without a key nothing goes out."""
    gateway = resolve(settings)
    base_url = settings.base_url or gateway.base_url
    assert base_url is not None  # Settings holds each gateway without an address to have one here
    key = gateway.own_key or keys.key
    if key is None:
        return [fine("network", "not checked, because there is no key")], False
    checks = await check_way(base_url)
    if not all_ok(checks):
        return checks, False
    endpoint = Endpoint(gateway.title, keys.variable, (key,))
    upstream = Upstream(endpoint, key, Timeouts(ANSWER_S, min(settings.idle_timeout, ANSWER_S)))
    try:
        results = await _Probe(settings, gateway, base_url, upstream, keys.variable).run()
        if len(keys.all) > 1:
            results = [
                _of_first_key(check, f"key 1 of {len(keys.all)} in {keys.variable}") for check in results
            ]
        url = endpoint_url(base_url, gateway.key_check)
        for number, other in enumerate(keys.all[1:], 2):
            upstream.use_key(other)
            results.append(await _other_key(upstream, url, f"key {number} of {len(keys.all)}", keys.variable))
    finally:
        await upstream.aclose()
    return checks + results, all_ok(results)


def _of_first_key(check: Check, name: str) -> Check:
    """The finding, with which of several keys it is about where that key does not work."""
    about_key = not check.ok and check.name in ("key accepted", "credit")
    return check._replace(message=f"{name}: {check.message}") if about_key else check


async def _other_key(upstream: Upstream, url: str, name: str, variable: str) -> Check:
    """Whether the endpoint accepts a key that is used when those before it can't be."""
    try:
        await upstream.get(url)
    except GrokError as error:
        return doubtful("key accepted", f"{name} in {variable}: {error.message}", error.advice)
    return fine("key accepted", f"{upstream.endpoint.title} accepts {name} in {variable}")


class _Probe:
    """The requests to an endpoint, and what their outcomes mean."""

    def __init__(
        self, settings: Settings, gateway: Gateway, base_url: str, upstream: Upstream, variable: str
    ) -> None:
        self._settings = settings
        self._variable = variable
        """Where the key is from."""
        self._gateway = gateway
        self._base_url = base_url
        self._upstream = upstream
        self._about_key: Any = None
        self._outcomes: dict[str, GrokError | None] = {}
        """By path: how the endpoint refused, or None for an answer."""
        self._got: dict[str, asyncio.Task[Any]] = {}
        """By path: what was requested already."""

    async def run(self) -> list[Check]:
        """Try the key and every dialect; if they work, look at what the endpoint offers."""
        await asyncio.gather(self._look_up(), *(self._try(dialect.path) for dialect in DIALECTS.values()))
        title = self._gateway.title
        if self._about_key is None and self._outcomes[self._gateway.key_check] is None:
            # a page of the web, or of a network that wants a login
            return [wrong("endpoint", f"{title} answers, but not with JSON", _ADDRESS)]
        failure = self._unusable() or self._refused()
        if failure is not None:
            return [failure]
        key = "any key" if self._gateway.own_key else f"the key of {self._variable}"
        return [
            fine("endpoint", f"{title} answers"),
            fine("key accepted", f"{title} accepts {key}"),
            self._dialects(),
            *await self._models(),
            self._search(),
        ]

    async def _get(self, path: str) -> Any:
        """What is at a path; no path is requested twice."""
        if path not in self._got:
            url = endpoint_url(self._base_url, path)
            self._got[path] = asyncio.ensure_future(self._upstream.get(url))
        return await self._got[path]

    async def _look_up(self) -> None:
        path = self._gateway.key_check
        try:
            self._about_key = await self._get(path)
            self._outcomes[path] = None
        except GrokError as error:
            self._outcomes[path] = error

    async def _try(self, path: str) -> None:
        url = endpoint_url(self._base_url, path)
        try:
            async with asyncio.timeout(ANSWER_S), self._upstream.stream(url, {}, {}):
                self._outcomes[path] = None
        except TimeoutError:
            message = f"{self._gateway.title} did not answer in {ANSWER_S:g} s."
            self._outcomes[path] = errors.UpstreamTimeoutError(message)
        except GrokError as error:
            self._outcomes[path] = error

    def _first(self, kind: type[GrokError]) -> GrokError | None:
        return next((error for error in self._outcomes.values() if isinstance(error, kind)), None)

    def _unusable(self) -> Check | None:
        """Where no request got an answer that the endpoint's own code can have given."""
        title, outcomes = self._gateway.title, list(self._outcomes.values())
        for error in outcomes:
            if isinstance(error, errors.EndpointError) and 300 <= (error.status or 0) < 400:
                return wrong("endpoint", error.message, error.advice)
        if all(isinstance(error, errors.EndpointError) for error in outcomes):
            return wrong("endpoint", f"{title} knows none of the paths: {outcomes[0]}", _ADDRESS)
        if all(isinstance(error, errors.UpstreamTimeoutError) for error in outcomes):
            message = f"{title} accepts connections but does not answer: {outcomes[0]}"
            fix = "Try again later. If that does not help, check XAI_BASE_URL, proxies and firewalls."
            return wrong("endpoint", message, fix)
        broken = [error for error in outcomes if error and _broken(error)]
        if len(broken) == len(outcomes):
            return wrong("endpoint", broken[0].message, broken[0].advice)
        return None

    def _refused(self) -> Check | None:
        """Where the endpoint answers, but not to this key; a public list of models proves nothing."""
        variable = self._variable
        if error := self._first(errors.AuthenticationError):
            fix = f"Set {variable} to a key of this endpoint; keys of one gateway do not work at another."
            return wrong("key accepted", f"the key is refused: {error.message}", fix)
        if error := self._first(errors.InsufficientCreditError):
            return wrong("credit", error.message, error.advice)
        if error := self._first(errors.PermissionDeniedError):
            fix = f"Check what the key in {variable} may do, and whether its account or region is blocked."
            return wrong("key accepted", error.message, fix)
        blocked = [name for name in BLOCKED if mapping(self._about_key).get(name) is True]
        if blocked:
            fix = f"Unblock it at the endpoint, or set {variable} to another key."
            return wrong("key accepted", f"the endpoint reports {', '.join(blocked)} for this key", fix)
        return None

    def _speaks(self, dialect: str) -> bool | None:
        """Whether the endpoint speaks a dialect; None where its outcome shows neither."""
        error = self._outcomes[DIALECTS[dialect].path]
        if isinstance(error, errors.EndpointError | errors.SearchUnavailableError):
            return False
        unsure = error and (_broken(error) or isinstance(error, errors.RateLimitError))
        return None if unsure else True

    def _dialects(self) -> Check:
        spoken = [name for name in DIALECTS if self._speaks(name)]
        unsure = [name for name in DIALECTS if self._speaks(name) is None]
        configured, known = self._settings.dialect, self._gateway.dialects
        first = configured or known[0]
        names = ", ".join(spoken) or "none for certain"
        if first in unsure:
            message = f"{first} could not be tried: {self._outcomes[DIALECTS[first].path]}"
            return doubtful("dialects", message, "Try again in a moment, or run with --full.")
        if first in spoken:
            return fine("dialects", f"{names}; {first} comes first")
        if not spoken and not unsure:
            return wrong("dialects", "the endpoint knows neither path", _ADDRESS)
        usable = (spoken or unsure)[0]
        fix = f"Set GROK_MCP_DIALECT={usable}."
        if usable in (configured, *known):
            return doubtful("dialects", f"{names}; but {first} comes first, and fails", fix)
        message = f"the endpoint does not speak {first}, the only dialect that calls use"
        return wrong("dialects", message, fix)

    async def _models(self) -> list[Check]:
        gateway = self._gateway
        catalog = Catalog(gateway, self._get, self._settings.model)
        published = await catalog.published()
        model = catalog.default_model
        if gateway.name == "sandbox":
            model = model.partition("!")[0]
        names = {name for entry in published["models"] for name in (entry["id"], *entry.get("aliases", ()))}
        known = find_model(model)
        if gateway.serves_xai_models and model in RETIRED and not gateway.models:
            message = f"{model} was retired on {RETIRED_ON}; {RETIRED[model]} answers in its place"
            checks = [doubtful("model", message, f"Set GROK_MCP_MODEL={RETIRED[model]}.")]
        elif published["source"] != "endpoint":
            message = f"the endpoint lists no models, so {model} could not be looked up"
            checks = [doubtful("model", message, "Run with --full to see whether it answers.")]
        elif names.isdisjoint({model, known.id if known else model}):
            close = catalog.advice(model) or f"It has {', '.join(sorted(names)[:5])}. "
            fix = f"{close}Set GROK_MCP_MODEL to one that it has."
            checks = [wrong("model", f"the endpoint has no {model}", fix)]
        else:
            checks = [fine("model", f"{model} is one of {len(published['models'])} models there")]
        effort = self._settings.reasoning_effort
        if known and effort and gateway.serves_xai_models and known.refuses("reasoning_effort", effort):
            instead = f", or take {' or '.join(known.efforts)}" if known.efforts else ""
            message = f"{model} does not take the reasoning effort {effort}, which is left out"
            checks.append(doubtful("model", message, f"Unset GROK_MCP_REASONING_EFFORT{instead}."))
        return checks

    def _search(self) -> Check:
        ways = search_dialects(self._gateway, self._settings.search_dialect)
        if not ways:
            fix = "Unset GROK_MCP_SEARCH_DIALECT to search."
            return doubtful("search", "switched off: grok_search fails", fix)
        usable = [way for way in ways if self._speaks(WIRE[way]) is not False]
        if not usable:
            spoken = " or ".join(name for name in DIALECTS if self._speaks(name))
            message = f"{ways[0]} needs the dialect {WIRE[ways[0]]}, which the endpoint does not speak"
            fix = f"Set GROK_MCP_SEARCH_DIALECT to a way that uses {spoken or 'what the endpoint speaks'}."
            return wrong("search", message, fix)
        message = f"by {usable[0]}; only a real search, which costs money, can prove it (--full)"
        return fine("search", message)


def _broken(error: GrokError) -> bool:
    kinds = (errors.UpstreamConnectionError, errors.UpstreamTimeoutError, errors.OverloadedError)
    return isinstance(error, kinds) or type(error) is errors.UpstreamError
