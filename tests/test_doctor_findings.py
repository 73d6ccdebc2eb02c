"""What doctor makes of endpoints, ways to them, entries and installations, one finding at a time."""

import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import SecretStr

from grok_mcp.doctor.calls import check_calls
from grok_mcp.doctor.endpoint import check_endpoint
from grok_mcp.doctor.entries import HostEntry, ReadFile
from grok_mcp.doctor.findings import Check, all_ok
from grok_mcp.doctor.installation import check_extras, check_installation, check_redis
from grok_mcp.doctor.network import check_way
from grok_mcp.doctor.run import examine
from grok_mcp.doctor.settings import check_key
from grok_mcp.endpoint import Keys
from grok_mcp.hosts import HOSTS
from grok_mcp.settings import Settings
from tests.network.redis import RedisServer, redis  # noqa: F401 - a fixture
from tests.support.doctor import KEY, User, always, closed_port, entry, for_posts, healthy, without_path
from tests.support.endpoint import Endpoint, Reply, Request, body

pytestmark = pytest.mark.anyio


def settings(**values: Any) -> Settings:
    return Settings(**{"XAI_API_KEY": KEY, **values})


def looked_at(chosen: Settings) -> list[Check]:
    """The findings about the key."""
    return check_key(chosen, Keys(chosen))


async def asked(choose: Callable[[Request], Reply], **values: Any) -> dict[str, Check]:
    """The findings about an endpoint, by name."""
    async with Endpoint(choose=choose) as endpoint:
        chosen = settings(XAI_BASE_URL=endpoint.url, **values)
        checks, _ = await check_endpoint(chosen, Keys(chosen))
    return {check.name: check for check in checks}


def posts(path: str, reply: Reply) -> Callable[[Request], Reply]:
    return lambda request: reply if request.path.endswith(path) else healthy(request)


def gets(reply: Reply) -> Callable[[Request], Reply]:
    return lambda request: reply if request.method == "GET" else healthy(request)


@pytest.mark.parametrize(
    ("choose", "values", "name", "words"),
    [
        (without_path("/chat/completions"), {}, "dialects", "GROK_MCP_DIALECT=responses"),
        (posts("/chat/completions", body("", 500)), {}, "dialects", "--full"),
        (posts("/chat/completions", body("", 429)), {}, "dialects", "--full"),
        (gets(body("", 404)), {}, "model", "--full"),
        (healthy, {"search_dialect": "none"}, "search", "Unset GROK_MCP_SEARCH_DIALECT"),
    ],
)
async def test_what_is_not_as_it_could_be_says_what_to_set(
    choose: Callable[[Request], Reply], values: dict[str, Any], name: str, words: str
) -> None:
    found = (await asked(choose, **values))[name]
    assert found.ok and words in found.fix


@pytest.mark.parametrize(
    ("choose", "values", "name", "words"),
    [
        (without_path("/models"), {"gateway": "nebula"}, "model", "could not be looked up"),
        (gets(body({"team_blocked": True})), {"gateway": "xai"}, "key accepted", "team_blocked"),
        (for_posts(404, "not found"), {}, "dialects", "neither path"),
        (for_posts(404, "The model does not exist"), {}, "dialects", "chat_completions comes first"),
        (always(body("", 500)), {}, "endpoint", "HTTP 500"),
    ],
)
async def test_what_the_endpoint_says_is_told(
    choose: Callable[[Request], Reply], values: dict[str, Any], name: str, words: str
) -> None:
    assert words in (await asked(choose, **values))[name].message


async def test_an_effort_that_the_model_does_not_take_is_named() -> None:
    listed = gets(body({"data": [{"id": "grok-4.20-0309-reasoning"}]}))
    values = {"gateway": "xai", "model": "grok-4.20-0309-reasoning", "reasoning_effort": "low"}
    async with Endpoint(choose=listed) as endpoint:
        chosen = settings(XAI_BASE_URL=endpoint.url, **values)
        checks, _ = await check_endpoint(chosen, Keys(chosen))
    model, effort = (check for check in checks if check.name == "model")
    assert model.ok and not model.fix
    assert "left out" in effort.message
    assert effort.fix == "Unset GROK_MCP_REASONING_EFFORT."


@pytest.mark.parametrize(
    ("model", "ok", "words"),
    [(None, True, "grok-4.7 is one of 2"), ("grok-3", False, "the endpoint has no grok-3")],
    ids=["the newest that it lists", "a retired one, which is not served there"],
)
async def test_the_us_endpoint_s_own_list_decides_about_its_model(
    model: str | None, ok: bool, words: str
) -> None:
    listed = gets(body({"data": [{"id": "grok-4.6"}, {"id": "grok-4.7"}]}))
    found = (await asked(listed, gateway="xai-us", model=model))["model"]
    assert found.ok == ok and words in found.message
    assert ok or "use grok-4." in found.fix


