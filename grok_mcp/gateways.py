"""The endpoints that we know, as data: one frozen record each. To add a gateway, add a record.

Facts: docs.x.ai, docs.openai-nebula.com, docs.console.zenlayer.com, docs.acedata.cloud, docs.surgeai.one
and openrouter.ai/docs, as read until 2026-11-29.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Gateway:
    """What is particular about one OpenAI-compatible endpoint.

    `dialects` and `search_dialects` are tried in order; `hosts` are host names that it is recognised by.
    `document_dialects` are those in which it takes documents, none where it takes none.
    `reasoning_inside`: chat usage counts reasoning inside the completion (only used where totals leave it
    open). `models` are those that it documents, empty where models.py has them; `model_lists` the paths of
    its own list, the richest first; `key_check` is a path that only a good key may read. `own_key` is sent in
    place of the user's. `serves_xai_models`: what models.py knows holds here; elsewhere an old id may still
    be an old model. `price_factor` is what tokens cost in its place, times their price in models.py;
    `lists_default` says that `default_model` is only what it is without its own list. `extensions` are fields
    of xAI's that it takes: `safety_identifier`, `guidelines`, `collections`. `notice` is a warning on every
    answer, `tools_notice` one on those that its own tools (search, collections) may have worked on.
    """

    name: str
    title: str
    base_url: str | None
    hosts: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ("chat_completions",)
    search_dialects: tuple[str, ...] = ("search_parameters", "responses")
    document_dialects: tuple[str, ...] = ()
    affinity_header: str | None = None
    prompt_cache_key: bool = False
    max_tokens_field: str = "max_tokens"
    reasoning_inside: bool = True
    default_model: str = "grok-4"
    models: tuple[str, ...] = ()
    model_lists: tuple[str, ...] = ("/models",)
    key_check: str = "/models"
    own_key: str | None = None
    serves_xai_models: bool = False
    price_factor: Decimal = Decimal(1)
    lists_default: bool = False
    extensions: tuple[str, ...] = ()
    tools_notice: str | None = None
    notice: str | None = None

    @property
    def mention(self) -> str:
        """Its title within a sentence."""
        return within(self.title)


def within(title: str) -> str:
    """A title, which begins a sentence, as it stands within one."""
    return f"the {title.removeprefix('The ')}" if title.startswith("The ") else title


_XAI = Gateway(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    hosts=("api.x.ai",),
    dialects=("responses", "chat_completions"),
    search_dialects=("responses",),
    document_dialects=("responses",),
    affinity_header="x-grok-conv-id",
    prompt_cache_key=True,
    max_tokens_field="max_completion_tokens",
    reasoning_inside=False,
    default_model="grok-4.7",
    model_lists=("/language-models", "/models"),
    key_check="/api-key",
    serves_xai_models=True,
    extensions=("safety_identifier", "guidelines", "collections"),
)

GATEWAYS: Mapping[str, Gateway] = {
    gateway.name: gateway
    for gateway in (
        _XAI,
        replace(
            _XAI,
            name="xai-us",
            title="xAI (US)",
            base_url="https://us.api.x.ai/v1",
            hosts=("us.api.x.ai",),
            default_model="grok-4.6",
            models=("grok-4.6",),  # by the newest page about it, which may be older than grok-4.7
            price_factor=Decimal("1.1"),
            lists_default=True,
            tools_notice="Searches, code and documents leave the region: the guarantee of this endpoint's "
            "place does not cover what runs there beside the model.",
        ),
        Gateway(
            name="nebula",
            title="Nebula",
            base_url="https://llm.ai-nebula.com/v1",
            hosts=("llm.ai-nebula.com",),
            document_dialects=("responses",),
            models=("grok-4", "grok-4-fast-reasoning", "grok-3", "grok-3-fast"),
        ),
        Gateway(
            name="theturbo",
            title="TheTurbo",
            base_url="https://gateway.theturbo.ai/v1",
            hosts=("gateway.theturbo.ai",),
            affinity_header="X-Conversation-Id",
            models=("grok-4", "grok-4-fast-reasoning", "grok-4-fast-non-reasoning", "grok-3"),
        ),
        Gateway(
            name="acedata",
            title="AceData",
            base_url="https://api.acedata.cloud/grok",
            hosts=("api.acedata.cloud",),
            models=(
                "grok-4",
                "grok-4-1-fast",
                "grok-4-1-fast-non-reasoning",
                "grok-3",
                "grok-3-mini",
                "grok-2-vision",
            ),
        ),
        Gateway(
            name="surgeai",
            title="SurgeAI",
            base_url=None,  # its page names no API address: GROK_MCP_BASE_URL has to
            hosts=("surgeai.one",),
            models=("grok-4", "grok-3"),
        ),
        Gateway(
            name="openrouter",
            title="OpenRouter",
            base_url="https://openrouter.ai/api/v1",
            hosts=("openrouter.ai",),
            search_dialects=("openrouter",),
            document_dialects=("chat_completions",),
            default_model="x-ai/grok-4.7",
            models=("x-ai/grok-4.7",),
        ),
        Gateway(
            name="generic",
            title="The endpoint",
            base_url=None,
            dialects=("chat_completions", "responses"),
            search_dialects=("responses", "search_parameters"),
            document_dialects=("responses", "chat_completions"),
            default_model="grok-4.7",
        ),
        replace(
            _XAI,
            name="sandbox",
            title="The sandbox",
            base_url=None,  # a free loopback port, known when it runs
            hosts=(),
            search_dialects=("responses", "search_parameters", "openrouter"),
            own_key="sandbox",
            notice="This answer comes from the built-in sandbox, not from Grok.",
        ),
    )
}


class _Choice(Protocol):
    """The settings that choose a gateway."""

    gateway: str | None
    base_url: str | None


def resolve(settings: _Choice) -> Gateway:
    """The gateway in effect: the one that is named, else that of the base URL, else xAI.

    A host that we don't know belongs to `generic`.
    """
    if settings.gateway:
        return GATEWAYS[settings.gateway]
    return _by_host(settings.base_url) if settings.base_url else _XAI


def _by_host(base_url: str) -> Gateway:
    host = urlsplit(base_url).hostname or ""
    by_host = {known: gateway for gateway in GATEWAYS.values() for known in gateway.hosts}
    while host:
        if host in by_host:
            return by_host[host]
        host = host.partition(".")[2]
    return GATEWAYS["generic"]


_ENDPOINT_PATHS = ("/chat/completions", "/responses", "/models", "/language-models")


def endpoint_url(base_url: str, path: str) -> str:
    """The address of one endpoint path; a base that already ends in one, or has a query string, works."""
    parts = urlsplit(base_url.strip())
    base = parts.path.rstrip("/")
    for known in _ENDPOINT_PATHS:
        base = base.removesuffix(known)
    return parts._replace(path=base.rstrip("/") + path, fragment="").geturl()
