"""Checks of the endpoint that cost nothing: does it answer, is the key good, what does it speak and offer.

A dialect is tried by an empty request, which no endpoint can answer: one that names what is missing speaks
it, one that knows no such path does not.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from grok_mcp import errors
from grok_mcp.dialects import DIALECTS
from grok_mcp.doctor.findings import Check, all_ok, doubtful, fine, wrong
from grok_mcp.doctor.network import check_way
from grok_mcp.endpoint import BLOCKED, Catalog, Endpoint, Timeouts, Upstream
from grok_mcp.errors import GrokError
from grok_mcp.foreign import mapping
from grok_mcp.gateways import Gateway, endpoint_url, resolve
from grok_mcp.models import RETIRED, RETIRED_ON, find_model
from grok_mcp.pipeline import WIRE, search_dialects
from grok_mcp.settings import Settings

ANSWER_S = 10.0

_ADDRESS = "Correct XAI_BASE_URL: it is the part before /chat/completions, as in https://api.x.ai/v1."
_Asked = dict[str, GrokError | None]
"""What came of each question, by its path: the refusal, or None for an answer."""


async def check_endpoint(settings: Settings) -> tuple[list[Check], bool]:
    """All findings, and whether calls can be answered at all."""
    gateway = resolve(settings)
    base_url = settings.base_url or gateway.base_url
    assert base_url is not None  # Settings holds each gateway without an address to have one here
    checks = await check_way(base_url)
    key = gateway.own_key or settings.key()
    if not all_ok(checks) or key is None:
        return checks, False
    endpoint = Endpoint(gateway.title, settings.key_variable(), (key,))
    upstream = Upstream(endpoint, key, Timeouts(ANSWER_S, min(settings.idle_timeout, ANSWER_S)))
    try:
        found = await _ask(upstream, base_url, gateway, settings)
    finally:
        await upstream.aclose()
    return checks + found, all_ok(found)


async def _ask(upstream: Upstream, base_url: str, gateway: Gateway, settings: Settings) -> list[Check]:
    told: Any = None
    asked: _Asked = {}

    async def look_up() -> None:
        nonlocal told
        try:
            told = await upstream.get(endpoint_url(base_url, gateway.key_check))
            asked[gateway.key_check] = None
        except GrokError as error:
            asked[gateway.key_check] = error

    async def probe(path: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_S), upstream.stream(endpoint_url(base_url, path), {}, {}):
                asked[path] = None
        except TimeoutError:
            asked[path] = errors.UpstreamTimeoutError(f"{gateway.title} did not answer in {ANSWER_S:g} s.")
        except GrokError as error:
            asked[path] = error

    await asyncio.gather(look_up(), *(probe(dialect.path) for dialect in DIALECTS.values()))
    if (
        told is None and asked[gateway.key_check] is None
    ):  # a page of the web, or of a network that wants a login
        return [wrong("endpoint", f"{gateway.title} answers, but with no JSON", _ADDRESS)]
    fault = _unusable(asked, gateway) or _refused(asked, mapping(told), settings)
    if fault is not None:
        return [fault]

    async def get(path: str) -> Any:
        return await upstream.get(endpoint_url(base_url, path))

    catalog = Catalog(gateway, get)
    return [
        fine("endpoint", f"{gateway.title} answers"),
        fine("key accepted", f"{gateway.title} takes {_key_in_words(gateway, settings)}"),
        *_dialects(asked, gateway, settings),
        *await _models(catalog, gateway, settings),
        *_search(asked, gateway, settings),
    ]


def _key_in_words(gateway: Gateway, settings: Settings) -> str:
    return "any key" if gateway.own_key else f"the key of {settings.key_variable()}"


def _unusable(asked: _Asked, gateway: Gateway) -> Check | None:
    """Where no question got an answer that the endpoint's own code can have given."""
    found = list(asked.values())
    moved = _first(found, errors.EndpointError, lambda error: 300 <= (error.status or 0) < 400)
    if moved is not None:
        return wrong("endpoint", moved.message, moved.advice)
    if all(isinstance(error, errors.EndpointError) for error in found):
        return wrong("endpoint", f"{gateway.title} knows none of the paths: {found[0]}", _ADDRESS)
    if all(isinstance(error, errors.UpstreamTimeoutError) for error in found):
        return wrong(
            "endpoint",
            f"{gateway.title} takes connections but is silent: {found[0]}",
            "Try again later; else look at XAI_BASE_URL, and at what stands between here and there.",
        )
    if all(_broken(error) for error in found):
        error = found[0]
        assert error is not None
        return wrong("endpoint", error.message, error.advice)
    return None


def _broken(error: GrokError | None) -> bool:
    kinds = (errors.UpstreamConnectionError, errors.UpstreamTimeoutError, errors.OverloadedError)
    return isinstance(error, kinds) or type(error) is errors.UpstreamError


