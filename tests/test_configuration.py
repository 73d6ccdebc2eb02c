"""`grok://config`: what is in effect and where it is from, to whom, and never a secret."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client

from grok_mcp import __version__
from grok_mcp.environment import load_settings
from grok_mcp.gateways import GATEWAYS
from grok_mcp.pipeline.grok import Grok
from grok_mcp.server.server import build_server
from grok_mcp.settings import Settings
from tests.network.server import in_process, modern

pytestmark = pytest.mark.anyio

KEY = "xai-very-secret-0123456789"
SECRETS = ("very-secret", "hunter2", "of-the-query", "of-the-user", "sk-in-a-name")


async def shown(settings: Settings) -> dict[str, Any]:
    """The document, as a host on stdio reads it; nothing secret is in it."""
    grok = Grok(settings)
    try:
        async with Client(build_server(grok)) as client:
            (content,) = (await client.read_resource("grok://config")).contents
    finally:
        await grok.aclose()
    text = getattr(content, "text", "")
    assert [secret for secret in SECRETS if secret in text] == []
    found: dict[str, Any] = json.loads(text)
    return found


async def test_every_setting_is_shown_with_where_it_is_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_text("GROK_MCP_IDLE_TIMEOUT=30\nGROK_MCP_TIMEOUT=1\n")
    monkeypatch.setenv("GROK_MCP_ENV_FILE", str(env_file))
    monkeypatch.setenv("grok_mcp_timeout", "60")
    monkeypatch.setenv("GROK_MCP_BASE_URL", "https://openrouter.ai/api/v1")
    monkeypatch.setenv("GROK_MCP_MODEL", "")
    monkeypatch.setenv("XAI_API_KEY", KEY)
    document = await shown(load_settings().model_copy(update={"max_retries": 5}))
    settings = document["settings"]
    assert list(settings) == list(Settings.model_fields)
    assert settings["timeout"] == {"value": 60.0, "from": "GROK_MCP_TIMEOUT"}
    assert settings["idle_timeout"] == {"value": 30.0, "from": "the file of GROK_MCP_ENV_FILE"}
    assert settings["base_url"] == {"value": "https://openrouter.ai/api/v1", "from": "GROK_MCP_BASE_URL"}
    assert settings["connect_timeout"] == {"value": 10.0, "from": "default"}
    assert settings["model"] == {"value": None, "from": "default"}
    assert settings["xai_api_key"] == {"value": "***", "from": "XAI_API_KEY"}
    assert document["key"] == {"usable": True, "from": "XAI_API_KEY"}
    assert document["model"] == "x-ai/grok-4.7"
    assert document["server"]["version"] == __version__ and document["server"]["mcp"]


async def test_a_setting_of_a_program_that_builds_its_own_is_said_to_be_its_own() -> None:
    assert (await shown(Settings(timeout=5)))["settings"]["timeout"] == {"value": 5.0, "from": "program"}


async def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    given: dict[str, Any] = {
        "XAI_API_KEY": KEY,
        "api_key": KEY,
        "XAI_BASE_URL": "https://of-the-user:hunter2@gateway.example:8443/v1?key=of-the-query&v=2",
        "model": "sk-in-a-name-0123456789",
        "redis_url": "rediss://:hunter2@redis.example:6380/1",
        "ledger_url": "postgresql://grok:hunter2@one.example:5432,two.example/db?sslpassword=hunter2",
        "token_file": tokens,
        "image_roots": (tmp_path,),
        "oauth_issuer": "https://of-the-user:hunter2@login.example",
        "public_url": "https://grok.example.org/mcp",
    }
    document = await shown(Settings(**given))
    settings = {name: one["value"] for name, one in document["settings"].items()}
    address = "https://***@gateway.example:8443/v1?key=***&v=***"
    assert settings["base_url"] == document["gateway"]["address"] == address
    assert settings["xai_api_key"] == settings["api_key"] == "***"
    assert settings["redis_url"] == "rediss://***@redis.example:6380/1"
    assert settings["ledger_url"] == "postgresql://***@one.example:5432,two.example/db?sslpassword=***"
    assert settings["oauth_issuer"] == "https://***@login.example"
    assert settings["public_url"] == "https://grok.example.org/mcp"
    assert settings["token_file"] == str(tokens) and settings["image_roots"] == [str(tmp_path)]


@pytest.mark.parametrize(
    ("settings", "found_by", "name"),
    [
        ({}, "default", "xai"),
        ({"gateway": "nebula"}, "program", "nebula"),
        ({"XAI_BASE_URL": "https://api.acedata.cloud/grok"}, "the host of program", "acedata"),
    ],
    ids=["default", "named", "by address"],
)
async def test_the_gateway_in_effect_is_shown_with_its_facts(
    settings: dict[str, Any], found_by: str, name: str
) -> None:
    gateway = (await shown(Settings(**settings)))["gateway"]
    known = GATEWAYS[name]
    assert (gateway["name"], gateway["found_by"], gateway["address"]) == (name, found_by, known.base_url)
    assert gateway["search_dialects"] == list(known.search_dialects)
    assert gateway["default_model"] == known.default_model
    assert "own_key" not in gateway


async def test_a_missing_key_is_said_to_be_missing_and_why() -> None:
    placeholder: dict[str, Any] = {"XAI_API_KEY": "${XAI_API_KEY}"}
    assert (await shown(Settings(**placeholder)))["key"] == {
        "usable": False,
        "reason": "XAI_API_KEY holds a placeholder that the host did not replace by the key",
    }
    sandbox = await shown(Settings(gateway="sandbox"))
    assert sandbox["key"] == {"usable": True, "from": "the sandbox takes any"}
    assert sandbox["gateway"]["address"].startswith("a free port")


@pytest.mark.parametrize("transport", ["stdio", "http"], ids=["any ASGI server", "ours"])
def test_a_caller_on_the_network_sees_only_what_its_own_calls_depend_on(
    transport: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "XAI_BASE_URL": "https://inside.example/v1",
        "image_roots": (tmp_path,),
        "redis_url": None,
        "timeout": 77,
        "budget_usd_per_day": "0.5",
        "transport": transport,
    }
    with in_process(**settings) as url:
        response = httpx2.post(f"{url}/mcp", **read_config())
    text = response.json()["result"]["contents"][0]["text"]
    document = json.loads(text)
    assert document["settings"] == {
        "model": None,
        "reasoning_effort": None,
        "dialect": None,
        "search_dialect": None,
        "timeout": 77.0,
        "idle_timeout": 120.0,
        "max_retries": 2,
        "progress": "status",
        "results": "text",
        "wait": "auto",
        "max_result_chars": 40000,
        "max_body_bytes": 32 * 1024 * 1024,
        "budget_usd_per_day": 0.5,
        "call_limit_usd": None,
        "guidelines": [],
        "caller_keys": "off",
    }
    assert set(document) == {"server", "gateway", "model", "settings", "note"}
    assert document["gateway"] == {"name": "generic", "title": "The endpoint"}
    for private in ("inside.example", str(tmp_path), "XAI_", "GROK_MCP_", "xai-test"):
        assert private not in text


def read_config() -> dict[str, Any]:
    request = modern(1, "resources/read", uri="grok://config")
    request["headers"]["Mcp-Name"] = "grok://config"
    return request