@pytest.mark.parametrize(
    ("url", "variables", "name", "ok", "words"),
    [
        ("https://api.x.ai:99999/v1", {}, "base url", False, "port"),
        (
            "http://grok.example/v1",
            {"HTTP_PROXY": "http://127.0.0.1:{open}"},
            "base url",
            True,
            "in clear text",
        ),
        ("http://grok.example/v1", {"HTTP_PROXY": "http://127.0.0.1:{open}"}, "proxy", True, "which listens"),
        ("http://grok.example/v1", {"HTTP_PROXY": "ftp://127.0.0.1"}, "proxy", False, "no kind of proxy"),
        ("http://joe:secret@127.0.0.1:{open}/v1", {}, "base url", True, "http://127.0.0.1:"),
    ],
)
async def test_the_way_is_looked_at_before_anything_is_asked(
    url: str,
    variables: dict[str, str],
    name: str,
    ok: bool,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Endpoint(choose=healthy) as endpoint:
        port = endpoint.url.rpartition(":")[2].removesuffix("/v1")
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value.replace("{open}", port))
        checks = await check_way(url.replace("{open}", port))
    (found,) = [check for check in checks if check.name == name]
    assert found.ok is ok
    assert words in found.message
    assert not any("secret" in check.message for check in checks)


async def test_no_connection_is_the_last_finding() -> None:
    checks = await check_way(f"https://127.0.0.1:{closed_port()}/v1")
    assert [(check.name, check.ok) for check in checks] == [("base url", True), ("connect", False)]


def at(url: str) -> dict[str, Any]:
    """What makes of an entry one of a remote server."""
    return {"command": None, "args": None, "env": None, "url": url}


BY_PATH = {"command": sys.executable, "args": ["-m", "grok_mcp"]}
SERVERS = {"inputs": [{"id": "known", "type": "promptString"}]}


@pytest.mark.parametrize(
    ("host", "changes", "breaks", "words"),
    [
        ("cursor", {}, None, ""),
        ("cursor", {"env": {}}, False, "XAI_API_KEY, which is not set"),
        ("cursor", {"env": {"XAI_API_KEY": "${env:ELSEWHERE}"}}, False, "ELSEWHERE, which is not set"),
        ("cursor", {"env": {"XAI_API_KEY": "{env:ELSEWHERE}"}}, True, "does not replace {env:ELSEWHERE}"),
        ("cursor", {"env": {"XAI_API_KEY": "your-key-here"}}, True, "does not replace it"),
        ("cursor", {"env": {"XAI_API_KEY": "two words"}}, True, "in no key"),
        ("cursor", {"envFile": ".env", "env": {}}, None, ""),
        (
            "cursor",
            {"env": {"XAI_API_KEY": KEY, "GROK_MCP_MODLE": "x"}},
            False,
            "GROK_MCP_MODLE is not a setting",
        ),
        ("cursor", {"disabled": True}, False, "switched off"),
        ("cursor", {"command": "${workspaceFolder}/grok-mcp-server"}, None, ""),
        ("claude-code", {"env": {"XAI_API_KEY": "${XAI_API_KEY:-x}"}}, None, ""),
        ("claude-code", {"timeout": 20_000}, False, "too short"),
        ("claude-code", {"timeout": "600000"}, True, "not a number"),
        ("claude-desktop", {}, False, "short PATH"),
        ("claude-desktop", {"env": {}, **BY_PATH}, True, "the entry has no key"),
        ("cline", {}, False, "little time"),
        ("gemini-cli", {"env": {}}, True, "the entry has no key"),
        ("gemini-cli", {"env": {"XAI_API_KEY": "${ELSEWHERE}"}}, False, "ELSEWHERE, which is not set"),
        ("codex", {"env": {}}, True, "passes on only"),
        ("codex", {"env": {}, "env_vars": ["XAI_API_KEY"]}, False, "XAI_API_KEY, which is not set"),
        ("vscode", {"env": {"XAI_API_KEY": "${input:known}"}}, None, ""),
        ("vscode", {"env": {"XAI_API_KEY": "${input:unknown}"}}, True, "no such input"),
        ("cursor", {"command": "/no/grok-mcp-server"}, True, "/no/grok-mcp-server is not found"),
        ("cursor", {"command": "npx", "args": ["-y", "grok-mcp-server"]}, False, "not known to be this"),
        ("cursor", at("https://api.githubcopilot.com/mcp/"), False, "not known to be this server"),
        ("cursor", at("https://grok.example/mcp"), None, ""),
        ("gemini-cli", at("https://grok.example/mcp"), True, 'not read "url"'),
        ("gemini-cli", at("https://grok.example/sse"), None, ""),
        ("claude-desktop", at("https://grok.example/mcp"), None, ""),
    ],
)
async def test_an_entry_is_looked_at_as_its_host_does(
    host: str, changes: dict[str, Any], breaks: bool | None, words: str, tmp_path: Path
) -> None:
    user = User(tmp_path)
    file = ReadFile(HOSTS[host], tmp_path, SERVERS, {"PATH": str(user.programs)})
    found = list(HostEntry(file, "grok", entry(**changes)).check())
    assert [(not one.ok, words in one.message) for one in found] == (
        [] if breaks is None else [(breaks, True)]
    )
    assert all(one.fix and KEY not in one.message + one.fix for one in found)


