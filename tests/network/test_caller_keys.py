"""Keys that callers send for the endpoint: used, apart from the server's own, and shown to nobody."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from dirty_equals import IsPartialDict, IsStr

from grok_mcp.serving.http.token_lines import new_token
from tests.network.postgres import cluster, postgres
from tests.network.redis import redis
from tests.network.server import in_process, modern
from tests.support.endpoint import Endpoint, Request, body, chat

__all__ = ["cluster", "postgres", "redis"]

pytestmark = pytest.mark.anyio

OURS = "xai-the-key-of-the-operator-1234567890"
HERS, OTHER = "xai-the-key-of-ann-herself-1234567890", "xai-another-key-of-ann-1234567890"
REFUSED = body({"code": "unauthenticated:bad-credentials", "error": f"No such key: {HERS}"}, status=401)


class Team(NamedTuple):
    """A server with two callers, ann and bob."""

    http: httpx2.AsyncClient
    endpoint: Endpoint
    tokens: dict[str, str]

    async def rpc(self, method: str, *, by: str, key: str | None = None, **params: Any) -> dict[str, Any]:
        request = modern(2, method, **params)
        request["headers"]["Authorization"] = f"Bearer {self.tokens[by]}"
        if method == "resources/read":
            request["headers"]["Mcp-Name"] = params["uri"]
        if key is not None:
            request["headers"]["X-Grok-Api-Key"] = key
        answer: dict[str, Any] = (await self.http.post("/mcp", **request)).json()
        return answer

    async def ask(
        self, prompt: str, *, by: str = "ann", key: str | None = None, **others: Any
    ) -> dict[str, Any]:
        arguments = {"prompt": prompt, **others}
        answer = await self.rpc("tools/call", by=by, key=key, name="ask_grok", arguments=arguments)
        result: dict[str, Any] = answer["result"]
        return result

    @property
    def sent(self) -> list[str]:
        return [
            request.headers["authorization"].removeprefix("Bearer ") for request in self.endpoint.requests
        ]


def choose(request: Request) -> Any:
    return chat("Hi.", usage={"prompt_tokens": 5, "completion_tokens": 2, "cost_in_usd_ticks": 7_000_000})


@asynccontextmanager
async def team(tmp_path: Path, how: str, reply: Any = choose, **settings: Any) -> AsyncIterator[Team]:
    made = {name: new_token(name) for name in ("ann", "bob")}
    (tmp_path / "tokens").write_text("".join(f"{line}\n" for _, line in made.values()))
    settings = {"XAI_API_KEY": OURS, "caller_keys": how, "token_file": tmp_path / "tokens", **settings}
    async with Endpoint(choose=reply) as endpoint:
        with in_process(XAI_BASE_URL=endpoint.url, **settings) as url:
            async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
                yield Team(http, endpoint, {name: token for name, (token, _) in made.items()})


def code(result: dict[str, Any]) -> str | None:
    failure: dict[str, Any] = result["_meta"].get("grok-mcp/error", {})
    return failure.get("code")


ROWS = {
    "off, none": ("off", None, OURS, None),
    "off, one": ("off", HERS, None, "This server takes no keys of callers"),
    "allowed, none": ("allowed", None, OURS, None),
    "allowed, one": ("allowed", HERS, HERS, None),
    "allowed, in quotes": ("allowed", f'"{HERS}"', HERS, None),
    "allowed, a placeholder": ("allowed", "${GROK_KEY}", None, "holds a placeholder"),
    "allowed, empty": ("allowed", "", None, "The header X-Grok-Api-Key is empty"),
    "allowed, endless": ("allowed", "k" * 5000, None, "more than 4096 characters"),
    "required, none": ("required", None, None, "This server uses the key of each caller"),
    "required, one": ("required", HERS, HERS, None),
}


@pytest.mark.parametrize(("how", "key", "sent", "refusal"), ROWS.values(), ids=list(ROWS))
async def test_whose_key_goes_out(
    how: str, key: str | None, sent: str | None, refusal: str | None, tmp_path: Path
) -> None:
    async with team(tmp_path, how) as server:
        result = await server.ask("Hi?", key=key)
    assert server.sent == ([sent] if sent else [])
    assert code(result) == ("configuration" if refusal else None)
    assert (refusal or "Hi.") in result["content"][0]["text"]


async def test_a_server_without_a_key_of_its_own_serves_callers_with_theirs(tmp_path: Path) -> None:
    async with team(tmp_path, "required", XAI_API_KEY=None) as server:
        ready = await server.http.get("/readyz")
        result = await server.ask("Hi?", key=HERS)
        models = await server.rpc("resources/read", by="ann", key=HERS, uri="grok://models")
    assert (ready.status_code, ready.json()) == (200, IsPartialDict(ready=True, key="callers"))
    assert result["content"][0]["text"].startswith("Hi.")
    assert "grok-4.7" in json.dumps(models["result"])
    assert server.sent == [HERS]


@pytest.fixture(params=[False, True], ids=["in this process", "in Redis and Postgres"])
def shared(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of where a server keeps what it has to keep."""
    if not request.param:
        return {}
    redis, postgres = request.getfixturevalue("redis"), request.getfixturevalue("postgres")
    return {"redis_url": redis.url, "ledger_url": postgres.url}


