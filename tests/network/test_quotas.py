"""Limits of callers and groups on a network: the same table in memory and in a real Redis."""

import json
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.quotas.redis import EPOCH, PREFIX, RedisCounts, key_of
from grok_mcp.quotas.windows import Account, Admitted, Refused
from grok_mcp.serving.http.token_lines import new_token
from tests.network.issuer import AUDIENCE, Issuer
from tests.network.redis import RedisServer, require_redis
from tests.network.server import modern, refused, serving
from tests.network.team import team
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.ledger import CENT, held, priced, query
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

NOTHING_SENT = "nothing was sent."
A_MINUTE = (50.0, 61.0)
"""Seconds, when all that was counted was counted just now."""


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    require_redis()
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(running: RedisServer) -> RedisServer:
    """A Redis in which nobody has used anything, and whose epoch is not new."""
    for name in running.names():
        if name != EPOCH.encode():
            running.ask("DEL", name)
    run = re.search(rb"run_id:(\w+)", _info(running))
    assert run
    running.ask("SET", EPOCH, b"first %s %d" % (run[1], (time.time() - 60) * 1000))
    return running


def _info(server: RedisServer) -> bytes:
    return b"run_id:" + str(server.ask("INFO", "server")["run_id"]).encode()


@pytest.fixture(params=["memory", "redis"])
def counted(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """The settings that say where it is counted."""
    if request.param == "memory":
        return {}
    server: RedisServer = request.getfixturevalue("redis")
    return {"redis_url": server.url}


@dataclass(frozen=True)
class Case:
    """Calls by these callers, and what becomes of the last; `replies` of the endpoint, the last for all."""

    limits: str
    calls: str
    code: str
    says: tuple[str, ...]
    waits_s: tuple[float, float] | None = None
    replies: tuple[Reply, ...] = (priced(1),)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    passes: str = ""
    """Who can still call behind it."""


LONG = "word " * 3_000
NAMES = {"a": "ann", "b": "bob", "c": "cid", "l": "local", "r": "research"}
MEMBERS = {"ann": "research", "bob": "research", "cid": "", "local": "", "research": ""}

CASES = {
    "requests of a caller": Case(
        "[callers.ann]\nrequests_per_minute = 2",
        "aaa",
        "rate_limited",
        ("Your quota of 2 requests a minute is used up: nothing was sent. Try again in ",),
        A_MINUTE,
        passes="b",
    ),
    "requests of each caller": Case(
        "[default]\nrequests_per_minute = 1",
        "abcc",
        "rate_limited",
        ("Your quota of 1 request a minute is used up",),
        A_MINUTE,
        passes="l",
    ),
    "requests of a group": Case(
        "[groups.research]\nrequests_per_minute = 2",
        "aba",
        "rate_limited",
        ("The quota of your group research of 2 requests a minute is used up: nothing was sent.",),
        A_MINUTE,
        passes="c",
    ),
    "the default of a group's members": Case(
        "[default]\nrequests_per_minute = 9\n[groups.research.each]\nrequests_per_minute = 1",
        "abb",
        "rate_limited",
        ("Your quota of 1 request a minute",),
        A_MINUTE,
        passes="c",
    ),
    "a caller's own section before its group's": Case(
        "[callers.ann]\nrequests_per_minute = 2\n[groups.research.each]\nrequests_per_minute = 1",
        "aaa",
        "rate_limited",
        ("Your quota of 2 requests a minute",),
        A_MINUTE,
    ),
    "a caller whose name is that of a group": Case(
        "[groups.research]\nrequests_per_minute = 1\n[callers.research]\nrequests_per_minute = 2",
        "rarr",
        "rate_limited",
        ("Your quota of 2 requests a minute",),
        A_MINUTE,
        passes="c",
    ),
    "a caller who calls itself local": Case(
        '[callers.local]\nrequests_per_minute = 9\n[callers."local (by token)"]\nrequests_per_minute = 1',
        "ll",
        "rate_limited",
        ("Your quota of 1 request a minute",),
        A_MINUTE,
    ),
    "tokens of a caller": Case(
        "[callers.ann]\ntokens_per_minute = 2000",
        "aa",
        "rate_limited",
        ("Your quota of 2,000 tokens a minute has no room for about 1,", " more: nothing was sent."),
        A_MINUTE,
        replies=(priced(1, total_tokens=1_990, completion_tokens=1_980),),
        passes="b",
    ),
    "tokens of a group": Case(
        "[groups.research]\ntokens_per_minute = 2000",
        "ab",
        "rate_limited",
        ("The quota of your group research of 2,000 tokens a minute has no room for about 1,00",),
        A_MINUTE,
        replies=(priced(1, total_tokens=1_990, completion_tokens=1_980),),
    ),
    "a call that could never pass": Case(
        "[callers.ann]\ntokens_per_minute = 2000",
        "a",
        "invalid_argument",
        (
            "This call has about 5,000 tokens of input, and your quota is 2,000 tokens a minute",
            "A retry will not help",
        ),
        arguments={"prompt": LONG},
        passes="b",
    ),
    "a model that is not allowed": Case(
        '[callers.ann]\nmodels = ["grok-4.3", "grok-build-0.1"]',
        "a",
        "permission",
        ("You may not use the model grok-4.7-latest here: nothing was sent.", "Name one of grok-4.3, grok-"),
        arguments={"model": "grok-4.7-latest"},
        passes="a",
    ),
    "no model at all": Case(
        "[groups.research]\nmodels = []",
        "a",
        "permission",
        ("You may use no model of this server: nothing was sent.",),
        passes="c",
    ),
    "a model that the group may not use": Case(
        '[callers.ann]\nmodels = ["grok-4.7", "grok-4.3"]\n[groups.research]\nmodels = ["grok-4.3"]',
        "a",
        "permission",
        ("the model grok-4.7 here", "Name one of grok-4.3."),
        arguments={"model": "grok-4.7"},
    ),
    "the budget of a caller": Case(
        "[callers.ann]\nbudget_usd_per_day = 0.01",
        "aa",
        "budget",
        (
            "Your budget of 0.01 USD a day is reached: 0.010000 USD were spent today. Nothing was sent.",
            "have budget_usd_per_day raised in the file of GROK_MCP_LIMITS_FILE",
        ),
        replies=(priced(CENT),),
        passes="b",
    ),
    "the budget of a group": Case(
        "[groups.research]\nbudget_usd_per_day = 0.02",
        "aba",
        "budget",
        ("The budget of your group research, 0.02 USD a day, is reached: 0.020000 USD were spent today.",),
        replies=(priced(CENT),),
        passes="c",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_limit_refuses_with_whose_it_is_and_when_to_come_again(
    case: Case, counted: Mapping[str, Any], tmp_path: Path
) -> None:
    async with Endpoint(*case.replies) as endpoint:
        async with team(endpoint.url, tmp_path / "t", case.limits, MEMBERS, **counted) as server:
            for name in case.calls[:-1]:
                assert (await server.ask(NAMES[name])).answer
            sent = len(endpoint.requests)
            last = await server.ask(NAMES[case.calls[-1]], **case.arguments)
            assert len(endpoint.requests) == sent
            for name in case.passes:
                assert (await server.ask(NAMES[name])).answer
    assert last.error["code"] == case.code
    assert [part for part in case.says if part not in last.text] == []
    if case.waits_s is not None:
        assert last.error["retryable"]
        assert case.waits_s[0] <= last.error["retry_after_s"] <= case.waits_s[1]
        assert f"Try again in {last.error['retry_after_s']:.1f} seconds" in last.text


async def test_tokens_of_a_failed_call_are_given_back_and_those_of_a_cancelled_one_are_not(
    counted: Mapping[str, Any], tmp_path: Path
) -> None:
    failed = body({"error": {"message": "no"}}, status=400)
    limits = "[callers.ann]\ntokens_per_minute = 1500"
    async with Endpoint(failed, failed, priced(1), Reply(end="hang"), priced(1)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, **counted) as server:
            for _ in range(2):
                assert (await server.ask("ann")).error["code"] == "invalid_argument"
            first = await server.ask("ann", max_output_tokens=1_450)
            assert first.answer, "1,000 and 1,000 would have been too many"
            server.grok.quotas._lately.clear()  # type: ignore[union-attr]
            with anyio.move_on_after(1):
                await server.ask("ann", "Another?")
            after = await server.ask("ann", "And now?")
    assert after.error == IsPartialDict(code="rate_limited", retryable=True)


async def test_who_cancels_a_long_answer_at_its_end_has_used_what_has_come_of_it(
    counted: Mapping[str, Any], tmp_path: Path
) -> None:
    long = replace(chat("word " * 10_000, "and the last"), hold=2)
    limits = "[callers.ann]\ntokens_per_minute = 8000"
    async with Endpoint(long, priced(1)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, **counted) as server:
            await server.client("ann")  # in this task, which closes it
            with anyio.move_on_after(1):
                await server.ask("ann", "A novel, please.")
            after = await server.ask("ann", "And now?")
    assert after.error == IsPartialDict(code="rate_limited", retryable=True)


async def test_calls_in_flight_count_for_the_budget_of_their_group(
    counted: Mapping[str, Any], tmp_path: Path
) -> None:
    slow = held(1)
    limits = "[groups.research]\nbudget_usd_per_day = 0.01"
    async with Endpoint(priced(CENT * 6 // 10), slow, priced(1)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, **counted) as server:
            for name in ("ann", "bob", "cid"):
                await server.client(name)  # in this task, which closes it
            await server.ask("ann", "1")
            async with anyio.create_task_group() as group:
                group.start_soon(server.ask, "ann", "2")
                await until(lambda: len(endpoint.requests) == 2)
                refusal = await server.ask("bob", "3")
                other = await server.ask("cid", "4")
                known = query("SELECT * FROM groups_in_flight")
                slow.release.set()
            after = await server.ask("bob", "5")
    assert (
        "group research, 0.01 USD a day, is reached: 0.006000 USD were spent today and 1 call in flight may"
        in (refusal.text)
    )
    assert refusal.error["retry_after_s"] == 10.0
    assert other.answer and after.answer
    assert [row["caller_group"] for row in known] == ["research"]
    assert query("SELECT * FROM groups_in_flight") == []
    assert len(query("PRAGMA table_info(in_flight)")) == 10, (
        "older programs write its columns by their places"
    )


async def test_collecting_and_joining_are_no_requests_and_a_correction_belongs_to_its_call(
    counted: Mapping[str, Any], tmp_path: Path
) -> None:
    slow = held(1)
    limits = "[callers.ann]\nrequests_per_minute = 1\n[callers.bob]\nrequests_per_minute = 1"
    async with Endpoint(slow, priced(1, '{"b": 1}'), priced(1, '{"a": 1}')) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, wait=0.3, **counted) as server:
            running = await server.ask("ann")
            joined = await server.ask("ann")
            slow.release.set()
            client = await server.client("ann")
            with within(20):
                found = await client.call_tool("grok_result", {"answer_id": running.answer["answer_id"]})
            schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
            corrected = await server.ask("bob", tool="grok_structured", schema=schema)
            refusal = await server.ask("bob")
    assert joined.answer["answer_id"] == running.answer["answer_id"]
    assert not found.is_error
    assert corrected.structured["data"] == {"a": 1}
    assert refusal.error["code"] == "rate_limited"
    assert len(endpoint.requests) == 3


async def test_the_default_model_gives_way_to_one_that_the_caller_may_use(tmp_path: Path) -> None:
    limits = (
        '[callers.ann]\nmodels = ["grok-build-0.1", "grok-4"]\n[callers.bob]\nmodels = ["grok-4.7-latest"]'
    )
    async with Endpoint(priced(1)) as endpoint:
        more = {"gateway": "xai", "model": "grok-4.7"}
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, **more) as server:
            other = await server.ask("ann")
            same = await server.ask("bob")
            retired = [
                await server.ask("ann", model=name) for name in ("grok-3-mini", "grok-4.3", "xai/grok-4.3")
            ]
            around = [
                await server.ask("ann", model=name)
                for name in ("grok-latest", "evil/grok-4.3", "GROK-4.7", "grok-4.3:online", "grok-4.7 ")
            ]
            seen = json.loads(await server.read("ann", "grok://models"))
            config = json.loads(await server.read("ann", "grok://config"))
    assert (
        "The model grok-build-0.1 was used: you may not use grok-4.7, the default of this server."
        in other.text
    )
    assert "may not use" not in same.text
    models = [request.body["model"] for request in endpoint.requests if request.method == "POST"]
    assert models == ["grok-build-0.1", "grok-4.7", "grok-3-mini", "grok-4.3", "xai/grok-4.3"]
    assert all(not result.raw.is_error for result in retired)
    assert [result.error["code"] for result in around] == ["permission"] * 5
    assert {entry["id"] for entry in seen["models"]} <= {"grok-build-0.1", "grok-4.3"}
    assert seen["default_model"] == "grok-build-0.1" and seen["allowed"] == ["grok-build-0.1", "grok-4"]
    assert config["your_limits"] == {
        "models": ["grok-build-0.1", "grok-4"],
        "group": {"name": "research"},
    }


async def test_a_caller_sees_its_own_limits_and_nobody_else_s(tmp_path: Path) -> None:
    limits = (
        "[default]\ntokens_per_minute = 50_000\n[callers.cid]\nrequests_per_minute = 7\n"
        "[groups.research]\nbudget_usd_per_day = 5\n"
    )
    async with Endpoint(priced(CENT)) as endpoint:
        more = {"budget_usd_per_day": 2}
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, **more) as server:
            await server.ask("ann")
            ann, cid = [
                json.loads(await server.read(name, "grok://config"))["your_limits"] for name in ("ann", "cid")
            ]
            usage = json.loads(await server.read("ann", "grok://usage"))
    group = {"name": "research", "budget_usd_per_day": 5.0}
    assert ann == {"tokens_per_minute": 50_000, "budget_usd_per_day": 2.0, "group": group}
    assert cid == {"requests_per_minute": 7, "tokens_per_minute": 50_000, "budget_usd_per_day": 2.0}
    assert usage["budget_usd_per_day"] == 2.0
    assert query("SELECT caller, caller_group FROM calls") == [{"caller": "ann", "caller_group": "research"}]


async def test_limits_are_read_again_when_the_file_changes_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slow = held(1)
    async with Endpoint(slow, priced(1)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", "", MEMBERS, wait=0) as server:
            quotas = server.grok.quotas
            assert quotas is not None
            await server.client("ann")  # in this task, which closes it
            async with anyio.create_task_group() as group:
                group.start_soon(server.ask, "ann", "One?")
                await until(lambda: len(endpoint.requests) == 1)
                server.limits.write_text("[callers.ann]\nmodels = []\n")
                await until(lambda: quotas.models("ann", "") == [])
                assert (await server.ask("ann", "Two?")).error["code"] == "permission"
                slow.release.set()  # the call in flight goes on
            for broken in ("[callers.ann]\nmodel = []\n", "[callers", "", "x" * 2_000_000):
                if broken:
                    server.limits.write_text(broken)
                else:
                    server.limits.unlink()
                quotas._file._next_look = 0.0  # as a second later
                assert quotas.models("ann", "") == []
                await until(lambda: quotas._file._reading is None)
                assert quotas.models("ann", "") == []
            server.limits.write_text("[callers.ann]\nrequests_per_minute = 1\n")
            await until(lambda: quotas.models("ann", "") is None)
            assert (await server.ask("ann", "Three?")).answer
            assert (await server.ask("ann", "Four?")).error["code"] == "rate_limited"
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    (line,) = [line for line in warned if "LIMITS_FILE" in line]
    assert "[callers.ann] model is not known; did you mean models?" in line
    assert line.endswith("the limits that it held before still hold")


async def test_the_group_of_a_jwt_is_the_first_of_its_claim_that_the_limits_name(tmp_path: Path) -> None:
    limits = "[groups.research]\nrequests_per_minute = 1\n[groups.staff]\nrequests_per_minute = 5\n"
    with Issuer() as issuer:
        oauth = {"oauth_issuer": issuer.url, "public_url": AUDIENCE, "oauth_groups_claim": "realm.roles"}
        async with Endpoint(priced(1)) as endpoint:
            async with team(endpoint.url, tmp_path / "t", limits, {"ann": ""}, **oauth) as server:

                async def groups(subject: str, claim: Any, **more: Any) -> str:
                    token = issuer.token(sub=subject, realm={"roles": claim}, **more)
                    config = json.loads(await server.read(token, "grok://config"))
                    return str(config["your_limits"].get("group", {}).get("name", ""))

                found = [
                    await groups("one", ["other", "research", "staff"]),
                    await groups("two", "staff"),
                    await groups("three", ["other"], groups=["research"]),
                    await groups("four", None),
                    await groups("five", {"research": True}),
                    await groups("six", [7, None, "re\x00search", "staff"]),
                    await groups("seven", ["x"] * 1_000 + ["staff"]),
                    await groups("eight", [], **{"realm.roles": ["staff"]}),
                ]
                first = await server.ask(issuer.token(sub="one", realm={"roles": ["research"]}), "1")
                second = await server.ask(issuer.token(sub="two", realm={"roles": ["research"]}), "2")
    assert found == ["research", "staff", "", "", "", "staff", "", "staff"]
    assert first.answer and "your group research" in second.text


async def test_a_key_of_the_caller_s_own_changes_budgets_and_no_other_limit(tmp_path: Path) -> None:
    limits = (
        '[callers.ann]\nrequests_per_minute = 2\nbudget_usd_per_day = 0.001\nmodels = ["grok-4.7"]\n'
        "[groups.research]\nbudget_usd_per_day = 0.001\n"
    )
    async with Endpoint(priced(CENT)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, caller_keys="allowed") as server:
            client = await server.client("ann", **{"X-Grok-Api-Key": "xai-own-key-of-ann-1234567890"})
            texts = []
            for number, model in enumerate(["grok-4.3", "grok-4.7", "grok-4.7", "grok-4.7"]):
                with within(20):
                    said = await client.call_tool("ask_grok", {"prompt": f"{number}?", "model": model})
                texts.append(str(getattr(said, "content", "")))
            usage = json.loads(getattr((await client.read_resource("grok://usage")).contents[0], "text", ""))
    assert "[permission] You may not use the model grok-4.3" in texts[0]
    assert all("Hi." in text for text in texts[1:3])
    assert "[rate_limited] Your quota of 2 requests a minute" in texts[3]
    assert usage["caller"] == "ann (own key)" and "budget_usd_per_day" not in usage


async def test_no_caller_chooses_its_own_group(tmp_path: Path) -> None:
    limits = "[groups.rich]\nbudget_usd_per_day = 9\n[groups.research]\nrequests_per_minute = 1\n"
    async with Endpoint(priced(1)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS) as server:
            for place in ("header", "meta", "argument"):
                sent = modern(1, "tools/call", name="ask_grok", arguments={"prompt": place, "group": "rich"})
                sent["headers"] |= {"Authorization": f"Bearer {server.tokens['cid']}", "X-Group": "rich"}
                sent["json"]["params"]["_meta"] |= {"group": "rich", "groups": ["rich"]}
                async with httpx2.AsyncClient() as http:
                    assert (await http.post(f"{server.url}/mcp", **sent)).status_code == 200
    assert query("SELECT DISTINCT caller_group FROM calls") == [{"caller_group": None}]


@pytest.mark.parametrize(
    ("text", "says"),
    {
        "a syntax error": ("[callers", "is not valid: Expected ']' at the end of a table declaration"),
        "an unknown section": (
            "[caller.ann]\nmodels = []",
            "the file caller is not known; did you mean callers?",
        ),
        "an unknown key": (
            "[default]\nrequest_per_minute = 3",
            "[default] request_per_minute is not known; did you mean requests_per_minute?",
        ),
        "a count of nothing": (
            "[groups.a]\nrequests_per_minute = 0",
            "[groups.a] requests_per_minute has to be a whole number above 0",
        ),
        "a truth": ("[groups.a]\ntokens_per_minute = true", "[groups.a] tokens_per_minute has to be a whole"),
        "a part of a request": ("[groups.a]\nrequests_per_minute = 1.5", "has to be a whole number above 0"),
        "a budget of NaN": (
            "[callers.a]\nbudget_usd_per_day = nan",
            "[callers.a] budget_usd_per_day has to be",
        ),
        "a budget below 0": (
            "[callers.a]\nbudget_usd_per_day = -1",
            "a number of USD above 0, at most 100,000",
        ),
        "models as text": ('[callers.a]\nmodels = "grok-4.3"', "[callers.a] models has to be a list"),
        "each of a caller": ("[callers.a.each]\nmodels = []", "[callers.a] each is not known"),
        "no table": ("callers = 3", "callers is not a table: write [callers.NAME]"),
        "a name that can't be shown": ('[callers."a\\u0000b"]\nmodels = []', "has no valid name"),
        "a number beyond all": (
            "[default]\nbudget_usd_per_day = 1e99999999999999999999",
            "is not valid: it has a number that is out of all bounds",
        ),
        "too deep": ("x = " + "[" * 3_000, "is not valid"),
        "too many": (
            "".join(f"[callers.a{number}]\n" for number in range(10_001)),
            "it has more than 10,000 sections",
        ),
    }.values(),
    ids=lambda value: None,
)
def test_a_wrong_file_stops_the_start_with_one_line(text: str, says: str, tmp_path: Path) -> None:
    from grok_mcp.quotas import LimitsFileError, read_file

    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(LimitsFileError) as caught:
        read_file(file)
    assert str(caught.value).startswith(f"GROK_MCP_LIMITS_FILE: {file} is not valid: ")
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_a_server_does_not_start_with_a_wrong_file(transport: str, tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[default]\ntoken_per_minute = 3\n")
    status, lines = refused("--transport", transport, "--port", "0", "--limits-file", str(file))
    assert status == 2
    (line,) = lines
    assert "[default] token_per_minute is not known; did you mean tokens_per_minute?" in line


async def test_while_redis_is_away_a_call_with_a_quota_is_refused_and_others_are_not(
    tmp_path: Path,
) -> None:
    require_redis()
    limits = "[callers.ann]\nrequests_per_minute = 5\n"
    with RedisServer() as server:
        async with Endpoint(priced(1)) as endpoint:
            async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, redis_url=server.url) as served:
                assert (await served.ask("ann", "1")).answer
                server.kill()
                away = await served.ask("ann", "2")
                other = await served.ask("bob", "3")
                server.start()
                again = await served.ask("ann", "4")
    assert away.error == IsPartialDict(code="overloaded", retryable=True)
    assert "Your quota can't be checked, because Redis can't be reached: nothing was sent." in away.text
    assert other.answer and again.answer, "it is asked again without a restart"


@pytest.mark.parametrize("section", ["default", "callers.ann"])
async def test_a_server_is_not_ready_while_nobody_could_be_counted(section: str, tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:9/0"
    limits = f"[{section}]\ntokens_per_minute = 5000\n"
    async with Endpoint(priced(1)) as endpoint:
        async with team(endpoint.url, tmp_path / "t", limits, MEMBERS, redis_url=nowhere) as server:
            async with httpx2.AsyncClient() as http:
                said = await http.get(f"{server.url}/readyz")
    assert said.status_code == (503 if section == "default" else 200)
    assert ("quotas can't be checked: Redis can't be reached" in said.text) == (section == "default")


async def test_the_wait_that_is_told_is_the_wait_that_it_takes(redis: RedisServer) -> None:
    counts = RedisCounts(redis.url)
    ann = [Account("caller", "ann", 3, None)]
    assert isinstance(await counts.admit(ann, 1), Admitted)
    key = key_of(("caller", "ann"))
    (second,) = [int(name) for name in redis.ask("HKEYS", key)]
    redis.ask("DEL", key)
    redis.ask("HSET", key, second - 59, "2 9", second, "1 5")  # as when most of a minute has passed
    said = await counts.admit(ann, 1)
    assert isinstance(said, Refused) and 0 < said.wait_s <= 3
    await anyio.sleep(said.wait_s - 0.1)
    assert isinstance(await counts.admit(ann, 1), Refused)
    await anyio.sleep(0.1)
    assert isinstance(await counts.admit(ann, 1), Admitted)
    await counts.aclose()


async def test_a_clock_that_goes_back_neither_opens_a_window_nor_keeps_it_shut(redis: RedisServer) -> None:
    counts = RedisCounts(redis.url)
    ann = [Account("caller", "ann", 2, 100)]
    now = redis.ask("TIME")[0]
    redis.ask("HSET", key_of(("caller", "ann")), now + 3_600, "2 50")  # counted before it went back
    said = await counts.admit(ann, 1)
    await counts.aclose()
    assert isinstance(said, Refused) and 55 < said.wait_s <= 61
    assert all(int(name) <= now + 5 for name in redis.ask("HKEYS", key_of(("caller", "ann"))))


async def test_tokens_beyond_all_sums_stay_counted_in_redis(redis: RedisServer) -> None:
    counts = RedisCounts(redis.url)
    ann = [Account("caller", "ann", None, 100)]
    admitted = await counts.admit(ann, 10)
    assert isinstance(admitted, Admitted)
    await counts.settle(ann, admitted, 10**19)  # as of ten thousand calls of the most that counts
    assert isinstance(await counts.admit(ann, 1), Refused)
    await counts.aclose()


async def test_keys_in_redis_show_no_names_are_in_one_slot_and_go_away(redis: RedisServer) -> None:
    counts = RedisCounts(redis.url)
    accounts = [Account("caller", "ann@example.com", 5, 500), Account("group", "research", 9, None)]
    admitted = await counts.admit(accounts, 100)
    assert isinstance(admitted, Admitted)
    await counts.settle(accounts, admitted, -90)
    await counts.aclose()
    assert [redis.ask("HVALS", key_of(one.key)) for one in accounts] == [[b"1 10"]] * 2
    names = [name for name in redis.names() if name != EPOCH.encode()]
    assert len(names) == 3 and all(name.startswith(PREFIX.encode()) for name in names)
    assert not [name for name in names if b"ann" in name or b"research" in name]
    assert all(0 < redis.ask("TTL", name) <= 130 for name in names)


QUOTA = 30


async def test_a_restart_of_redis_under_load_lets_nobody_above_the_quota(tmp_path: Path) -> None:
    require_redis()
    token, line = new_token("ann", "research")
    (tmp_path / "tokens").write_text(f"{line}\n")
    (tmp_path / "limits.toml").write_text(f"[groups.research]\nrequests_per_minute = {QUOTA}\n")
    with RedisServer() as redis:
        variables: dict[str, Any] = {
            "GROK_MCP_TOKEN_FILE": str(tmp_path / "tokens"),
            "GROK_MCP_LIMITS_FILE": str(tmp_path / "limits.toml"),
            "GROK_MCP_REDIS_URL": redis.url,
        }
        async with Endpoint(priced(1)) as endpoint:
            with serving(endpoint.url, **variables) as one, serving(endpoint.url, **variables) as two:
                codes: deque[str] = deque()
                async with httpx2.AsyncClient(timeout=60) as http:

                    async def ask(url: str, number: int) -> None:
                        sent = modern(1, "tools/call", name="ask_grok", arguments={"prompt": f"{number}"})
                        sent["headers"]["Authorization"] = f"Bearer {token}"
                        answer = (await http.post(f"{url}/mcp", **sent)).json()["result"]
                        codes.append(answer["_meta"].get("grok-mcp/error", {}).get("code", "ok"))

                    async def load(numbers: range) -> None:
                        async with anyio.create_task_group() as group:
                            for number in numbers:
                                group.start_soon(ask, (one, two)[number % 2].url, number)

                    with within(60):
                        await load(range(20))
                        assert list(codes) == ["ok"] * 20
                        async with anyio.create_task_group() as group:
                            group.start_soon(load, range(20, 24))
                            redis.kill()
                            redis.start()
                        await load(range(24, 80))
    sent = sorted(request.at for request in endpoint.requests)
    assert QUOTA - 1 <= windows(sent) <= QUOTA, codes
    assert codes.count("ok") == len(sent)
    assert codes.count("rate_limited") >= 80 - QUOTA - 4


def windows(times: list[float]) -> int:
    """The most that any 60 s hold, wherever they begin."""
    return max(sum(1 for time in times if begin <= time < begin + 60) for begin in times)


async def test_a_process_lets_nobody_in_before_its_own_are_counted_in_a_new_epoch(redis: RedisServer) -> None:
    counts = RedisCounts(redis.url)
    ann = [Account("caller", "ann", 2, None)]
    for _ in range(2):
        assert isinstance(await counts.admit(ann, 1), Admitted)
    run = redis.ask("GET", EPOCH).split()[1]
    redis.ask("DEL", key_of(("caller", "ann")))
    redis.ask("SET", EPOCH, b"second %s %d" % (run, (time.time() - 60) * 1000))  # which others joined
    assert isinstance(await counts.admit(ann, 1), Refused)
    await counts.aclose()


async def test_a_process_that_is_late_is_counted_as_soon_as_it_comes(redis: RedisServer) -> None:
    one, two = RedisCounts(redis.url), RedisCounts(redis.url)
    ann = [Account("caller", "ann", 3, None)]
    for _ in range(3):
        assert isinstance(await one.admit(ann, 1), Admitted)
    redis.ask("FLUSHALL")
    started = time.monotonic()
    said = await two.admit(ann, 1)
    assert isinstance(said, Refused), "the other has counted its own again"
    assert time.monotonic() - started > 2, "an epoch that begins waits for all"
    for counts in (one, two):
        await counts.aclose()


@pytest.fixture
async def frozen(redis: RedisServer) -> AsyncIterator[RedisServer]:
    try:
        yield redis
    finally:
        redis.thaw()


async def test_what_is_corrected_while_redis_says_nothing_is_corrected_later(frozen: RedisServer) -> None:
    counts = RedisCounts(frozen.url)
    ann = [Account("caller", "ann", None, 100)]
    admitted = await counts.admit(ann, 80)
    assert isinstance(admitted, Admitted)
    frozen.freeze()
    await counts.settle(ann, admitted, -75)
    frozen.thaw()
    await until(lambda: frozen.ask("HVALS", key_of(("caller", "ann"))) == [b"1 5"])
    await counts.aclose()
