"""What attackers send: each is refused with the right status, nothing leaks, and the server serves on.

Tokens have a file of their own, `test_tokens.py`.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from grok_mcp import bounds
from grok_mcp.serving.http.guards import TimedBody
from tests.network.place import MAX_BODY_BYTES, Place
from tests.network.server import (
    BOTH_FORMS,
    INITIALIZE,
    chunked,
    exchange,
    in_process,
    modern,
    rpc,
    wire,
)

LIST = json.dumps(modern(1, "tools/list")["json"]).encode()
TOO_MUCH = b" " * (MAX_BODY_BYTES + 1)
CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}
LEGACY = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Method": None}
NOBODY_S_SESSION = "0" * 32
EVIL = "http://evil.example"

ATTACKS: dict[str, tuple[int, dict[str, Any]]] = {
    # 0: refused while it still comes, so that the refusal is not always read
    "rebinding: the host is another": (421, {"headers": {"Host": "evil.example"}}),
    "rebinding: the host only begins like ours": (421, {"headers": {"Host": "localhost.evil.example"}}),
    "rebinding: the port is ours, the host is not": (421, {"headers": {"Host": "evil.example:443"}}),
    "rebinding: the origin is another": (403, {"extra": [("Origin", EVIL)]}),
    "rebinding: the origin is a file": (403, {"extra": [("Origin", "null")]}),
    "rebinding: the origin only begins like ours": (
        403,
        {"extra": [("Origin", "https://grok.example.evil.example")]},
    ),
    "rebinding on the way to a session of SSE": (421, {"headers": {"Host": "evil.example"}, "path": "/sse"}),
    "rebinding of a message": (403, {"extra": [("Origin", EVIL)], "path": "/messages/?session_id=0"}),
    "no host": (400, {"headers": {"Host": None}}),
    "no host, in HTTP/1.0": (421, {"headers": {"Host": None}, "version": "HTTP/1.0"}),
    "two hosts": (400, {"extra": [("Host", "evil.example")]}),
    "a body larger than it may be": (413, {"body": TOO_MUCH}),
    "a body that is said to be larger": (413, {"headers": {"Content-Length": "99999999999"}}),
    "a body that is larger than was said, in chunks": (413, {"headers": CHUNKED, "body": chunked(TOO_MUCH)}),
    "a message larger than it may be": (413, {"body": TOO_MUCH, "path": "/messages/?session_id=0"}),
    "a length below zero": (400, {"headers": {"Content-Length": "-1"}}),
    "a length with a sign": (400, {"headers": {"Content-Length": f"+{len(LIST)}"}}),
    "smuggling: two lengths": (400, {"extra": [("Content-Length", "3")]}),
    "smuggling: chunks in chunks": (
        400,
        {"headers": CHUNKED | {"Transfer-Encoding": "chunked, chunked"}, "body": chunked(LIST)},
    ),
    "smuggling: an encoding that hides": (
        400,
        {"headers": CHUNKED | {"Transfer-Encoding": "xchunked"}, "body": chunked(LIST)},
    ),
    "smuggling: a space before the colon": (400, {"extra": [("Transfer-Encoding ", "chunked")]}),
    "smuggling: a line end in a chunk's length": (400, {"headers": CHUNKED, "body": b"1;\rx\n0\r\n\r\n"}),
    "a zero byte in a header": (400, {"extra": [("X", "a\0b")]}),
    "a flood of headers": (0, {"extra": [(f"X-{number}", "y" * 1000) for number in range(400)]}),
    "malformed JSON": (400, {"body": b"{"}),
    "no JSON at all": (400, {"body": b""}),
    "JSON as deep as a well": (400, {"body": b"[" * 20_000}),
    "JSON in another encoding": (400, {"body": '{"é": 1}'.encode("utf-16")}),
    "a number": (400, {"body": b"5"}),
    "a batch": (400, {"body": b"[%s,%s]" % (LIST, LIST)}),
    "a batch of 2025": (400, {"headers": LEGACY, "body": b"[%s]" % LIST}),
    "malformed JSON of 2025": (400, {"headers": LEGACY, "body": b"{"}),
    "a call of 2025 without a session": (400, {"headers": LEGACY}),
    "an unknown method": (
        404,
        {
            "headers": {"Mcp-Method": "no/such"},
            "body": json.dumps(modern(1, "no/such")["json"]).encode(),
        },
    ),
    "a method that is not what the header says": (400, {"headers": {"Mcp-Method": "tools/call"}}),
    "an unknown version": (400, {"headers": {"MCP-Protocol-Version": "1999-01-01"}}),
    "another content type": (400, {"headers": {"Content-Type": "text/plain"}}),
    "no content type": (400, {"headers": {"Content-Type": None}}),
    "a form": (400, {"headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
    "a client that takes no JSON": (406, {"headers": {"Accept": "text/html"}}),
    "TRACE": (405, {"method": "TRACE"}),
    "CONNECT": (404, {"method": "CONNECT", "path": "evil.example:443"}),
    "PUT": (405, {"method": "PUT"}),
    "PATCH": (405, {"method": "PATCH"}),
    "an unknown verb": (405, {"method": "STEAL"}),
    "TRACE of SSE": (405, {"method": "TRACE", "path": "/sse"}),
    "POST to SSE": (405, {"path": "/sse"}),
    "PUT of a message": (405, {"method": "PUT", "path": "/messages/"}),
    "TRACE of health": (405, {"method": "TRACE", "path": "/healthz"}),
    "a proxy's request": (404, {"path": f"{EVIL}/mcp"}),
    "a preface of HTTP/2": (404, {"method": "PRI", "path": "*", "version": "HTTP/2.0"}),
    "a version of HTTP that is none": (400, {"version": "HTTP/x"}),
    "a session of 2025 that does not exist": (
        404,
        {"headers": LEGACY, "extra": [("Mcp-Session-Id", NOBODY_S_SESSION)]},
    ),
    "a message without a session": (400, {"path": "/messages/"}),
    "a message to a session that is a path": (400, {"path": "/messages/?session_id=../../etc/passwd"}),
    "a message to a session that does not exist": (
        404,
        {"path": f"/messages/?session_id={NOBODY_S_SESSION}"},
    ),
    "two slashes": (404, {"path": f"//messages/?session_id={NOBODY_S_SESSION}"}),
    "two slashes inside": (404, {"path": f"/messages//?session_id={NOBODY_S_SESSION}"}),
    "a way up": (404, {"path": "/messages/../mcp"}),
    "a way up, encoded": (404, {"path": "/messages/%2e%2e/mcp"}),
    "a way up, encoded twice": (404, {"path": "/messages/%252e%252e/mcp"}),
    "a way to a file": (404, {"path": "/messages/..%2f..%2fetc%2fpasswd", "method": "GET"}),
    "a backslash": (404, {"path": "/messages\\..\\mcp"}),
    "a zero byte in a path": (404, {"path": "/messages/%00"}),
    "capitals in a path": (404, {"path": "/MCP"}),
    "a parameter in a path": (404, {"path": "/mcp;admin"}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str, place: Place) -> None:
    status, how = ATTACKS[name]
    if how.get("path") == "/sse" and status == 421:
        how = {**how, "method": "GET"}
    headers = place.headers() | how.get("headers", {})
    refused = place.send(wire(**{**how, "headers": headers}))
    assert refused.status in ((0, 400) if status == 0 else (status,)), refused
    place.still_serves()


def test_a_tls_handshake_gets_no_further_than_one_in_clear(place: Place) -> None:
    assert place.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)).status == 400
    place.still_serves()


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (400, {"headers": CHUNKED | {"Content-Length": str(len(LIST))}, "body": chunked(LIST)}),
        (431, {"extra": [(f"X-{number}", "y") for number in range(bounds.HEADERS)]}),
        (431, {"extra": [("X", "y" * 40_000)]}),
    ],
    ids=["smuggling: a length and chunks", "many headers", "one long header"],
)
def test_headers_that_arrive_at_once_are_checked_as_well(status: int, how: dict[str, Any]) -> None:
    with in_process() as url:
        assert exchange(url, wire(**how)).status == status
        assert exchange(url, wire()).status == 200


@pytest.mark.parametrize("how", [{}, {"headers": CHUNKED}], ids=["with a length", "in chunks"])
def test_a_body_that_does_not_arrive_is_not_waited_for(how: dict[str, Any]) -> None:
    with in_process(lambda app: TimedBody(app, limit_s=0.3)) as url:
        started = time.monotonic()
        refused = exchange(url, wire(**how)[: -len(LIST)] + (b"" if how else LIST[:5]))
        assert (refused.status, refused.headers["connection"]) == (408, "close")
        assert 0.3 <= time.monotonic() - started < 5
        assert exchange(url, wire()).status == 200


def test_a_large_body_has_more_time() -> None:
    """A hundred kilobytes have more than a second beyond the limit, at the slowest rate that is borne."""
    with in_process(lambda app: TimedBody(app, limit_s=0.3)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        sent = wire(body=LIST + b" " * 100_000)
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(sent[:-1])
            connection.settimeout(0.8)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(10)
            connection.sendall(sent[-1:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


@contextmanager
def session_of_2025(place: Place, name: str) -> Iterator[httpx2.Client]:
    """An HTTP client in a session that belongs to this caller."""
    headers = {
        "Accept": BOTH_FORMS,
        "MCP-Protocol-Version": "2025-11-25",
        "Authorization": f"Bearer {place.tokens[name]}",
    }
    with httpx2.Client(base_url=place.server.url, headers=headers) as http:
        http.headers["Mcp-Session-Id"] = http.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]
        yield http


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_stolen_session_is_of_no_use(method: str, place: Place) -> None:
    with session_of_2025(place, "alice") as http:
        stolen = LEGACY | {"Mcp-Session-Id": http.headers["Mcp-Session-Id"]}
        refused = place.send(wire(place.headers("bob") | stolen, method=method))
        assert refused.status == 404
        never = place.send(wire(place.headers("bob") | stolen | {"Mcp-Session-Id": NOBODY_S_SESSION}))
        assert never.status == 404
        assert http.post("/mcp", json=rpc(2, "ping")).status_code == 200


def test_a_session_of_sse_takes_messages_of_its_owner_only(place: Place) -> None:
    headers = {"Authorization": f"Bearer {place.tokens['alice']}"}
    message = json.dumps(rpc(1, "ping")).encode()
    with httpx2.Client(base_url=place.server.url, headers=headers) as http:
        with http.stream("GET", "/sse") as events:
            lines = events.iter_lines()
            path = next(line for line in lines if line.startswith("data: ")).removeprefix("data: ")
            stolen = place.send(wire(place.headers("bob"), path=path, body=message))
            nowhere = f"/messages/?session_id={NOBODY_S_SESSION}"
            never = place.send(wire(place.headers("bob"), path=nowhere, body=message))
            assert (stolen.status, stolen.body) == (404, never.body)
            assert place.send(wire(place.headers(), path=path, body=message)).status == 202
            assert json.loads(next(line for line in lines if "jsonrpc" in line)[6:])["result"] == {}
    place.still_serves()


def test_a_conversation_of_another_caller_is_as_if_it_was_not_there(place: Place) -> None:
    alice, bob = place.tokens["alice"], place.tokens["bob"]
    handle = place.call(alice)["_meta"]["grok-mcp/answer"]["conversation_id"]
    stolen = place.call(bob, conversation_id=handle)
    never = place.call(bob, conversation_id="conv_of-nobody")
    assert stolen["isError"] and stolen["content"] == never["content"]
    assert stolen["_meta"]["grok-mcp/error"]["code"] == "conversation_not_found"
    by_jwt = place.call(place.issuer.token(), conversation_id=handle)
    assert by_jwt["_meta"]["grok-mcp/error"]["code"] == "conversation_not_found"
    assert not place.call(alice, conversation_id=handle)["isError"]


def test_each_request_of_a_pipeline_is_checked_by_itself(place: Place) -> None:
    with socket.create_connection(("127.0.0.1", place.server.port), 10) as connection:
        connection.sendall(wire(place.headers() | {"Connection": "keep-alive"}) + wire())
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"401"]
    place.still_serves()
