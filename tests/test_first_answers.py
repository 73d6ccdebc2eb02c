"""The first answers on stdio come from data, before the server is loaded, and are the server's to the byte.

`GROK_TEST_ORDERS=N` tries N orders of messages in place of some.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import anyio
import first_answers
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings, strategies as st
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from grok_mcp.instant import ANSWERS, PLAIN
from grok_mcp.instant.conversation import Conversation
from grok_mcp.instant.start import LOADING_S
from grok_mcp.pipeline import Grok
from grok_mcp.server import build_server
from grok_mcp.serving.messages import RefusedMessageError
from grok_mcp.serving.stdio.messages import decode, encode
from grok_mcp.settings import Settings
from tests.support.endpoint import Endpoint, chat
from tests.support.pace import slowness
from tests.support.stdio import COMMAND, INITIALIZED, program

ORDERS = int(os.environ.get("GROK_TEST_ORDERS", "60"))
SESSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
METHODS = (
    *("ping", "tools/list", "prompts/list", "resources/list", "resources/templates/list"),
    "server/discover",
    "skills/list",
)
KEY = "xai-test-key-0000"
CLIENT = {"name": "raw", "version": "1"}
RICH = {
    "roots": {"listChanged": True},
    "sampling": {"tools": {}},
    "elicitation": {"form": {}, "url": {}},
    "experimental": {"a": {"b": [1]}},
    "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html"]}},
}
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def initialize(version: object, number: object = 1, **more: Any) -> dict[str, Any]:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT, **more}
    return {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params}


def request(number: object, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, **({"params": params} if params else {})}


def lists(first: int, **params: Any) -> list[dict[str, Any]]:
    return [request(first + number, method, **params) for number, method in enumerate(METHODS)]


def sent(*messages: Any) -> bytes:
    return b"".join(
        (message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()) + b"\n"
        for message in messages
    )


def said(data: bytes, *arguments: str, **variables: str) -> tuple[list[bytes], int]:
    """All lines of a server that was given these bytes and the end of its input, and its status."""
    environment = {
        **os.environ,
        "XAI_API_KEY": KEY,
        "XAI_BASE_URL": "http://127.0.0.1:9/v1",
        **variables,
    }
    done = subprocess.run(
        [*COMMAND, *arguments], input=data, capture_output=True, timeout=90, env=environment, check=False
    )
    return sorted(done.stdout.splitlines()), done.returncode


def same_as_the_servers(data: bytes, **variables: str) -> list[bytes]:
    """The answers, which are those of a server that takes everything from the first byte."""
    lines, status = said(data, **variables)
    assert (lines, status) == said(data, "serve", **variables)
    return lines


@pytest.fixture(scope="module")
def server() -> Server[Any]:
    return build_server(Grok(Settings.model_validate({"XAI_BASE_URL": "http://127.0.0.1:9/v1"})))


def known(lines: Sequence[bytes]) -> list[bytes]:
    """What is answered before there is a server: to each line until the first that only the server knows."""
    conversation = Conversation(([*SESSIONS], [MODERN]))
    answers = takewhile(lambda answer: answer is not None, map(conversation.answer, lines))
    return [answer for answer in answers if answer]


async def of_the_server(server: Server[Any], lines: Sequence[bytes]) -> list[bytes]:
    """What the SDK's server answers to the same."""
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](len(lines))
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](len(lines))
    answers: list[bytes] = []
    async with to_server, incoming, outgoing, from_server, anyio.create_task_group() as group:
        group.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        for line in lines:
            try:
                message = decode(line)
            except RefusedMessageError as refusal:
                answers.append(refusal.answer + b"\n")
                continue
            await to_server.send(SessionMessage(message))
            if isinstance(message, JSONRPCRequest):
                answers.append(b"".join(encode((await from_server.receive()).message)))
        group.cancel_scope.cancel()
    return answers


def held(server: Server[Any], data: bytes) -> int:
    """How many answers are known before, each of them the server's."""
    lines = [line for line in data.split(b"\n") if line]
    first = known(lines)
    assert first == anyio.run(of_the_server, server, lines)[: len(first)]
    return len(first)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(Endpoint(choose=lambda request: chat("Fine."))) as endpoint:
            yield endpoint


