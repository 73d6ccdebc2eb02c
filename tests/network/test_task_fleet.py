"""Tasks on two server processes that share a Redis, behind nginx: any of them answers for each."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from dirty_equals import IsPartialDict, IsStr

from grok_mcp.serving.http.token_lines import new_token
from tests.network.fleet import needs_a_fleet, nginx
from tests.network.redis import RedisServer
from tests.network.server import Served, serving
from tests.network.tasks import INTERNAL, UNKNOWN, Json, TaskClient, TaskError
from tests.support.endpoint import Endpoint, Reply, Request, chat
from tests.support.ledger import query
from tests.support.pace import until, within

pytestmark = [pytest.mark.anyio, needs_a_fleet]

CALLERS = ("ann", "bob")
IN_A_ROW = 36
AT_ONCE = 6
LATE_MS = 50
"""How long Redis takes with what is written to it, where a test wants it slow."""


@dataclass
class Fleet:
    """Two processes, and who talks to them."""

    url: str
    workers: list[Served]
    redis: RedisServer
    endpoint: Endpoint
    tokens: dict[str, str]

    def through_nginx(self, caller: str = "ann") -> TaskClient:
        return TaskClient(self.url, self.tokens[caller])

    def at(self, worker: int, caller: str = "ann") -> TaskClient:
        return TaskClient(self.workers[worker].url, self.tokens[caller])

    @property
    def asked(self) -> Counter[str]:
        """How often the endpoint got each question, which is the model that it asks for."""
        return Counter(request.body["model"] for request in self.endpoint.requests if request.body)


@asynccontextmanager
async def fleet(
    folder: Path, *replies: Reply, choose: Callable[[Request], Reply] | None = None
) -> AsyncIterator[Fleet]:
    made = {name: new_token(name) for name in CALLERS}
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{line}\n" for _, line in made.values()))
    async with Endpoint(*replies, choose=choose) as endpoint:
        with ExitStack() as stack:
            redis = stack.enter_context(RedisServer())
            workers = [
                stack.enter_context(
                    serving(
                        endpoint.url,
                        GROK_MCP_REDIS_URL=redis.url,
                        GROK_MCP_TOKEN_FILE=str(tokens),
                        GROK_MCP_GRACE="0.1",
                    )
                )
                for _ in range(2)
            ]
            url = stack.enter_context(nginx(*(worker.port for worker in workers)))
            yield Fleet(url, workers, redis, endpoint, {name: token for name, (token, _) in made.items()})


def held(*texts: str) -> Reply:
    """An answer that stops behind the first of two texts."""
    return Reply(chat(*(texts or ("It is ", "blue."))).pieces, hold=1)


async def test_whichever_process_is_asked_has_the_task_and_in_the_end_the_whole_result(
    tmp_path: Path,
) -> None:
    reply = held()
    async with fleet(tmp_path, reply) as fleet_:
        client = fleet_.through_nginx()
        task = await client.call()
        assert task == IsPartialDict(
            resultType="task", status="working", taskId=IsStr(regex=r"ans_[\w-]{22}")
        )
        states = [await one.get(task["taskId"]) for one in (client, client, fleet_.at(0), fleet_.at(1))]
        for one in (client, client, fleet_.at(0), fleet_.at(1)):
            assert await one.update(task["taskId"]) == IsPartialDict(resultType="complete")
        reply.release.set()
        ends = [await one.end_of(task["taskId"]) for one in (client, client, fleet_.at(0), fleet_.at(1))]
    for state in states:
        assert state == IsPartialDict(
            resultType="complete", status="working", taskId=task["taskId"], createdAt=task["createdAt"]
        )
        assert state["statusMessage"] == "writing, 6 characters: …It is"
    results = [end["result"] for end in ends]
    assert all(end["status"] == "completed" for end in ends)
    assert results == [results[0]] * 4
    assert results[0] == IsPartialDict(resultType="complete", isError=False)
    assert results[0]["content"][0]["text"].startswith("It is blue.\n\n")
    assert results[0]["_meta"]["grok-mcp/answer"] == IsPartialDict(
        finish_reason="stop", conversation_id=IsStr()
    )
    assert fleet_.asked.total() == 1


async def test_a_failure_is_the_same_result_at_each_process(tmp_path: Path) -> None:
    reply = Reply((b'data: {"error": {"message": "No such thing", "code": 400}}\n\n',), hold=0)
    async with fleet(tmp_path, reply) as fleet_:
        task = await fleet_.at(0).call()
        reply.release.set()
        ends = [await fleet_.at(worker).end_of(task["taskId"]) for worker in (1, 0)]
    assert ends[0]["result"] == ends[1]["result"] == IsPartialDict(isError=True, resultType="complete")
    assert [end["status"] for end in ends] == ["completed", "completed"]


@pytest.mark.parametrize("worker", [0, 1], ids=["its own process", "the other process"])
async def test_a_cancelled_task_ends_upstream_in_a_second_wherever_that_is_asked_for(
    tmp_path: Path, worker: int
) -> None:
    async with fleet(tmp_path, held()) as fleet_:
        task = await fleet_.at(0).call()
        assert await fleet_.at(worker).cancel(task["taskId"]) == IsPartialDict(resultType="complete")
        with within(1.5):
            await fleet_.endpoint.closed.wait()
        ends = [await fleet_.at(one).end_of(task["taskId"], 3) for one in (0, 1)]
        again = await fleet_.at(1).cancel(task["taskId"])
        await until(lambda: bool(query("SELECT * FROM calls")))
    for end in ends:
        assert end == IsPartialDict(status="cancelled", statusMessage=IsStr()) and "result" not in end
    assert again == IsPartialDict(resultType="complete")
    (row,) = query("SELECT error, caller, finish_reason FROM calls")
    assert row == {"error": "cancelled", "caller": "ann", "finish_reason": None}
    assert not query("SELECT * FROM in_flight") and fleet_.asked.total() == 1


async def test_a_task_that_has_ended_stays_as_it_is_when_it_is_cancelled(tmp_path: Path) -> None:
    reply = held()
    async with fleet(tmp_path, reply) as fleet_:
        task = await fleet_.at(0).call()
        reply.release.set()
        before = await fleet_.at(1).end_of(task["taskId"])
        for worker in (0, 1):
            assert await fleet_.at(worker).cancel(task["taskId"]) == IsPartialDict(resultType="complete")
            assert await fleet_.at(worker).get(task["taskId"]) == IsPartialDict(
                status="completed", result=before["result"]
            )


async def test_the_task_of_another_caller_is_no_other_than_an_unknown_one(tmp_path: Path) -> None:
    reply = held()
    async with fleet(tmp_path, reply) as fleet_:
        running = (await fleet_.at(0).call())["taskId"]
        unknown = running[:-4] + "AAAA"
        for released in (False, True):
            if released:
                reply.release.set()
                await fleet_.at(0).end_of(running)
            for worker in (0, 1):
                bob = fleet_.at(worker, "bob")
                for ask in (bob.get, bob.update, bob.cancel):
                    refusals = [await refusal_of(ask(task_id)) for task_id in (running, unknown)]
                    assert [refusal.code for refusal in refusals] == [UNKNOWN, UNKNOWN]
                    words = [
                        r.message.replace(t, "ID") for r, t in zip(refusals, (running, unknown), strict=True)
                    ]
                    assert words[0] == words[1]
                async with bob.listening(running, unknown) as messages:
                    seen = [message async for message in messages]
                assert acknowledged(seen[0]) == [] and len(seen) == 2, (
                    "it ends, since nothing is left to tell"
                )
                assert seen[1]["result"]["resultType"] == "complete"
                async with fleet_.at(worker).listening(running, unknown) as messages:
                    assert acknowledged(await anext(messages)) == [running]
        assert (await fleet_.at(1).get(running))["status"] == "completed", "it was not cancelled"


async def refusal_of(asking: Awaitable[Json]) -> TaskError:
    with pytest.raises(TaskError) as found:
        await asking
    return found.value


def acknowledged(message: Json) -> list[str]:
    """The tasks that a stream tells of."""
    assert message["method"] == "notifications/subscriptions/acknowledged", message
    ids: list[str] = message["params"]["notifications"].get("taskIds", [])
    return ids


async def test_the_process_that_does_not_run_a_task_tells_whoever_listens_how_it_goes_on(
    tmp_path: Path,
) -> None:
    replies = {"m1": held(), "m2": held()}
    async with fleet(tmp_path, choose=lambda request: replies[request.body["model"]]) as fleet_:
        one, two = [(await fleet_.at(0).call(model=name))["taskId"] for name in replies]
        seen: list[Json] = []
        with within(30):
            async with fleet_.at(1).listening(one, two) as messages:
                async for message in messages:
                    seen.append(message)
                    if len(seen) == 3:
                        replies["m2"].release.set()
                    if len(seen) == 4:
                        await fleet_.at(1).cancel(one)
    assert acknowledged(seen[0]) == [one, two]
    told = [message["params"] for message in seen[1:-1]]
    assert [(note["taskId"], note["status"]) for note in told] == [
        (one, "working"),
        (two, "working"),
        (two, "completed"),
        (one, "cancelled"),
    ]
    assert told[2]["result"]["content"][0]["text"].startswith("It is blue.")
    assert seen[-1]["result"]["resultType"] == "complete"


async def test_no_task_is_returned_before_the_other_process_has_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, choose=lambda request: held()) as fleet_:
        found: list[Json] = []

        async def ask(number: int) -> None:
            for round_ in range(IN_A_ROW // AT_ONCE):
                here, there = (number + round_) % 2, (number + round_ + 1) % 2
                fleet_.redis.ask("CLIENT", "PAUSE", LATE_MS, "WRITE")
                task = await fleet_.at(here).call(prompt=f"{number} {round_}")
                found.append(await fleet_.at(there).get(task["taskId"]))

        with within(60):
            async with anyio.create_task_group() as group:
                for number in range(AT_ONCE):
                    group.start_soon(ask, number)
    assert [task["status"] for task in found] == ["working"] * IN_A_ROW


async def test_the_same_call_is_joined_wherever_it_runs_until_somebody_has_its_answer(tmp_path: Path) -> None:
    replies: list[Reply] = []

    def choose(request: Request) -> Reply:
        replies.append(held())
        return replies[-1]

    async with fleet(tmp_path, choose=choose) as fleet_:
        first = (await fleet_.at(0).call())["taskId"]
        again = (await fleet_.at(0).call())["taskId"]
        other = (await fleet_.at(1).call())["taskId"]
        assert first == again == other
        await until(lambda: len(replies) == 1)
        replies[0].release.set()
        end = await fleet_.at(1).end_of(first)
        anew = [(await fleet_.at(worker).call())["taskId"] for worker in (0, 1)]
        assert anew[0] == anew[1] != first
        await until(lambda: len(replies) == 2)
        replies[1].release.set()
        await fleet_.at(0).end_of(anew[0])
    assert end["result"]["content"][0]["text"].startswith("It is blue.")
    assert fleet_.asked.total() == 2
    assert len(query("SELECT * FROM calls")) == 2


@pytest.mark.parametrize("worker", [0, 1], ids=["its own process", "the other process"])
async def test_the_same_call_of_another_caller_is_not_joined(tmp_path: Path, worker: int) -> None:
    async with fleet(tmp_path, held()) as fleet_:
        first = (await fleet_.at(0).call())["taskId"]
        other = (await fleet_.at(worker, "bob").call())["taskId"]
    assert first != other
    assert fleet_.asked.total() == 2


@pytest.mark.parametrize("worker", [0, 1], ids=["its own process", "the other process"])
async def test_an_answer_that_was_collected_anywhere_answers_no_further_call(
    tmp_path: Path, worker: int
) -> None:
    replies = [held(), held()]
    async with fleet(tmp_path, *replies) as fleet_:
        task_id = (await fleet_.at(0).call())["taskId"]
        replies[0].release.set()
        await fleet_.at(worker).end_of(task_id)
        again = await fleet_.at(0).call()
    assert again["resultType"] == "task" and again["taskId"] != task_id
    assert fleet_.asked.total() == 2


async def test_the_times_of_a_task_are_the_same_at_each_process(tmp_path: Path) -> None:
    async with fleet(tmp_path, held()) as fleet_:
        task_id = (await fleet_.at(0).call())["taskId"]
        seen = []
        for _ in range(8):  # while its process says twice that it goes on
            for worker in (0, 1):
                state = await fleet_.at(worker).get(task_id)
                seen.append((state["lastUpdatedAt"], state["ttlMs"]))
            await anyio.sleep(0.5)
    assert sorted(seen) == seen
    assert len(set(seen)) <= 2, "nothing has changed but the phase"


async def test_the_same_call_is_sent_anew_where_the_first_one_was_lost(tmp_path: Path) -> None:
    async with fleet(tmp_path, held()) as fleet_:
        first = (await fleet_.at(0).call())["taskId"]
        fleet_.workers[0].process.kill()
        assert (await fleet_.at(1).end_of(first))["result"]["content"][0]["text"].startswith("It is \n\n")
        again = await fleet_.at(1).call()
    assert again["resultType"] == "task" and again["taskId"] != first
    assert fleet_.asked.total() == 2


async def test_tasks_outlive_a_redis_that_goes_away_and_comes_back_empty(tmp_path: Path) -> None:
    replies = {name: held() for name in ("m1", "m2", "m3")}
    async with fleet(tmp_path, choose=lambda request: replies[request.body["model"]]) as fleet_:
        one, two = [(await fleet_.at(0).call(model=name))["taskId"] for name in ("m1", "m2")]
        fleet_.redis.kill()
        own = await fleet_.at(0).get(one)
        away = await refusal_of(fleet_.at(1).get(one))
        replies["m1"].release.set()
        ended_meanwhile = await fleet_.at(0).end_of(one)
        whole: list[Json] = []
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                whole.append(await fleet_.at(0).call(model="m3"))

            group.start_soon(ask)
            await until(lambda: fleet_.asked["m3"] == 1)
            replies["m3"].release.set()
        fleet_.redis.start()
        elsewhere = [await fleet_.at(1).end_of(one, patient=True)]
        assert (await fleet_.at(1).get(two))["status"] == "working"
        replies["m2"].release.set()
        elsewhere.append(await fleet_.at(1).end_of(two))
    assert own["status"] == "working" and ended_meanwhile["status"] == "completed"
    assert away.code == INTERNAL and "can't be reached" in away.message
    assert whole[0]["resultType"] == "complete", "nobody else would find it, so it is no task"
    for result in (whole[0], *(end["result"] for end in elsewhere)):
        assert result["content"][0]["text"].startswith("It is blue.")
    assert fleet_.asked == Counter(m1=1, m2=1, m3=1)


async def test_a_stream_goes_on_when_redis_was_away_for_a_while(tmp_path: Path) -> None:
    reply = held()
    async with fleet(tmp_path, reply) as fleet_:
        task_id = (await fleet_.at(0).call())["taskId"]
        seen: list[Json] = []
        with within(40):
            async with fleet_.at(1).listening(task_id) as messages:
                async for message in messages:
                    seen.append(message)
                    if len(seen) == 2:
                        fleet_.redis.kill()
                        await anyio.sleep(2.5)  # a few looks
                        fleet_.redis.start()
                        reply.release.set()
    assert [message["params"]["status"] for message in seen[1:-1]] == ["working", "completed"]


async def test_a_process_that_is_told_to_end_leaves_what_its_tasks_had_brought(tmp_path: Path) -> None:
    replies = {"m1": held(), "m2": Reply(chat("It").pieces, hold=0)}
    async with fleet(tmp_path, choose=lambda request: replies[request.body["model"]]) as fleet_:
        begun, silent = [(await fleet_.at(0).call(model=name))["taskId"] for name in replies]
        fleet_.workers[0].process.terminate()
        ends = [await fleet_.at(1).end_of(task_id, 8) for task_id in (begun, silent)]
        await anyio.to_thread.run_sync(fleet_.workers[0].status)
    assert [end["status"] for end in ends] == ["completed", "completed"]
    text = ends[0]["result"]["content"][0]["text"]
    assert text.startswith("It is \n\nNote: ") and "incomplete: [interrupted] This server was stopped" in text
    assert ends[0]["result"] == IsPartialDict(isError=False)
    assert ends[1]["result"] == IsPartialDict(isError=True)
    assert len(query("SELECT * FROM calls")) == 2 and not query("SELECT * FROM in_flight")
