"""One message, one meaning: what is odd, damaged or none is read alike on every transport."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx2
import pytest

from grok_mcp.sandbox import SandboxServer
from tests.network.server import (
    BOTH_FORMS,
    INITIALIZE,
    INITIALIZED,
    KEY,
    SERVE,
    Served,
    environment,
    rpc,
    serving,
)

TRANSPORTS = ("stdio", "http-2025", "http-2026", "sse")
MODERN_META = (
    b'"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},'
)
SECRET = "quicksilver"


class Wire(Protocol):
    """A client that sends bytes, and reads the answer to them."""

    meta: bytes

    def answer(self, data: bytes) -> Any: ...


class Stdio:
    meta = b""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def answer(self, data: bytes) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(data + b"\n")
        self._process.stdin.flush()
        while "method" in (message := json.loads(self._process.stdout.readline())):
            pass  # a progress note
        return message


class Http:
    def __init__(self, http: httpx2.Client, headers: dict[str, str], meta: bytes = b"") -> None:
        self.meta = meta
        self._http = http
        self._headers = {"Accept": BOTH_FORMS, "Content-Type": "application/json", **headers}

    def answer(self, data: bytes) -> Any:
        modern = {"Mcp-Method": "tools/call", "Mcp-Name": "ask_grok"} if self.meta else {}
        response = self._http.post("/mcp", content=data, headers=self._headers | modern)
        if response.headers["content-type"].startswith("text/event-stream"):
            said = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
            return next(message for message in said if "method" not in message)
        assert response.status_code == (400 if "error" in response.text[:60] else 200)
        return response.json()


class Sse:
    meta = b""

    def __init__(self, http: httpx2.Client, lines: Iterator[str]) -> None:
        self._http = http
        self._lines = lines
        self.path = self._data()

    def _data(self) -> str:
        return next(line for line in self._lines if line.startswith("data: "))[6:]

    def answer(self, data: bytes) -> Any:
        said = self._http.post(self.path, content=data, headers={"Content-Type": "application/json"})
        while "method" in (message := json.loads(self._data())):
            pass
        assert said.status_code == (202 if said.text == "Accepted" else 400)
        if said.status_code == 400:  # one by one on the stream
            said_all = said.json()
            for further in said_all[1:] if isinstance(said_all, list) else ():
                assert json.loads(self._data()) == further
            return said_all
        return message


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with SandboxServer(pace=0) as sandbox:
        yield sandbox.url


@pytest.fixture(scope="module")
def server(sandbox: str) -> Iterator[Served]:
    with serving(sandbox, GROK_MCP_LOG_LEVEL="debug") as server:
        yield server


@contextmanager
def on_stdio(sandbox: str) -> Iterator[Stdio]:
    variables = environment(XAI_BASE_URL=sandbox, XAI_API_KEY=KEY)
    process = subprocess.Popen(
        SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables
    )
    with process:
        yield Stdio(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait(60) == 0


@contextmanager
def on_http(server: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=20) as http:
        yield http


@pytest.fixture(scope="module", params=TRANSPORTS)
def wire(request: pytest.FixtureRequest, sandbox: str, server: Served) -> Iterator[Wire]:
    """A client that has shaken hands, where that is due."""
    if request.param == "stdio":
        with on_stdio(sandbox) as stdio:
            stdio.answer(json.dumps(INITIALIZE).encode())
            yield stdio
    elif request.param == "sse":
        with on_http(server) as http, http.stream("GET", "/sse") as events:
            sse = Sse(http, events.iter_lines())
            sse.answer(json.dumps(INITIALIZE).encode())
            assert http.post(sse.path, json=INITIALIZED).status_code == 202
            yield sse
    else:
        with on_http(server) as http:
            if request.param == "http-2026":
                yield Http(http, {"MCP-Protocol-Version": "2026-07-28"}, MODERN_META)
                return
            accept = {"Accept": BOTH_FORMS}
            session = http.post("/mcp", json=INITIALIZE, headers=accept).headers["mcp-session-id"]
            yield Http(http, {"Mcp-Session-Id": session})


def ask(prompt: bytes = b'"Hi"', token: bytes = b"7", number: bytes = b"3", meta: bytes = b"") -> bytes:
    """A call, in the bytes of a client that has its own mind."""
    return (
        b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":{"name":"ask_grok",'
        b'"arguments":{"prompt":%b},"_meta":{%b"progressToken":%b}}}' % (number, prompt, meta, token)
    )


@pytest.mark.parametrize(
    "number", [b"null", b"1.5", b"1.0", b"true", b"false", b"{}", b"[]", b"[1]", b'{"a":1}']
)
def test_an_id_that_nobody_can_be_answered_by_is_refused(number: bytes, wire: Wire) -> None:
    refused = wire.answer(ask(number=number, meta=wire.meta))
    assert (refused["id"], refused["error"]["code"]) == (None, -32600)
    assert "id" in refused["error"]["message"]
    escaped = ask(number=number, meta=wire.meta).replace(b'"id"', b'"\\u0069d"')
    assert wire.answer(escaped)["error"]["code"] == -32600


@pytest.mark.parametrize("number", [b"0", b"-1", b"9007199254740993", b'""', b'"null"', b'"a b"'])
def test_any_other_id_comes_back_as_it_was(number: bytes, wire: Wire) -> None:
    answer = wire.answer(ask(number=number, meta=wire.meta))
    assert answer["id"] == json.loads(number) and type(answer["id"]) is type(json.loads(number))
    assert "result" in answer


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (
            b'[{"jsonrpc":"2.0","id":31,"method":"ping"},{"jsonrpc":"2.0","id":"b","method":"ping"}]',
            [31, "b"],
        ),
        (
            b'[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":5,"method":"x"}]',
            [5],
        ),
        (b'[{"jsonrpc":"2.0","id":1.5,"method":"ping"},7,{"id":2}]', [2]),
        (b"[[[]]]", None),
        (b"[]", None),
        (b"[%b]" % b",".join(b'{"id":%d}' % number for number in range(1001)), None),
    ],
    ids=["two", "with a notification", "with an odd id", "of nothing", "empty", "without end"],
)
def test_of_a_batch_each_id_is_refused(data: bytes, ids: list[int | str] | None, wire: Wire) -> None:
    refused = wire.answer(data)
    errors = [refused] if ids is None else refused
    assert [error["id"] for error in errors] == ([None] if ids is None else ids)
    assert {error["error"]["code"] for error in errors} == {-32600}
    assert "batches" in errors[0]["error"]["message"]


@pytest.mark.parametrize(
    ("data", "number", "code"),
    [
        (b"\xef\xbb\xbf" + ask(number=b"5"), 5, -32600),
        (b"\xef\xbb\xbf" + ask(number=b"null"), None, -32600),
        (b'{"id":4,"method":"ping"}', 4, -32600),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":[]}', "a", -32600),
        (b"7", None, -32600),
        (b"{", None, -32700),
        (b"\xff\xfe{", None, -32700),
        (b"[" * 20_000, None, -32600),
        ('{"é": 1}'.encode("utf-16"), None, -32700),
    ],
    ids=["BOM", "BOM, no id", "no version", "list params", "number", "cut", "no UTF-8", "deep", "UTF-16"],
)
def test_what_is_no_message_gets_the_same_error(data: bytes, number: Any, code: int, wire: Wire) -> None:
    refused = wire.answer(data)
    assert (refused["id"], refused["error"]["code"]) == (number, code)


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        (rb'"a \ud83d b"', "a \ufffd b"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\ud83d\ude00 \ud83d"', "\U0001f600 \ufffd"),
        (b'"bad \xff byte"', "bad \ufffd byte"),
    ],
    ids=["half a pair", "wrong order", "pair and half", "no UTF-8"],
)
def test_damaged_text_is_served(prompt: bytes, read: str, wire: Wire) -> None:
    answer = wire.answer(ask(prompt, meta=wire.meta))
    assert read in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("token", [b"null", b"1.5", b"true", b"{}", b"[]", b'"a"', b"0"])
def test_a_progress_token_that_is_none_is_as_if_it_was_not_there(token: bytes, wire: Wire) -> None:
    assert "result" in wire.answer(ask(token=token, meta=wire.meta))


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "prompts/list", "resources/read"])
@pytest.mark.parametrize("transport", ["stdio", "sse", "http"])
def test_a_request_before_initialize_is_told_what_comes_first(
    method: str, transport: str, sandbox: str, server: Served
) -> None:
    params = {"name": "ask_grok", "arguments": {"prompt": "Hi"}, "uri": "grok://models"}
    early = json.dumps(rpc(8, method, **params)).encode()
    if transport == "stdio":
        with on_stdio(sandbox) as stdio:
            refused = stdio.answer(early)
    else:
        with on_http(server) as http, http.stream("GET", "/sse") as events:
            client = Http(http, {}) if transport == "http" else Sse(http, events.iter_lines())
            refused = client.answer(early)
    assert refused["id"] == 8
    assert "initialize" in refused["error"]["message"]


def test_no_word_of_a_message_is_logged(server: Served) -> None:
    odd = (
        f'"{SECRET}"',
        f'{{"{SECRET}":',
        f'{{"jsonrpc":"2.0","id":null,"method":"{SECRET}"}}',
        f"[{SECRET}]",
    )
    with on_http(server) as http, http.stream("GET", "/sse") as events:
        sse = Sse(http, events.iter_lines())
        for text in odd:
            assert "error" in sse.answer(text.encode())
            assert "error" in Http(http, {}).answer(text.encode())
        notes = (f"notifications/{SECRET}", "notifications/cancelled", "notifications/progress")
        for method in notes:
            note = {"jsonrpc": "2.0", "method": method, "params": {"requestId": [SECRET], "a": SECRET}}
            assert http.post(sse.path, json=note).status_code == 202
        assert "error" in sse.answer(json.dumps(rpc(1, "tools/call", name=SECRET)).encode())
        assert http.post(f"/messages/?session_id={SECRET}", json=INITIALIZED).status_code == 400
    assert not [line for line in server.lines if SECRET in line]