@pytest.mark.parametrize(
    ("host", "key", "entry", "ours"),
    [
        ("zed", "Grok", {"command": "run"}, False),
        ("opencode", "mine", {"command": ["python", "-m", "grok_mcp"]}, True),
        ("cursor", "groking", {"command": "grok-mcpd", "args": ["x"]}, False),
    ],
)
async def test_our_entries_are_known_by_what_they_start(
    host: str, key: str, entry: dict[str, Any], ours: bool
) -> None:
    assert HostEntry(ReadFile(HOSTS[host], Path(), {}, {}), key, entry).is_ours is ours


async def test_a_strangers_package_beside_ours_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all_ok(check_installation())
    (tmp_path / "grok_mcp-9.dist-info").mkdir()
    (tmp_path / "grok_mcp-9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: grok-mcp\nVersion: 9\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (fault,) = [check for check in check_installation() if not check.ok]
    assert fault.fix.startswith("Run: pip uninstall grok-mcp; ")


async def test_telemetry_is_told_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    assert check_extras() == []
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    (found,) = check_extras()
    assert (found.ok, "OTEL_TRACES_EXPORTER" in found.message) == (True, True)


async def test_a_redis_that_answers_is_fine(redis: RedisServer) -> None:  # noqa: F811 - the fixture
    assert [check.ok for check in await check_redis(SecretStr(redis.url))] == [True]


async def test_an_address_of_redis_that_can_not_be_read_is_named() -> None:
    (fault,) = await check_redis(SecretStr("redis://host:port/0"))
    assert "can't be read" in fault.message


async def test_a_key_that_is_good_by_luck_is_named() -> None:
    good, doubtful = looked_at(settings(XAI_API_KEY="${XAI_API_KEY}", api_key=KEY))
    assert good.ok and not good.fix
    assert "the key comes from GROK_MCP_API_KEY" in doubtful.message and doubtful.ok


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\xfd", "not text"),
        ("xai-clé".encode("latin-1"), "not text"),
        (b"xai-0123\0", "null"),
        (b" \n", "is empty"),
        (b"x" * 70_000, "larger than 64 KiB"),
        (b"{env:XAI_API_KEY}", "placeholder"),
    ],
)
async def test_a_key_file_without_a_key_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    (fault,) = looked_at(settings(XAI_API_KEY=None, api_key_file=path))
    assert not fault.ok and words in fault.message


async def test_a_key_file_that_does_not_answer_is_named_in_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a dead network mount."""
    chosen = settings(XAI_API_KEY=None, api_key_file=tmp_path / "key")
    monkeypatch.setattr("grok_mcp.endpoint.keys.START_S", 0.05)
    hanging = Event()
    try:
        keys = Keys(chosen, read=lambda path: ((KEY,), None) if hanging.wait(60) else ((), "x"))
        (fault,) = check_key(chosen, keys)
    finally:
        hanging.set()
    assert not fault.ok and "did not answer" in fault.message


async def test_a_call_that_fails_is_told_by_its_code() -> None:
    async with Endpoint(choose=for_posts(429, "slow down")) as endpoint:
        checks = await check_calls(settings(XAI_BASE_URL=endpoint.url, max_retries=0))
    *calls, cost = checks
    assert all(not check.ok and "[rate_limited]" in check.message for check in calls)
    assert "unknown" in cost.message


async def test_everything_is_told_in_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(tmp_path)
    for name, value in {"HOME": user.home, "USERPROFILE": user.home, "APPDATA": user.home}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(user.folder)
    user.file(".cursor/mcp.json", {"mcpServers": {"grok": entry(**BY_PATH)}})
    told: list[Check] = []
    async with Endpoint(choose=healthy) as endpoint:
        monkeypatch.setenv("XAI_BASE_URL", endpoint.url)
        monkeypatch.setenv("XAI_API_KEY", KEY)
        monkeypatch.setenv("GROK_MCP_REDIS_URL", "redis://host:port/0")
        checks = await examine(told.append, offline=False, full=False)
    assert told == checks
    names = [check.name for check in checks]
    assert names.index("endpoint") < names.index("redis") < names.index("host cursor")
