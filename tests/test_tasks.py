"""Tasks: a slow call goes on in the background, and a host that has them comes back for its end by itself."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import anyio
import pytest
from dirty_equals import IsPartialDict, IsStr
from mcp_types import ElicitResult

from grok_mcp.pipeline.pace import Kind, Pace
from tests.network.server import in_process
from tests.support.answers import SCHEMA, slow
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.host import host_on
from tests.support.ledger import file, rows
from tests.support.modern import APPS, TASKS, VERSION, Modern, OverHttp, message, on_pipes, over_http
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

SOON = {"GROK_MCP_WAIT": "0.3"}
SEARCH_REPLY = "It is out [[1]](https://a.example/)."


def shown(task: dict[str, Any]) -> str:
    text: str = task["result"]["content"][0]["text"]
    return text


@asynccontextmanager
async def client_on(transport: str, endpoint: Endpoint, **variables: str) -> AsyncIterator[Modern]:
    if transport == "stdio":
        async with on_pipes(endpoint.url, **variables) as client:
            yield client
        return
    settings: dict[str, Any] = {
        name.removeprefix("GROK_MCP_").lower(): value for name, value in variables.items()
    }
    with in_process(XAI_BASE_URL=endpoint.url, state_dir=file().parent, **settings) as url:
        async with over_http(url) as client:
            yield client


BOTH = pytest.mark.parametrize("transport", ["stdio", "http"])


@BOTH
async def test_a_search_becomes_a_task_at_once_and_ends_as_the_tool_s_whole_result(transport: str) -> None:
    reply = slow(SEARCH_REPLY, written=0, citations=["https://a.example/"])
    async with Endpoint(reply) as endpoint, client_on(transport, endpoint) as client:
        with within(30):
            task = await client.call("grok_search", query="What is new?", mode="on")
            working = await client.request("tasks/get", taskId=task["taskId"])
            reply.release.set()
            ended = await client.ended(task["taskId"])
            again = await client.request("tasks/get", taskId=task["taskId"])
    times = {"createdAt": IsStr, "lastUpdatedAt": IsStr, "ttlMs": 3_600_000, "pollIntervalMs": 1_000}
    assert task == IsPartialDict(resultType="task", taskId=IsStr, status="working", **times)
    assert working == IsPartialDict(resultType="complete", status="working", statusMessage=IsStr)
    assert datetime.fromisoformat(task["createdAt"]) <= datetime.fromisoformat(ended["lastUpdatedAt"])
    assert ended["createdAt"] == working["createdAt"] == task["createdAt"]
    assert ended == IsPartialDict(resultType="complete", status="completed")
    assert ended["result"] == IsPartialDict(resultType="complete", isError=False)
    assert shown(ended).startswith(SEARCH_REPLY) and "1. https://a.example/" in shown(ended)
    assert again["result"] == ended["result"]
    assert len(endpoint.requests) == 1
    (row,) = rows()
    assert row == IsPartialDict(tool="grok_search", finish_reason="stop")


@BOTH
async def test_a_quick_call_is_answered_and_a_slow_one_becomes_a_task_where_a_hand_over_would_come(
    transport: str,
) -> None:
    reply = slow("It is ", "blue.")
    async with (
        Endpoint(chat("At once."), reply) as endpoint,
        client_on(transport, endpoint, **SOON) as client,
    ):
        with within(30):
            quick = await client.call("ask_grok", prompt="Hi")
            task = await client.call("ask_grok", prompt="Which colour?")
            working = await client.request("tasks/get", taskId=task["taskId"])
            reply.release.set()
            ended = await client.ended(task["taskId"])
    assert quick == IsPartialDict(resultType="complete", isError=False)
    assert task["resultType"] == "task" and "content" not in task
    assert working["statusMessage"] == "writing, 6 characters: …It is"
    assert shown(ended).startswith("It is blue.\n\n") and "grok_result" not in shown(ended)


NEVER = {
    "which does not declare them": {"extensions": ()},
    "which declares others": {"extensions": (APPS,)},
    "which asks for one in the older way": {"extensions": (), "task": {"ttl": 60_000}},
}


@BOTH
@pytest.mark.parametrize("how", NEVER.values(), ids=NEVER.keys())
async def test_no_task_is_made_for_a_request(transport: str, how: dict[str, Any]) -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, client_on(transport, endpoint, **SOON) as client:
        with within(30):
            arguments = {"prompt": "Which colour?", "reasoning_effort": "high"}
            result = await client.request("tools/call", name="ask_grok", arguments=arguments, **how)
    assert result == IsPartialDict(resultType="complete", isError=False)
    assert "For the rest call grok_result" in result["content"][0]["text"]


AT_ONCE = {
    "a search": ("grok_search", {"query": "What is new?"}),
    "much effort": ("ask_grok", {"prompt": "Hi", "reasoning_effort": "high"}),
    "most effort": ("grok_structured", {"prompt": "Hi", "schema": SCHEMA, "reasoning_effort": "xhigh"}),
    "several agents": ("ask_grok", {"prompt": "Hi", "model": "grok-4.20-multi-agent"}),
}


@pytest.mark.parametrize(("tool", "arguments"), AT_ONCE.values(), ids=AT_ONCE.keys())
async def test_a_call_that_is_slow_by_nature_is_a_task_long_before_a_hand_over(
    tool: str, arguments: dict[str, Any]
) -> None:
    async with Endpoint(slow("It is ", written=0)) as endpoint, client_on("http", endpoint) as client:
        with within(30):  # and a hand-over would come after 50 seconds
            assert (await client.call(tool, **arguments))["resultType"] == "task"


@pytest.mark.parametrize("setting", ["high", "low"])
async def test_the_effort_that_the_operator_has_set_counts_for_calls_that_name_none(setting: str) -> None:
    reply = slow("It is ", "blue.")
    variables = {"GROK_MCP_REASONING_EFFORT": setting, "GROK_MCP_WAIT": "2"}
    async with Endpoint(reply) as endpoint, client_on("http", endpoint, **variables) as client:
        with within(30):
            async with anyio.create_task_group() as group:
                group.start_soon(_release_once_asked, endpoint, reply)
                result = await client.call("ask_grok", prompt="Hi")
    assert result["resultType"] == ("task" if setting == "high" else "complete")


async def _release_once_asked(endpoint: Endpoint, reply: Reply) -> None:
    await until(lambda: bool(endpoint.requests))
    await anyio.sleep(0.5)
    reply.release.set()


def test_calls_whose_kind_was_slow_lately_are_expected_to_be_slow() -> None:
    pace, kind, other = Pace(), Kind("ask_grok", "grok-4.7", "low"), Kind("ask_grok", "grok-4.7", "")
    for seconds in (200.0, 200.0):
        pace.note(kind, seconds)
    assert not pace.is_slow(kind), "two calls say little"
    pace.note(kind, 1.0)
    assert pace.is_slow(kind) and not pace.is_slow(other)
    for _ in range(8):
        pace.note(kind, 1.0)
    assert not pace.is_slow(kind)
    for number in range(10_000):
        pace.note(Kind("ask_grok", str(number), ""), 1.0)
    assert len(pace._taken) <= 200


@BOTH
async def test_a_task_that_is_cancelled_ends_upstream_and_in_the_ledger(transport: str) -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint, client_on(transport, endpoint) as client:
        with within(30):
            task = await client.call("grok_search", query="What is new?")
            await until(lambda: bool(endpoint.requests))
            acknowledged = await client.request("tasks/cancel", taskId=task["taskId"])
            await endpoint.closed.wait()
            ended = await client.ended(task["taskId"])
            twice = await client.request("tasks/cancel", taskId=task["taskId"])
    assert acknowledged == twice == IsPartialDict(resultType="complete")
    assert acknowledged.keys() <= {"resultType", "_meta"}
    assert ended == IsPartialDict(status="cancelled") and "result" not in ended
    (row,) = rows()
    assert row == IsPartialDict(error="cancelled")


async def test_what_a_cancelled_task_was_is_said_to_whoever_collects_it_by_the_tool() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint, client_on("http", endpoint) as client:
        with within(30):
            task = await client.call("grok_search", query="What is new?")
            await client.request("tasks/cancel", taskId=task["taskId"])
            await client.ended(task["taskId"])
            result = await client.call("grok_result", answer_id=task["taskId"])
    assert result["isError"] and result["content"][0]["text"].startswith(
        "[cancelled] The caller has cancelled"
    )


@BOTH
async def test_a_call_that_fails_is_a_completed_task_whose_result_is_the_error(transport: str) -> None:
    refusal = body({"error": {"message": "No credit left", "code": "insufficient_quota"}}, status=402)
    late = Reply(refusal.pieces, refusal.status, refusal.headers, refusal.content_type, hold=0)
    async with Endpoint(late) as endpoint, client_on(transport, endpoint) as client:
        with within(30):
            task = await client.call("grok_search", query="What is new?")
            late.release.set()
            ended = await client.ended(task["taskId"])
    assert ended == IsPartialDict(status="completed", statusMessage=IsStr)
    assert ended["result"] == IsPartialDict(isError=True) and "error" not in ended
    assert shown(ended).startswith("[insufficient_credit]")


async def test_what_is_wrong_with_the_arguments_is_an_answer_and_no_task() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, client_on("http", endpoint) as client:
        result = await client.call("grok_search", query="")
    assert result == IsPartialDict(resultType="complete", isError=True)
    assert not endpoint.requests


METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
ODD_IDS: tuple[Any, ...] = ("", "x" * 500, 7, None)


@BOTH
async def test_each_method_of_tasks_refuses_what_the_protocol_says_that_it_must(transport: str) -> None:
    async with Endpoint(slow("It is ")) as endpoint, client_on(transport, endpoint) as client:
        task = await client.call("grok_search", query="What is new?")
        unknown = [await client.request(name, taskId="ans_AAAAAAAAAAAAAAAAAAAAAA") for name in METHODS]
        odd = [await client.request(name, taskId=one) for name in METHODS for one in ODD_IDS]
        undeclared = [await client.request(name, extensions=(), taskId=task["taskId"]) for name in METHODS]
        gone = [await client.request(name, taskId=task["taskId"]) for name in ("tasks/list", "tasks/result")]
        updated = await client.request("tasks/update", taskId=task["taskId"], inputResponses={"never": {}})
        plain = await client.request("tasks/update", taskId=task["taskId"])
    assert [error["code"] for error in unknown] == [-32602] * 3
    assert {error.get("code", str(error)[:300]) for error in odd} == {-32602}
    assert all(len(str(error)) < 2_000 for error in odd)
    missing: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    assert [(error["code"], error["data"]) for error in undeclared] == [(-32021, missing)] * 3
    assert [error["code"] for error in gone] == [-32601] * 2
    assert updated == plain == IsPartialDict(resultType="complete")


@pytest.mark.parametrize("named", ["ans_another", None], ids=["another task", "none"])
async def test_a_request_whose_header_names_another_task_is_refused_as_for_a_proxy(named: str | None) -> None:
    async with Endpoint(slow("It is ")) as endpoint, client_on("http", endpoint) as client:
        task = await client.call("grok_search", query="What is new?")
        sent = message(1, "tasks/get", {"taskId": task["taskId"]}, (TASKS,), None)
        headers = {"MCP-Protocol-Version": VERSION, "Mcp-Method": "tasks/get"}
        headers |= {"Accept": "application/json, text/event-stream", **({"Mcp-Name": named} if named else {})}
        assert isinstance(client, OverHttp)
        answer = await client.http.post("/mcp", json=sent, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


async def test_hosts_of_the_older_protocols_have_no_tasks() -> None:
    async with Endpoint(slow("It is ")) as endpoint, host_on(endpoint, wait=0.3, legacy=True) as host:
        capabilities = host.client.server_capabilities
        assert capabilities is not None and not capabilities.extensions
        result = await host.search()
    assert result.answer["finish_reason"] == "running"


@BOTH
async def test_who_listens_hears_of_each_phase_and_of_the_end(transport: str) -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, client_on(transport, endpoint) as client:
        with within(30):
            task_id = (await client.call("grok_search", query="What is new?"))["taskId"]
            async with anyio.create_task_group() as group:
                group.start_soon(_release_once_told, client, reply)
                end = await client.request(
                    "subscriptions/listen", notifications={"taskIds": [task_id, "ans_unknown", task_id]}
                )
            known = await client.request("tasks/get", taskId=task_id)
    first, *told = client.notes
    assert first["method"] == "notifications/subscriptions/acknowledged"
    assert first["params"]["notifications"] == {"taskIds": [task_id]}
    assert {note["method"] for note in told} == {"notifications/tasks"}
    assert len({str(note["params"]["_meta"]) for note in client.notes}) == 1, "all name the one subscription"
    assert told[0]["params"] == IsPartialDict(taskId=task_id, status="working")
    assert told[-1]["params"] == IsPartialDict(status="completed", result=known["result"])
    assert end == IsPartialDict(resultType="complete")


async def _release_once_told(client: Modern, reply: Reply) -> None:
    await until(lambda: any(note["method"] == "notifications/tasks" for note in client.notes))
    reply.release.set()


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "what is not about tasks": (-32601, {"notifications": {"toolsListChanged": True}}),
    "no tasks": (-32601, {"notifications": {"taskIds": []}}),
    "without the extension": (-32021, {"notifications": {"taskIds": ["ans_1"]}, "extensions": ()}),
    "ids that are none": (-32602, {"notifications": {"taskIds": [1, {}]}}),
    "a text of ids": (-32602, {"notifications": {"taskIds": "ans_1"}}),
    "too many": (-32602, {"notifications": {"taskIds": ["ans_1"] * 101}}),
    "nothing": (-32602, {}),
}


@pytest.mark.parametrize(("code", "how"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_stream_is_refused_for(code: int, how: dict[str, Any]) -> None:
    async with Endpoint() as endpoint, client_on("http", endpoint) as client:
        with within(30):
            error = await client.request("subscriptions/listen", **how)
    assert error["code"] == code, error


async def test_one_caller_has_so_many_streams() -> None:
    async with Endpoint(slow("It is ")) as endpoint, client_on("http", endpoint) as client:
        with within(60):
            task_id = (await client.call("grok_search", query="What is new?"))["taskId"]
            listen: dict[str, Any] = {"notifications": {"taskIds": [task_id]}}
            async with anyio.create_task_group() as group:
                for _ in range(32):
                    group.start_soon(lambda: client.request("subscriptions/listen", **listen))
                await until(lambda: len(client.notes) >= 64)
                error = await client.request("subscriptions/listen", **listen)
                await client.request("tasks/cancel", taskId=task_id)
    assert error == IsPartialDict(code=-32603, message=IsStr(regex=".*32 streams.*"))


async def test_a_task_has_no_progress_notes() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, client_on("stdio", endpoint) as client:
        with within(30):
            task = await client.request(
                "tools/call", name="grok_search", arguments={"query": "What is new?"}, token="t"
            )
            before = len(client.notes)
            await anyio.sleep(1.5)  # a note would come every second
            reply.release.set()
            await client.ended(task["taskId"])
            assert len(client.notes) == before


async def test_the_result_of_grok_structured_has_its_data() -> None:
    reply = slow('{"a": ', "1}")
    async with Endpoint(reply) as endpoint, client_on("http", endpoint, **SOON) as client:
        with within(30):
            task = await client.call("grok_structured", prompt="Hi", schema=SCHEMA)
            reply.release.set()
            ended = await client.ended(task["taskId"])
    assert ended["result"]["structuredContent"] == IsPartialDict(data={"a": 1})


async def test_a_result_that_is_too_long_is_its_first_page_and_the_tool_has_the_rest() -> None:
    reply = slow("Some words. " * 500, written=0)
    variables = {**SOON, "GROK_MCP_MAX_RESULT_CHARS": "1000"}
    async with Endpoint(reply) as endpoint, client_on("http", endpoint, **variables) as client:
        with within(30):
            task = await client.call("ask_grok", prompt="Hi")
            reply.release.set()
            ended = await client.ended(task["taskId"])
            found = re.search(r'answer_id "([^"]+)" and offset (\d+)', shown(ended))
            assert found and found[1] == task["taskId"]
            rest = await client.call("grok_result", answer_id=found[1], offset=int(found[2]))
    assert rest["content"][0]["text"].startswith("Some words.")


@BOTH
async def test_a_long_answer_is_a_resource_that_its_result_links_to(transport: str) -> None:
    text = "Some words [[1]](https://a.example/).\n" * 100
    variables = {"GROK_MCP_MAX_RESULT_CHARS": "1000"}
    reply = chat(text, citations=["https://a.example/"])
    async with Endpoint(reply) as endpoint, client_on(transport, endpoint, **variables) as client:
        with within(30):
            result = await client.call("ask_grok", extensions=(), prompt="Hi")
            (link,) = (block for block in result["content"] if block["type"] == "resource_link")
            read = await client.request("resources/read", extensions=(), uri=link["uri"])
            templates = await client.request("resources/templates/list")
            unknown = await client.request("resources/read", uri="grok://answers/ans_AAAAAAAAAAAAAAAAAAAAAA")
    answer_id = result["_meta"]["grok-mcp/answer"]["answer_id"]
    assert link == IsPartialDict(uri=f"grok://answers/{answer_id}", mimeType="text/markdown")
    (contents,) = read["contents"]
    assert contents == IsPartialDict(uri=link["uri"], mimeType="text/markdown")
    assert contents["text"].startswith(text.strip()) and "1. https://a.example/" in contents["text"]
    assert templates["resourceTemplates"][0]["uriTemplate"] == "grok://answers/{answer_id}"
    assert unknown == IsPartialDict(code=-32602, message=IsStr(regex="There is no answer.*"))


async def test_what_was_handed_over_can_be_read_while_it_runs_and_when_it_has_ended() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, client_on("http", endpoint, **SOON) as client:
        with within(30):
            result = await client.call("ask_grok", extensions=(), prompt="Hi")
            uri = result["content"][1]["uri"]
            running = await client.request("resources/read", uri=uri)
            reply.release.set()
            await until(lambda: len(rows()) == 1)
            ended = await client.request("resources/read", uri=uri)
    assert running["contents"][0]["text"].startswith("It is \n\nNote: Grok is still working (")
    assert ended["contents"][0]["text"].startswith("It is blue.\n\n")


async def test_json_that_was_handed_over_is_read_as_json() -> None:
    reply = slow('{"a": ', "1}")
    async with Endpoint(reply) as endpoint, client_on("http", endpoint, **SOON) as client:
        with within(30):
            result = await client.call("grok_structured", extensions=(), prompt="Hi", schema=SCHEMA)
            uri = result["content"][1]["uri"]
            running = await client.request("resources/read", uri=uri)
            reply.release.set()
            await until(lambda: len(rows()) == 1)
            (ended,) = (await client.request("resources/read", uri=uri))["contents"]
    assert running["contents"][0]["text"].startswith("Note: Grok is still working")
    assert ended["mimeType"] == "application/json" and json.loads(ended["text"])["data"] == {"a": 1}


async def test_a_server_that_hands_nothing_over_has_no_tasks() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, client_on("http", endpoint, GROK_MCP_WAIT="0") as client:
        capabilities = (await client.request("server/discover"))["capabilities"]
        result = await client.call("grok_search", query="What is new?")
        error = await client.request("tasks/get", taskId="ans_1")
    assert TASKS not in capabilities["extensions"]
    assert result["resultType"] == "complete" and error["code"] == -32601


@BOTH
async def test_the_extension_is_declared_and_no_list_is_said_to_change(transport: str) -> None:
    async with Endpoint() as endpoint, client_on(transport, endpoint) as client:
        capabilities = (await client.request("server/discover"))["capabilities"]
    assert capabilities["extensions"] == IsPartialDict({TASKS: {}})
    assert "true" not in str(capabilities).lower()


# The same call twice is one call.


@BOTH
async def test_the_same_call_that_comes_again_while_the_first_runs_is_answered_by_it(transport: str) -> None:
    reply = slow("It is ", "blue.")
    answers: list[str] = []
    async with Endpoint(reply, chat("Another.")) as endpoint, client_on(transport, endpoint) as client:

        async def ask(prompt: str) -> None:
            result = await client.call("ask_grok", extensions=(), prompt=prompt)
            answers.append(result["content"][0]["text"])

        with within(30):
            async with anyio.create_task_group() as group:
                group.start_soon(ask, "Which colour?")
                await until(lambda: len(endpoint.requests) == 1)
                group.start_soon(ask, "Which colour?")
                group.start_soon(ask, "Which size?")
                await until(lambda: len(endpoint.requests) == 2)
                await until(lambda: len(answers) == 1)
                reply.release.set()
    other, *same = answers
    assert other.startswith("Another.")
    assert [text.startswith("It is blue.") for text in same] == [True, True]
    assert ["The same call was under way already" in text for text in same].count(True) == 1
    assert len(endpoint.requests) == 2 and len(rows()) == 2


async def test_a_call_that_was_handed_over_and_not_collected_answers_the_same_call_again() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply, chat("Anew.")) as endpoint, client_on("http", endpoint, **SOON) as client:
        with within(30):
            first = await client.call("ask_grok", extensions=(), prompt="Which colour?")
            second = await client.call("ask_grok", extensions=(), prompt="Which colour?")
            reply.release.set()
            await until(lambda: len(rows()) == 1)
            third = await client.call("ask_grok", extensions=(), prompt="Which colour?")
            fourth = await client.call("ask_grok", extensions=(), prompt="Which colour?")
    answer_ids = {result["_meta"]["grok-mcp/answer"]["answer_id"] for result in (first, second)}
    assert len(answer_ids) == 1, "the same call is handed over under the same id"
    assert third["content"][0]["text"].startswith("It is blue.")
    assert fourth["content"][0]["text"].startswith("Anew."), "what was delivered is no answer to a new call"


COLLECTED = {
    "by the tool": lambda client, task_id: client.call("grok_result", answer_id=task_id),
    "as a task": lambda client, task_id: client.request("tasks/get", taskId=task_id),
}


async def asked_again_after(act: Any) -> str:
    """What the same call brings once its task has ended and `act` was done with it."""
    reply = slow("It is ", "blue.")
    async with Endpoint(reply, chat("Anew.")) as endpoint, client_on("http", endpoint, **SOON) as client:
        with within(30):
            task_id = (await client.call("ask_grok", prompt="Which colour?"))["taskId"]
            reply.release.set()
            await until(lambda: len(rows()) == 1)
            await act(client, task_id)
            again = await client.call("ask_grok", prompt="Which colour?")
    text: str = again["content"][0]["text"]
    return text


@pytest.mark.parametrize("collect", COLLECTED.values(), ids=COLLECTED.keys())
async def test_an_answer_that_was_collected_is_no_answer_to_the_same_call(collect: Any) -> None:
    assert (await asked_again_after(collect)).startswith("Anew.")


async def test_to_update_a_task_delivers_nothing_of_it() -> None:
    text = await asked_again_after(
        lambda client, task_id: client.request("tasks/update", taskId=task_id, inputResponses={})
    )
    assert text.startswith("It is blue.")


async def test_who_joined_a_call_gets_its_answer_though_the_first_request_has_gone() -> None:
    reply = slow("It is ", "blue.")
    answers: list[str] = []
    async with Endpoint(reply) as endpoint, host_on(endpoint) as host:

        async def ask() -> None:
            answers.append((await host.ask("Which colour?")).text)

        with within(30):
            async with anyio.create_task_group() as first, anyio.create_task_group() as second:
                first.start_soon(ask)
                await until(lambda: len(endpoint.requests) == 1)
                second.start_soon(ask)
                await until(lambda: any(run.run and run.run.requests == 2 for run in _joinable(host)))
                first.cancel_scope.cancel()
                reply.release.set()
    assert len(endpoint.requests) == 1


def _joinable(host: Any) -> list[Any]:
    return list(host.grok.runs._joinable.values())


async def test_a_call_that_its_caller_has_cancelled_answers_nobody_who_asks_again() -> None:
    first, second = slow("It is ", "blue."), chat("Anew.")
    async with Endpoint(first, second) as endpoint, client_on("http", endpoint) as client:
        with within(30):
            task = await client.call("grok_search", query="What is new?")
            await until(lambda: len(endpoint.requests) == 1)
            await client.request("tasks/cancel", taskId=task["taskId"])
            again = await client.call("grok_search", query="What is new?")
    assert again["isError"] is False and again["content"][0]["text"].startswith("Anew.")


async def test_a_task_that_two_calls_have_got_ends_when_both_have_cancelled_it() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint, client_on("http", endpoint) as client:
        with within(30):
            ids = [(await client.call("grok_search", query="What is new?"))["taskId"] for _ in range(2)]
            await until(lambda: len(endpoint.requests) == 1)
            await client.request("tasks/cancel", taskId=ids[0])
            goes_on = await client.request("tasks/get", taskId=ids[0])
            await client.request("tasks/cancel", taskId=ids[1])
            ended = await client.ended(ids[0])
    assert ids[0] == ids[1] and len(endpoint.requests) == 1
    assert (goes_on["status"], ended["status"]) == ("working", "cancelled")


async def test_a_call_whose_user_can_be_asked_is_handed_over_once_it_is_clear_that_nobody_need_be() -> None:
    async def answer(context: Any, params: Any) -> ElicitResult:
        raise AssertionError("the call is below the limit")

    reply = slow("It is ", "blue.")
    limited: dict[str, Any] = {"wait": 0.001, "call_limit_usd": Decimal(1), "elicitation": answer}
    async with Endpoint(reply) as endpoint, host_on(endpoint, **limited) as host:
        result = await host.ask("Which colour?")
        reply.release.set()
    assert result.answer["finish_reason"] == "running" and len(endpoint.requests) == 1


async def test_half_a_surrogate_pair_is_a_sign_that_every_host_can_read() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint) as host:
        prompt = await host.client.get_prompt("second_opinion", {"question": "Is \ud800 right?"})
        result = await host.ask("Is \ud800 right?")
    assert "Is \ufffd right?" in str(prompt.messages[0].content)
    assert result.text.startswith("Hi.")


async def test_a_call_that_was_handed_over_and_has_failed_is_asked_anew() -> None:
    late = Reply(body({"error": {"message": "Down"}}, status=400).pieces, 400, hold=0)
    async with Endpoint(late, chat("Anew.")) as endpoint, host_on(endpoint, wait=0.3) as host:
        await host.ask("Which colour?")
        late.release.set()
        await until(lambda: len(rows()) == 1)
        again = await host.ask("Which colour?")
    assert again.text.startswith("Anew.")
