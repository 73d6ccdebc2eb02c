"""Which address a request goes to, for every form in which people write a base URL down.

The endpoint of the tests stands in as HTTP proxy: so it sees whole addresses, under the gateways' real names.
It speaks no TLS, which is why `https` of the table goes out as `http`.
"""

from dataclasses import dataclass

import pytest

from grok_mcp.gateways import GATEWAYS
from tests.support.endpoint import Endpoint, body, chat
from tests.support.host import host_on

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Base:
    """A base URL as configured, the gateway that it belongs to, and where a question and a search go."""

    gateway: str
    url: str
    asks: str
    searches: str


def base(gateway: str, url: str, asks: str, searches: str = "") -> Base:
    return Base(gateway, url, asks, searches or asks)


XAI = "https://api.x.ai/v1/responses"
US = "https://us.api.x.ai/v1/responses"
NEBULA = "https://llm.ai-nebula.com/v1/chat/completions"
NEBULA_VERSIONED = "https://llm.ai-nebula.com/v1/chat/completions?api-version=2025-03-01-preview"
THETURBO = "https://gateway.theturbo.ai/v1/chat/completions"
ACEDATA = "https://api.acedata.cloud/grok/chat/completions"
SURGEAI = "https://api.surgeai.one/v1/chat/completions"
OPENROUTER = "https://openrouter.ai/api/v1/chat/completions"
APIYI = ("https://api.apiyi.com/v1/chat/completions", "https://api.apiyi.com/v1/responses")
LOOKALIKE = ("https://api.x.ai.example/v1/chat/completions", "https://api.x.ai.example/v1/responses")

BASES = [
    base("xai", "https://api.x.ai/v1", XAI),
    base("xai", "https://api.x.ai/v1/", XAI),
    base("xai", "https://api.x.ai/v1//", XAI),
    base("xai", " https://api.x.ai/v1 ", XAI),
    base("xai", "https://API.X.AI/v1", XAI),
    base("xai", "https://api.x.ai/v1/responses", XAI),
    base("xai", "https://api.x.ai/v1/responses/", XAI),
    base("xai", "https://api.x.ai/v1/chat/completions", XAI),
    base("xai", "https://api.x.ai/v1/models", XAI),
    base("xai", "https://api.x.ai", "https://api.x.ai/responses"),  # nothing is added to what is configured
    base("xai", "https://api.x.ai:8443/v1", "https://api.x.ai:8443/v1/responses"),
    base("xai", "https://eu-west-1.api.x.ai/v1", "https://eu-west-1.api.x.ai/v1/responses"),
    base("xai-us", "https://us.api.x.ai/v1", US),
    base("xai-us", "https://US.api.x.ai/v1/chat/completions/", US),
    base("nebula", "https://llm.ai-nebula.com/v1", NEBULA),
    base("nebula", "https://llm.ai-nebula.com/v1/", NEBULA),
    base("nebula", "https://llm.ai-nebula.com/v1/chat/completions", NEBULA),
    base("nebula", "https://LLM.AI-Nebula.com/v1", NEBULA),
    base(
        "nebula",
        "https://llm.ai-nebula.com/v1/responses?api-version=2025-03-01-preview",
        NEBULA_VERSIONED,
    ),
    base("nebula", "https://llm.ai-nebula.com/v1/?api-version=2025-03-01-preview", NEBULA_VERSIONED),
    base("theturbo", "https://gateway.theturbo.ai/v1", THETURBO),
    base("theturbo", "https://gateway.theturbo.ai/v1/chat/completions", THETURBO),
    base("theturbo", "https://Gateway.TheTurbo.ai/v1/", THETURBO),
    base("acedata", "https://api.acedata.cloud/grok", ACEDATA),
    base("acedata", "https://api.acedata.cloud/grok/", ACEDATA),
    base("acedata", "https://api.acedata.cloud/grok/chat/completions", ACEDATA),
    base("acedata", "https://API.ACEDATA.CLOUD/grok", ACEDATA),
    base("surgeai", "https://api.surgeai.one/v1", SURGEAI),
    base("surgeai", "https://api.surgeai.one/v1/chat/completions/", SURGEAI),
    base("surgeai", "https://SurgeAI.one/v1", "https://surgeai.one/v1/chat/completions"),
    base("openrouter", "https://openrouter.ai/api/v1", OPENROUTER),
    base("openrouter", "https://openrouter.ai/api/v1/", OPENROUTER),
    base("openrouter", "https://openrouter.ai/api/v1/chat/completions", OPENROUTER),
    base("openrouter", "https://openrouter.ai/api/v1/responses", OPENROUTER),
    base("openrouter", "https://OpenRouter.ai/api/v1", OPENROUTER),
    base("generic", "https://api.apiyi.com/v1", *APIYI),
    base("generic", "https://api.apiyi.com/v1/responses/", *APIYI),
    base("generic", "https://API.apiyi.com/v1/chat/completions", *APIYI),
    base("generic", "https://api.x.ai.example/v1", *LOOKALIKE),
]


@pytest.mark.parametrize("base", BASES, ids=lambda base: f"{base.gateway} {base.url}")
async def test_a_base_url_belongs_to_its_gateway_and_leads_to_this_address(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Endpoint(chat("Hi."), chat("Found."), body("Stop.", status=403)) as endpoint:
        monkeypatch.setenv("HTTP_PROXY", endpoint.url.removesuffix("/v1"))
        # The US endpoint would be asked for its models first.
        async with host_on(base.url.replace("https:", "http:"), model="grok-4.6") as host:
            asked = await host.ask()
            searched = await host.search()
            refused = await host.ask()
    assert asked.text.startswith("Hi.") and searched.text.startswith("Found.")
    addresses = [request.path.replace("http:", "https:") for request in endpoint.requests]
    assert addresses == [base.asks, base.searches, base.asks]
    assert refused.error["gateway"] == base.gateway


def test_the_base_url_of_a_gateway_is_the_documented_one() -> None:
    assert {name: gateway.base_url for name, gateway in GATEWAYS.items()} == {
        "xai": "https://api.x.ai/v1",
        "xai-us": "https://us.api.x.ai/v1",
        "nebula": "https://llm.ai-nebula.com/v1",
        "theturbo": "https://gateway.theturbo.ai/v1",
        "acedata": "https://api.acedata.cloud/grok",
        "surgeai": None,  # its page names no address
        "openrouter": "https://openrouter.ai/api/v1",
        "generic": None,
        "sandbox": None,
    }


@pytest.mark.parametrize(
    ("gateway", "host_and_port"),
    [
        (None, "api.x.ai:443"),
        ("xai", "api.x.ai:443"),
        ("xai-us", "us.api.x.ai:443"),
        ("nebula", "llm.ai-nebula.com:443"),
        ("theturbo", "gateway.theturbo.ai:443"),
        ("acedata", "api.acedata.cloud:443"),
        ("openrouter", "openrouter.ai:443"),
    ],
)
async def test_without_a_base_url_a_gateway_is_reached_by_tls_and_a_proxy_sees_no_key(
    gateway: str | None, host_and_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Endpoint(body("No.", status=403)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removesuffix("/v1"))
        async with host_on(None, gateway=gateway, model="grok-4.6", max_retries=0) as host:
            result = await host.ask()
    assert result.error["code"] == "connection"
    (request,) = proxy.requests
    assert (request.method, request.path, request.body) == ("CONNECT", host_and_port, None)
    assert "authorization" not in request.headers
    assert "xai-test-key-1234567890" not in str(request)