@contextmanager
def never_loaded(tmp_path: Path, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A server whose SDK takes for ever to load."""
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp" / "__init__.py").write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
    with program(PYTHONPATH=str(tmp_path), XAI_API_KEY=KEY, **variables) as process:
        yield process


def told(process: "subprocess.Popen[bytes]", *messages: Any) -> list[Any]:
    """The answers to these requests."""
    assert process.stdin and process.stdout
    process.stdin.write(sent(*messages))
    process.stdin.flush()
    return [json.loads(process.stdout.readline()) for message in messages if "id" in message]


def test_the_data_are_what_the_server_answers_and_how_its_settings_are_read_today() -> None:
    for path, contents in first_answers.derived().items():
        assert json.loads(Path(path).read_text(encoding="utf-8")) == contents, "run `make listings`"
    assert {path.name for path in Path(ANSWERS).iterdir()} == {f"{one}.json" for one in (*SESSIONS, MODERN)}
    assert Path(PLAIN).is_file()


@pytest.mark.parametrize("version", [*SESSIONS, MODERN, "1999-01-01"])
def test_a_session_is_answered_byte_by_byte_as_by_the_server(version: str) -> None:
    lines = same_as_the_servers(sent(initialize(version), INITIALIZED, *lists(10)))
    assert len(lines) == 1 + len(METHODS)


def test_requests_that_name_their_own_version_are_answered_byte_by_byte_as_by_the_server() -> None:
    assert len(same_as_the_servers(sent(*lists(10, _meta=META)))) == len(METHODS)


CARDS = "io.modelcontextprotocol/ui"
CARD_TYPE = "text/html;profile=mcp-app"
DECLARED: Mapping[str, tuple[Any, bool]] = {
    "the card's type": ({"mimeTypes": [CARD_TYPE]}, True),
    "several types": ({"mimeTypes": ["text/html", CARD_TYPE], "features": {}}, True),
    "no types": ({}, True),
    "another type": ({"mimeTypes": ["text/html"]}, False),
    "an empty list": ({"mimeTypes": []}, False),
    "types that are none": ({"mimeTypes": CARD_TYPE}, False),
    "types that are null": ({"mimeTypes": None}, False),
    "a list with odd members": ({"mimeTypes": [{}, 1, None, CARD_TYPE]}, True),
}


@pytest.mark.parametrize("version", [*SESSIONS, MODERN])
@pytest.mark.parametrize("name", DECLARED)
def test_a_host_that_shows_cards_has_its_own_list_at_once_too(
    name: str, version: str, server: Server[Any]
) -> None:
    declared, shows = DECLARED[name]
    capabilities = {"extensions": {CARDS: declared}}
    if version == MODERN:
        meta = {**META, "io.modelcontextprotocol/clientCapabilities": capabilities}
        lines = sent(*lists(2, _meta=meta)[1:])
    else:
        lines = sent(initialize(version, capabilities=capabilities), INITIALIZED, *lists(2)[:-2])
    assert held(server, lines) == len(METHODS) - 1
    assert any(b"ui://grok/answer" in answer for answer in known(lines.splitlines())) == shows


@pytest.mark.parametrize("version", [SESSIONS[-1], MODERN])
def test_a_host_has_all_lists_while_the_server_can_not_be_loaded(version: str, tmp_path: Path) -> None:
    with never_loaded(tmp_path) as process:
        if version == MODERN:
            answers = told(process, *lists(1, _meta=META)[1:])
        else:
            answers = told(process, initialize(version, capabilities=RICH), INITIALIZED, *lists(2)[:-2])
    assert all("result" in answer for answer in answers)


ODD = {
    "a damaged line": b'{"jsonrpc":',
    "bytes that are no text": b'{"jsonrpc":"2.0","id":5,"method":"ping\xff"}',
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(request(5, "ping")).encode(),
    "a batch": b'[{"jsonrpc":"2.0","id":5,"method":"ping"}]',
    "half a character": b'{"jsonrpc":"2.0","id":"\\ud83d","method":"ping"}',
    "an id of null": request(None, "ping"),
    "a fraction for an id": request(1.5, "ping"),
    "true for an id": request(True, "ping"),
    "an empty id": request("", "ping"),
    "an id with quotes": request('a"b', "ping"),
    "an id in letters of all kinds": request("é\u2028", "ping"),
    "a huge id": request(10**30, "ping"),
    "another protocol": {"jsonrpc": "1.0", "id": 5, "method": "ping"},
    "one more member": {**request(5, "ping"), "more": 1},
    "parameters that are a list": {**request(5, "tools/list"), "params": []},
    "parameters of null": {**request(5, "tools/list"), "params": None},
    "a page of the list": request(5, "tools/list", cursor="x"),
    "a cursor of null": request(5, "tools/list", cursor=None),
    "a token for progress": request(5, "tools/list", _meta={"progressToken": "t"}),
    "a token that is none": request(5, "tools/list", _meta={"progressToken": [1]}),
    "meta that is a text": request(5, "tools/list", _meta="x"),
    "a version in a session": request(5, "tools/list", _meta=META),
    "a second initialize": initialize(SESSIONS[0], 5),
    "an unknown method": request(5, "tools/lists"),
    "a method that is a number": {"jsonrpc": "2.0", "id": 5, "method": 1},
    "an unknown notification": {"jsonrpc": "2.0", "method": "notifications/who"},
    "a cancellation of what was answered": {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1},
    },
    "an answer": {"jsonrpc": "2.0", "id": 5, "result": {}},
    "a long line": request(5, "ping", _meta={"x": "y" * 20_000}),
    "a deep line": b'{"jsonrpc":"2.0","id":5,"method":"ping","params":'
    + b'{"a":' * 2_000
    + b"1"
    + b"}" * 2_001,
    "an infinite number": b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"a":Infinity}}',
    "a member twice": b'{"jsonrpc":"2.0","id":5,"method":"ping","method":"tools/list"}',
    "an unknown tool": request(5, "tools/call", name="x", arguments={}),
    "a prompt": request(5, "prompts/get", name="second_opinion", arguments={"question": "Well?"}),
    "no line end": b"",
}
WRONG_FIRST = {
    "no name": initialize(SESSIONS[-1], clientInfo={"version": "1"}),
    "a name that is a number": initialize(SESSIONS[-1], clientInfo={"name": 1, "version": "1"}),
    "icons": initialize(SESSIONS[-1], clientInfo={**CLIENT, "icons": [{"src": "https://a.example/i.png"}]}),
    "icons that are none": initialize(SESSIONS[-1], clientInfo={**CLIENT, "icons": 1}),
    "no capabilities": initialize(SESSIONS[-1], capabilities=None),
    "capabilities that are none": initialize(SESSIONS[-1], capabilities={"roots": {"listChanged": {}}}),
    "sampling that is none": initialize(SESSIONS[-1], capabilities={"sampling": 1}),
    "unknown capabilities": initialize(SESSIONS[-1], capabilities={"mine": {"a": 1}}),
    "tasks": initialize(SESSIONS[-1], capabilities={"tasks": {"list": {}, "requests": {}}}),
    "many capabilities": initialize(SESSIONS[-1], capabilities=RICH),
    "a version that is a number": initialize(2),
    "a version that leads elsewhere": initialize("../plain"),
    "nothing but a list": request(1, "tools/list"),
    "a list of a version to come": request(
        1, "tools/list", _meta={**META, "io.modelcontextprotocol/protocolVersion": "2030-01-01"}
    ),
    "a list without capabilities": request(1, "tools/list", _meta=dict(list(META.items())[:2])),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_message_amid_a_session_is_answered_as_by_the_server_or_left_to_it(
    name: str, server: Server[Any]
) -> None:
    begun = [initialize(SESSIONS[-1]), INITIALIZED, request(2, "tools/list"), ODD[name], request(9, "ping")]
    assert held(server, sent(*begun)) >= 2


@pytest.mark.parametrize("name", WRONG_FIRST)
def test_an_odd_beginning_is_answered_as_by_the_server_or_left_to_it(name: str, server: Server[Any]) -> None:
    held(server, sent(WRONG_FIRST[name], INITIALIZED, *lists(10)[:3]))


@pytest.mark.parametrize(
    "name",
    ["a damaged line", "bytes that are no text", "an id of null", "an unknown tool", "a second initialize"],
)
def test_what_the_server_is_left_with_follows_the_first_answers_and_none_comes_twice(name: str) -> None:
    begun = [initialize(SESSIONS[-1]), INITIALIZED, *lists(2)[:3], ODD[name], request(9, "ping")]
    assert len(same_as_the_servers(sent(*begun))) == 6


messages = st.one_of(
    st.sampled_from(METHODS).map(lambda method: ("plain", method)),
    st.sampled_from(METHODS).map(lambda method: ("modern", method)),
    st.sampled_from(SESSIONS).map(lambda version: ("initialize", version)),
    st.sampled_from(sorted(ODD)).map(lambda name: ("odd", name)),
    st.just(("initialized", "")),
    st.just(("call", "")),
)


def made(number: int, kind: str, what: str) -> Any:
    match kind:
        case "plain":
            return request(number, what)
        case "modern":
            return request(number, what, _meta=META)
        case "initialize":
            return initialize(what, number)
        case "odd":
            return ODD[what]
        case "call":
            return request(number, "tools/call", name="ask_grok", arguments={"prompt": ""})
    return INITIALIZED


@given(order=st.lists(messages, min_size=2, max_size=12), begins=st.booleans())
@settings(max_examples=ORDERS, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_of_messages_is_answered_as_by_the_server(
    order: list[tuple[str, str]], begins: bool, server: Server[Any]
) -> None:
    first = [("initialize", SESSIONS[-1])] if begins else []
    held(server, sent(*(made(100 + place, *one) for place, one in enumerate([*first, *order]))))


def test_a_call_that_comes_at_once_is_answered_after_the_lists_and_nothing_is_answered_twice(
    endpoint: Endpoint,
) -> None:
    variables = {"XAI_BASE_URL": endpoint.url}
    lines, status = said(
        sent(
            initialize(SESSIONS[-1]),
            INITIALIZED,
            request(2, "tools/list"),
            request(3, "tools/call", name="ask_grok", arguments={"prompt": "Hi"}),
            request(4, "tools/list"),
        ),
        **variables,
    )
    assert status == 0
    assert sorted(json.loads(line)["id"] for line in lines) == [1, 2, 3, 4]
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_the_server_is_loaded_ends_the_process_in_order(
    number: signal.Signals, tmp_path: Path
) -> None:
    with never_loaded(tmp_path) as process:
        told(process, initialize(SESSIONS[-1]))
        process.send_signal(number)
        assert process.wait(10 * slowness()) == 0


@pytest.mark.parametrize("ends_input", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_ends_a_process_that_never_loads(
    number: signal.Signals, ends_input: bool, tmp_path: Path
) -> None:
    with never_loaded(tmp_path) as process:
        told(process, initialize(SESSIONS[-1]), request(2, "tools/list"))
        assert process.stdin
        if ends_input:
            process.stdin.close()
            process.stdin = None
        else:
            process.stdin.write(sent(request(3, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})))
            process.stdin.flush()
        time.sleep(0.3)  # it waits for the server by then
        process.send_signal(number)
        time.sleep(0.3)  # two at once are one
        process.send_signal(number)
        process.wait(5 * slowness())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_process_that_never_loads_though_a_call_waits_for_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    with never_loaded(tmp_path) as process:
        told(process, initialize(SESSIONS[-1]))
        assert process.stdin
        process.stdin.write(sent(request(3, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})))
        process.stdin.flush()
        time.sleep(0.3)  # it waits for the server by then
        process.send_signal(number)
        assert process.wait(LOADING_S + 20 * slowness()) != 0


def test_a_process_whose_server_never_loads_does_not_outlive_its_host(tmp_path: Path) -> None:
    with never_loaded(tmp_path) as process:
        told(process, initialize(SESSIONS[-1]))
        assert process.stdin
        process.stdin.write(sent(request(3, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})))
        time.sleep(0.1)  # it loads by then
        process.stdin.close()
        process.stdin = None
        assert process.wait(30 * slowness()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_call_that_waits_for_the_server_is_answered_where_a_signal_comes_meanwhile(
    number: signal.Signals, endpoint: Endpoint
) -> None:
    with program(XAI_API_KEY=KEY, XAI_BASE_URL=endpoint.url) as process:
        told(process, initialize(SESSIONS[-1]))
        assert process.stdin and process.stdout
        process.stdin.write(sent(request(3, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})))
        process.stdin.flush()
        time.sleep(0.1)  # most of a second before it is loaded
        process.send_signal(number)
        assert json.loads(process.stdout.readline())["id"] == 3
        assert process.wait(30 * slowness()) == 0


def test_a_client_that_reads_nothing_for_a_while_gets_every_answer_once() -> None:
    asked = [request(number, "tools/list") for number in range(2, 40)]
    with program(XAI_API_KEY=KEY) as process:
        assert process.stdin and process.stdout
        process.stdin.write(sent(initialize(SESSIONS[-1]), INITIALIZED, *asked))
        process.stdin.flush()
        time.sleep(0.3)  # its pipe is full by then
        got = [json.loads(process.stdout.readline())["id"] for _ in range(len(asked) + 1)]
        process.stdin.close()
        process.stdin = None
        assert process.stdout.read() == b""
        assert process.wait(30 * slowness()) == 0
    assert sorted(got) == [1, *(one["id"] for one in asked)]


WRONG: Mapping[str, Mapping[str, str]] = {
    "a word that is none": {"GROK_MCP_PROGRESS": "often"},
    "a number that is none": {"GROK_MCP_TIMEOUT": "soon"},
    "a number that is too small": {"GROK_MCP_TIMEOUT": "0"},
    "a number that is too large": {"GROK_MCP_MAX_RETRIES": "21"},
    "an address that is none": {"XAI_BASE_URL": "api.x.ai"},
    "an address with a fragment": {"XAI_BASE_URL": "https://api.x.ai/v1#x"},
    "a gateway that is none": {"GROK_MCP_GATEWAY": "neptune"},
    "a gateway without an address": {"GROK_MCP_GATEWAY": "surgeai", "XAI_BASE_URL": ""},
    "a file that is none": {"GROK_MCP_ENV_FILE": "/nowhere"},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_end_the_start_with_status_2_and_no_answer(name: str) -> None:
    assert said(sent(initialize(SESSIONS[-1])), **WRONG[name]) == ([], 2)


CHANGED: Mapping[str, Mapping[str, str]] = {
    "answers as data": {"GROK_MCP_RESULTS": "structured"},
    "a card for every host": {"GROK_MCP_CARD": "on"},
    "no card": {"GROK_MCP_CARD": "off"},
    "nothing to collect": {"GROK_MCP_WAIT": "0", "GROK_MCP_MAX_RESULT_CHARS": "0"},
    "never handed over": {"GROK_MCP_WAIT": "0"},
    "a word in capitals and quotes": {"GROK_MCP_RESULTS": '"STRUCTURED"'},
    "a variable in small letters": {"grok_mcp_results": "structured"},
    "a variable twice": {"GROK_MCP_RESULTS": "text", "grok_mcp_results": "structured"},
    "a misspelt variable": {"GROK_MCP_RESULT": "structured"},
    "usual ones": {"GROK_MCP_MODEL": "grok-4", "GROK_MCP_WAIT": "50", "GROK_MCP_PROGRESS": "deltas"},
}


@pytest.mark.parametrize("name", CHANGED)
def test_settings_that_change_the_list_or_not_lead_to_the_servers_own_list(name: str, tmp_path: Path) -> None:
    same_as_the_servers(sent(initialize(SESSIONS[-1]), request(2, "tools/list")), **CHANGED[name])


def test_a_file_of_settings_is_read_before_the_list_is_told(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("GROK_MCP_RESULTS=structured\n", encoding="utf-8")
    begun = sent(initialize(SESSIONS[-1]), request(2, "tools/list"))
    assert same_as_the_servers(begun, GROK_MCP_ENV_FILE=str(file)) != said(begun)[0]