async def test_conversations_and_answers_are_apart_by_key(tmp_path: Path, shared: dict[str, Any]) -> None:
    async with team(tmp_path, "allowed", max_result_chars=1000, **shared) as server:
        handle = (await server.ask("Hi?", key=HERS))["_meta"]["grok-mcp/answer"]["conversation_id"]
        others = [await server.ask("And?", key=key, conversation_id=handle) for key in (None, OTHER)]
        own = await server.ask("And?", key=HERS, conversation_id=handle)
    assert [code(result) for result in others] == ["conversation_not_found"] * 2
    assert code(own) is None
    assert server.sent == [HERS, HERS]


async def test_the_same_question_with_two_keys_is_two_calls(tmp_path: Path) -> None:
    async with team(tmp_path, "allowed") as server:
        for key in (None, HERS, OTHER):
            await server.ask("Hi?", key=key)
    assert server.sent == [OURS, HERS, OTHER]


async def test_what_callers_pay_themselves_counts_for_no_budget_of_the_server(
    tmp_path: Path, shared: dict[str, Any]
) -> None:
    async with team(tmp_path, "allowed", budget_usd_per_day="0.001", **shared) as server:
        paid = [await server.ask(f"{number}?", key=HERS) for number in range(3)]
        first, second, third = [await server.ask(f"{number}?") for number in range(3)]
        told, ours = [
            await server.rpc("resources/read", by="ann", key=key, uri="grok://usage") for key in (HERS, None)
        ]
    assert [code(result) for result in (*paid, first, third)] == [None, None, None, None, "budget"]
    assert code(second) is None or code(second) == "budget"
    usage = [json.loads(one["result"]["contents"][0]["text"]) for one in (told, ours)]
    assert [(one["caller"], one["all_time"]["calls"]) for one in usage] == [("ann (own key)", 3), ("ann", 3)]


async def test_a_refused_key_is_the_callers_affair_and_shown_to_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    def reply(request: Request) -> Any:
        return REFUSED if request.headers["authorization"].endswith(HERS) else choose(request)

    async with team(tmp_path, "allowed", reply, log_level="debug") as server:
        refused = await server.ask("Hi?", key=HERS)
        ready = await server.http.get("/readyz")
        others = await server.ask("Hi?", by="bob")
    text = refused["content"][0]["text"]
    assert code(refused) == "authentication"
    assert "Check the key in the header X-Grok-Api-Key" in text
    assert server.sent.count(HERS) == 1, "no other key is tried in its place"
    assert ready.json() == IsPartialDict(ready=True, key="works") and code(others) is None
    shown = caplog.text + text + ready.text + json.dumps(refused)
    assert HERS not in shown and HERS[4:20] not in shown


async def test_nothing_of_the_operators_account_goes_with_a_callers_key(tmp_path: Path) -> None:
    settings = {"gateway": "xai", "collections": "collection_1", "safety_key": "a secret of this deployment"}
    async with team(tmp_path, "allowed", **settings) as server:
        for key in (HERS, None):
            await server.ask("Hi?", key=key)
    hers, ours = [request.body for request in server.endpoint.requests]
    assert "safety_identifier" not in hers and "collection_1" not in json.dumps(hers)
    assert ours["safety_identifier"] == IsStr() and "collection_1" in json.dumps(ours)


async def test_browsers_may_send_the_header(tmp_path: Path) -> None:
    async with team(tmp_path, "allowed", allowed_origins="https://a.example") as server:
        answer = await server.http.options(
            "/mcp",
            headers={
                "Origin": "https://a.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-grok-api-key",
            },
        )
    assert answer.status_code == 200
    assert "x-grok-api-key" in answer.headers["access-control-allow-headers"].lower()
