"""Callers with tokens on one server: each call of one is not behind all those of another."""

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from grok_mcp.pipeline.grok import Grok
from grok_mcp.serving.http.token_lines import new_token
from tests.network.server import in_process, modern
from tests.support.endpoint import Endpoint, Reply, Request, chat
from tests.support.pace import within

pytestmark = pytest.mark.anyio

ALICE = 40
"""Calls of hers. Each is in flight twice: the call of a tool, and its request that has a place or waits."""


@pytest.mark.parametrize("places", [1, 2, 5])
async def test_a_caller_who_comes_last_gets_the_next_place_upstream(places: int, tmp_path: Path) -> None:
    made = {name: new_token(name) for name in ("alice", "bob")}
    file = tmp_path / "tokens"
    file.write_text("".join(f"{line}\n" for _, line in made.values()))
    hers = max(1, places - 1)  # one is kept for those who have none
    reached: list[str] = []
    release = anyio.Event()
    groks: list[Grok] = []

    def choose(request: Request) -> Reply:
        reached.append(request.body["messages"][-1]["content"].split()[0])
        reply = chat("Text.")
        reply.hold, reply.release = 0, release
        return reply

    async def ask(caller: str, number: int = 1) -> None:
        prompt = f"{caller} {number}"  # the same call twice would be one
        sent = modern(1, "tools/call", name="ask_grok", arguments={"prompt": prompt})
        headers = {**sent["headers"], "Authorization": f"Bearer {made[caller][0]}"}
        response = await client.post("/mcp", headers=headers, json=sent["json"])
        assert response.json()["result"]["isError"] is False, response.text

    async with Endpoint(choose=choose) as endpoint:
        settings: dict[str, Any] = {
            "token_file": file,
            "max_concurrency": places,
            "XAI_BASE_URL": endpoint.url,
        }
        with in_process(prepare=groks.append, **settings) as url:
            async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
                with within(60):
                    async with anyio.create_task_group() as group:
                        for number in range(ALICE):
                            group.start_soon(ask, "alice", number)
                        while len(reached) < hers or len(groks[0].in_flight) < 2 * ALICE:
                            await anyio.sleep(0.01)
                        group.start_soon(ask, "bob")
                        while len(groks[0].in_flight) < 2 * (ALICE + 1):
                            await anyio.sleep(0.01)
                        while places > 1 and "bob" not in reached:  # he need not wait for anybody's end
                            await anyio.sleep(0.01)
                        release.set()
    assert reached[:hers] == ["alice"] * hers
    last = hers if places > 1 else hers + 1  # a place alone has to become free
    assert reached.index("bob") <= last, "alice has had her turn at most once more"
    assert len(reached) == ALICE + 1
