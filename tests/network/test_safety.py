"""What stands for a caller at xAI: a keyed hash, the same in every process, and only where it is wanted."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grok_mcp.serving.http.token_lines import new_token
from tests.network.server import in_process, modern
from tests.support.endpoint import Endpoint, Reply, Request, body, chat

pytestmark = pytest.mark.anyio

KEY = "a secret of this deployment"


async def identifiers(
    file: Path, tokens: Mapping[str, str], *callers: str, reply: Reply | None = None, **settings: Any
) -> list[str | None]:
    """What one process sends for calls of these callers."""
    async with Endpoint(reply or chat("Hi.")) as endpoint:
        settings = {"gateway": "xai", "token_file": file, **settings}
        with in_process(XAI_BASE_URL=endpoint.url, **settings) as url:
            async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
                for caller in callers:
                    request = modern(2, "tools/call", name="ask_grok", arguments={"prompt": f"Hi, {caller}"})
                    if caller in tokens:
                        request["headers"]["Authorization"] = f"Bearer {tokens[caller]}"
                    answer = (await http.post("/mcp", **request)).json()
                    assert not answer["result"].get("isError"), answer
    return [request.body.get("safety_identifier") for request in endpoint.requests]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    tokens, lines = {}, []
    for name in ("ann", "bob", "local"):
        tokens[name], line = new_token(name)
        lines.append(line)
    (tmp_path / "tokens").write_text("\n".join(lines))
    return tmp_path / "tokens", tokens


async def test_each_caller_has_one_of_their_own_in_every_process(made: tuple[Path, dict[str, str]]) -> None:
    first = await identifiers(*made, "ann", "bob", "ann", "local", safety_key=KEY)
    again = await identifiers(*made, "bob", safety_key=KEY, XAI_API_KEY="xai-another-key-0987654321")
    other = await identifiers(*made, "bob", safety_key=f"another {KEY}")
    ann, bob, ann_again, local = first
    assert ann == ann_again and again == [bob]
    assert len({ann, bob, local, *other}) == 4, "a caller named local is one too"
    assert all(re.fullmatch(r"[0-9a-f]{64}", str(one)) for one in first)


async def test_without_a_key_of_its_own_the_hash_is_keyed_by_the_api_key(
    made: tuple[Path, dict[str, str]],
) -> None:
    one, again, other = [
        await identifiers(*made, "ann", XAI_API_KEY=key)
        for key in ("xai-one-key-1234567890", "xai-one-key-1234567890", "xai-two-key-1234567890")
    ]
    assert one == again != other


@pytest.mark.parametrize(
    "settings",
    [
        {"safety_identifier": "off"},
        {"gateway": "nebula"},
        {"gateway": "openrouter"},
        {"gateway": "generic"},
        {"token_file": None},
    ],
    ids=["switched off", "Nebula", "OpenRouter", "another endpoint", "nobody has to say who they are"],
)
async def test_nothing_stands_for_anybody_where_it_is_not_wanted(
    settings: dict[str, Any], made: tuple[Path, dict[str, str]]
) -> None:
    assert await identifiers(*made, "ann", safety_key=KEY, **settings) == [None]


async def test_it_goes_out_with_chat_completions_too(made: tuple[Path, dict[str, str]]) -> None:
    (by_chat,) = await identifiers(*made, "ann", dialect="chat_completions", safety_key=KEY)
    (by_responses,) = await identifiers(*made, "ann", safety_key=KEY)
    assert by_chat == by_responses is not None


async def test_an_endpoint_that_refuses_it_is_asked_without(made: tuple[Path, dict[str, str]]) -> None:
    file, tokens = made
    refusal = body({"error": "Argument not supported on this model: safetyIdentifier"}, status=400)

    def choose(request: Request) -> Reply:
        return refusal if "safety_identifier" in request.body else chat("Hi.")

    async with Endpoint(choose=choose) as endpoint:
        with in_process(XAI_BASE_URL=endpoint.url, gateway="xai", token_file=file) as url:
            request = modern(2, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})
            request["headers"]["Authorization"] = f"Bearer {tokens['ann']}"
            async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
                answer = (await http.post("/mcp", **request)).json()["result"]
    assert len(endpoint.requests) == 2
    assert "safety_identifier was left out" in answer["content"][0]["text"]