def _refused(asked: _Asked, told: Any, settings: Settings) -> Check | None:
    """Where the endpoint answers, but not to this key; a public list of models proves nothing."""
    found = list(asked.values())
    variable = settings.key_variable()
    if error := _first(found, errors.AuthenticationError):
        fix = f"Set {variable} to a key of this endpoint; a key of one gateway is no good at another."
        return wrong("key accepted", f"the key is refused: {error.message}", fix)
    if error := _first(found, errors.InsufficientCreditError):
        return wrong("credit", error.message, error.advice)
    if error := _first(found, errors.PermissionDeniedError):
        fix = f"Check what the key in {variable} may do, and whether its account or region is blocked."
        return wrong("key accepted", error.message, fix)
    blocked = [name for name in BLOCKED if told.get(name) is True]
    if blocked:
        fix = f"Unblock it at the endpoint, or set {variable} to another key."
        return wrong("key accepted", f"the endpoint says {', '.join(blocked)} of this key", fix)
    return None


def _first(found: Iterable[GrokError | None], kind: type[GrokError], also: Any = bool) -> GrokError | None:
    return next((error for error in found if isinstance(error, kind) and also(error)), None)


def _spoken(asked: _Asked, dialect: str) -> bool | None:
    """Whether the endpoint speaks a dialect; None where it could not say."""
    error = asked[DIALECTS[dialect].path]
    if isinstance(error, errors.EndpointError | errors.SearchUnavailableError):
        return False
    return None if _broken(error) or isinstance(error, errors.RateLimitError) else True


def _dialects(asked: _Asked, gateway: Gateway, settings: Settings) -> list[Check]:
    spoken = [name for name in DIALECTS if _spoken(asked, name)]
    unsure = [name for name in DIALECTS if _spoken(asked, name) is None]
    first = settings.dialect or gateway.dialects[0]
    shown = ", ".join(spoken) or "none that could be told"
    if first in unsure:
        message = f"{first} could not be tried: {asked[DIALECTS[first].path]}"
        return [doubtful("dialects", message, "Try again in a moment, or ask with --full.")]
    if first in spoken:
        return [fine("dialects", f"{shown}; {first} is asked first")]
    if not spoken and not unsure:
        return [wrong("dialects", "the endpoint knows neither path", _ADDRESS)]
    usable = next(iter(spoken or unsure))
    fix = f"Set GROK_MCP_DIALECT={usable}."
    if usable in (settings.dialect, *gateway.dialects):
        return [doubtful("dialects", f"{shown}; but {first} is asked first, and lost", fix)]
    return [wrong("dialects", f"the endpoint does not speak {first}, which is all that it is asked by", fix)]


async def _models(catalog: Catalog, gateway: Gateway, settings: Settings) -> list[Check]:
    asked_for = settings.model or gateway.default_model
    model = asked_for.partition("!")[0] if gateway.name == "sandbox" else asked_for
    published = await catalog.published(model)
    checks = []
    names = {name for one in published["models"] for name in (one["id"], *one.get("aliases", ()))}
    known = find_model(model)
    effort = settings.reasoning_effort
    if gateway.serves_xai_models and model in RETIRED:
        message = f"{model} was retired on {RETIRED_ON}; {RETIRED[model]} answers in its place"
        checks.append(doubtful("model", message, f"Set GROK_MCP_MODEL={RETIRED[model]}."))
    elif published["source"] != "endpoint":
        fix = "Ask with --full to see whether it answers."
        checks.append(
            doubtful("model", f"the endpoint lists no models, so {model} could not be looked up", fix)
        )
    elif names.isdisjoint({model, known.id if known else model}):
        close = catalog.advice(model) or f"It has {', '.join(sorted(names)[:5])}. "
        fix = f"{close}Set GROK_MCP_MODEL to one that it has."
        checks.append(wrong("model", f"the endpoint has no {model}", fix))
    else:
        checks.append(fine("model", f"{model} is one of {len(published['models'])}"))
    if known and effort and gateway.serves_xai_models and known.refuses("reasoning_effort", effort):
        instead = f", or take {' or '.join(known.efforts)}" if known.efforts else ""
        fix = f"Unset GROK_MCP_REASONING_EFFORT{instead}."
        checks.append(doubtful("model", f"{model} takes no reasoning effort {effort}: it is left out", fix))
    return checks


def _search(asked: _Asked, gateway: Gateway, settings: Settings) -> list[Check]:
    ways = search_dialects(gateway, settings.search_dialect)
    if not ways:
        fix = "Unset GROK_MCP_SEARCH_DIALECT to search."
        return [doubtful("search", "switched off: grok_search fails", fix)]
    usable = [way for way in ways if _spoken(asked, WIRE[way]) is not False]
    if not usable:
        spoken = " or ".join(name for name in DIALECTS if _spoken(asked, name))
        fix = f"Set GROK_MCP_SEARCH_DIALECT to a way that works by {spoken or 'what the endpoint speaks'}."
        return [wrong("search", f"{ways[0]} needs the dialect {WIRE[ways[0]]}, which is not spoken", fix)]
    return [
        fine("search", f"by {usable[0]}, as far as can be told without a search, which costs money (--full)")
    ]
