"""Tasks in a real host: Claude Code at a terminal, where it puts a slow call into the background."""

import json
import re
from pathlib import Path

import pytest
from npm_packages import UnavailableError

from tests.hosts.fake_model import SAYS, Call, FakeModel
from tests.hosts.hosts import HOSTS, PROMPT, Given, Host
from tests.hosts.running import Running, installed, on_stdio
from tests.hosts.table import Row
from tests.hosts.terminal import Terminal, at_terminal
from tests.hosts.traffic import Json, Traffic
from tests.support.endpoint import Endpoint, Reply, chat

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

KEY = "xai-key-of-the-tests-1234567890"
EXTENSION = "io.modelcontextprotocol/tasks"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
SEARCH = Call("grok_search", {"query": "What is new?"})
ANOTHER_PROMPT = "And what is next?"
POLLS = 10
"""Until the endpoint writes on: one a second at first."""


@pytest.fixture
def claude_code() -> Host:
    host = HOSTS["Claude Code"]
    try:
        installed(host)
    except UnavailableError as error:
        pytest.fail(f"{host.name} can't be driven: {error}")
    return host


def on(endpoint: Endpoint, home: Path, model: FakeModel) -> Given:
    return on_stdio(home, model.url, XAI_API_KEY=KEY, XAI_BASE_URL=endpoint.url, GROK_MCP_GATEWAY="xai")


def held(*texts: str) -> Reply:
    return Reply(chat(*(texts or ("It is ", "blue."))).pieces, hold=1)


def told(model: FakeModel) -> list[str]:
    """The texts in place of a user's, of the longest conversation that the model has seen."""
    conversations: list[list[Json]] = [body["messages"] for body in model.requests]
    longest = max(conversations, key=lambda messages: len(json.dumps(messages)), default=[])
    contents = [message["content"] for message in longest if message["role"] == "user"]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [block["text"] for block in blocks if block["type"] == "text"]


async def begin(terminal: Terminal, run: Running, model: FakeModel) -> None:
    """Have the model make its call, and come to its end while the call goes on."""
    await terminal.shows("❯")
    await terminal.until(lambda: bool(run.traffic.answers("tools/list")), "the tools are listed")
    await terminal.types(PROMPT)
    await terminal.until(lambda: bool(model.received), "the model has a result of its call")
    await terminal.shows(SAYS)


def check_task(traffic: Traffic) -> str:
    """The id of the task that the only call has become, as the wire shows it."""
    (call,) = traffic.sent("tools/call")
    assert call["params"]["_meta"][CAPABILITIES]["extensions"][EXTENSION] == {}
    (result,) = traffic.results
    assert result["resultType"] == "task"
    task_id: str = result["taskId"]
    assert {one["params"]["taskId"] for one in traffic.sent("tasks/get")} == {task_id}
    return task_id


async def test_claude_code_goes_on_while_a_task_runs_and_its_model_gets_the_answer(
    claude_code: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, claude_code, "stdio, at a terminal", "protocol", "slow_call")
    reply = held()
    async with Endpoint(reply) as endpoint, FakeModel(SEARCH) as model:
        async with at_terminal(claude_code, on(endpoint, tmp_path, model)) as (terminal, run):
            await begin(terminal, run, model)
            await terminal.types(ANOTHER_PROMPT)
            await terminal.until(lambda: ANOTHER_PROMPT in "".join(told(model)), "the session goes on")
            await terminal.until(lambda: len(run.traffic.sent("tasks/get")) >= POLLS, "it polls")
            assert run.traffic.answers("tasks/get")[-1]["result"]["status"] == "working"
            reply.release.set()
            await terminal.until(lambda: "It is blue." in told(model)[-1], "the model has the answer")
    task_id = check_task(run.traffic)
    assert f"started server-side task {task_id}" in model.received[0]
    last = run.traffic.answers("tasks/get")[-1]["result"]
    assert last["status"] == "completed"
    notification = told(model)[-1]
    assert "<status>completed</status>" in notification
    assert last["result"]["content"][0]["text"] in notification
    assert [one.method for one in endpoint.requests].count("POST") == 1
    row(protocol=run.traffic.protocol, slow_call="task")


async def test_claude_code_tells_its_model_of_a_task_that_has_failed(
    claude_code: Host, tmp_path: Path
) -> None:
    error = {"error": {"message": "No such thing", "code": 400}}
    reply = Reply((f"data: {json.dumps(error)}\n\n".encode(),), hold=0)
    notification, result = await notified(claude_code, tmp_path, SEARCH, reply)
    assert result["isError"]
    assert "<status>failed</status>" in notification
    assert f"Task failed: {result['content'][0]['text']}" in notification


async def test_claude_code_gives_its_model_the_json_of_a_task_once(claude_code: Host, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    call = Call("grok_structured", {"prompt": "One?", "schema": schema, "reasoning_effort": "high"})
    notification, result = await notified(claude_code, tmp_path, call, held('{"a"', ": 1}"))
    assert result["structuredContent"]["data"] == {"a": 1}
    assert result["content"][0]["text"] in notification
    assert notification.count('"a":1') == 1


async def notified(host: Host, home: Path, call: Call, reply: Reply) -> tuple[str, Json]:
    """What the model is told once its call has ended, and the result that the server gave."""
    async with Endpoint(reply) as endpoint, FakeModel(call) as model:
        async with at_terminal(host, on(endpoint, home, model)) as (terminal, run):
            await begin(terminal, run, model)
            reply.release.set()
            await terminal.until(lambda: "<task-notification>" in told(model)[-1], "the model hears of it")
    check_task(run.traffic)
    return told(model)[-1], run.traffic.answers("tasks/get")[-1]["result"]["result"]


async def test_a_task_that_claude_code_stops_ends_upstream(claude_code: Host, tmp_path: Path) -> None:
    stop = Call("TaskStop", lambda received: {"task_id": re.findall(r'task_id "(\w+)"', received)[0]})
    async with Endpoint(held()) as endpoint, FakeModel(SEARCH, stop) as model:
        async with at_terminal(claude_code, on(endpoint, tmp_path, model)) as (terminal, run):
            await begin(terminal, run, model)
            await terminal.until(lambda: len(model.received) == 2, "the model has stopped it")
            await terminal.until(endpoint.closed.is_set, "the call ends upstream")
            await terminal.until(lambda: bool(run.traffic.answers("tasks/cancel")), "it is told")
    task_id = check_task(run.traffic)
    assert {one["params"]["taskId"] for one in run.traffic.sent("tasks/cancel")} == {task_id}
    assert all("error" not in answer for answer in run.traffic.answers("tasks/cancel"))
    assert "is stopped" in model.received[1]


async def test_a_task_ends_upstream_when_claude_code_is_left(claude_code: Host, tmp_path: Path) -> None:
    async with Endpoint(held()) as endpoint, FakeModel(SEARCH) as model:
        async with at_terminal(claude_code, on(endpoint, tmp_path, model)) as (terminal, run):
            await begin(terminal, run, model)
            await terminal.types("/exit")
            await terminal.shows("1. Exit and stop tasks")
            await terminal.presses("\r")
            await terminal.until(endpoint.closed.is_set, "the call ends upstream")
            await run.servers_end()
