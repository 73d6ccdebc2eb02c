"""HTTP as endpoints really speak it: every form that is read, every way it breaks, and what we send."""

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from grok_mcp.endpoint.failures import Endpoint as Named
from grok_mcp.endpoint.upstream import Timeouts, Upstream
from grok_mcp.errors import ConfigurationError, UpstreamConnectionError
from tests.support.endpoint import chat
from tests.support.host import host_on
from tests.support.loops import anyio_backend
from tests.support.pace import until, within
from tests.support.wire import HEAD, STREAM, Sent, Wire, chunk, sized

pytestmark = pytest.mark.anyio

__all__ = ["anyio_backend"]


def packed(body: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(body) + packer.flush()


def encoded(name: bytes, body: bytes) -> bytes:
    return sized(body, HEAD + b"Content-Encoding: " + name + b"\r\n")


EVENTS = chat("Hi.").pieces
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"".join(map(chunk, EVENTS))
WHOLE = CHUNKED + CHUNKS + b"0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(STREAM)
LONG = b"X: " + b"x" * 60_000 + b"\r\n"
JSON = b'{"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]}'
JSON_HEAD = HEAD.replace(b"text/event-stream", b"application/json")

READ = {
    "with its length": Sent((sized(),)),
    "in chunks": Sent((WHOLE,)),
    "a byte at a time": Sent(tuple(WHOLE[place : place + 1] for place in range(len(WHOLE))), together=False),
    "until the connection ends": Sent((HEAD + b"\r\n" + STREAM,), "close"),
    "until it ends, by HTTP/1.0": Sent((HEAD.replace(b"1.1", b"1.0") + b"\r\n" + STREAM,), "close"),
    "until it ends, in an encoding that is none": Sent(
        (HEAD + b"Transfer-Encoding: identity\r\n\r\n" + STREAM,), "close"
    ),
    "JSON until the connection ends": Sent((JSON_HEAD + b"\r\n" + JSON,), "close"),
    "JSON until it ends, by HTTP/1.0": Sent((JSON_HEAD.replace(b"1.1", b"1.0") + b"\r\n" + JSON,), "close"),
    "with its length, by HTTP/1.0": Sent((sized(head=HEAD.replace(b"1.1", b"1.0")),), "close"),
    "kept alive, by HTTP/1.0": Sent(
        (sized(head=HEAD.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n"),)
    ),
    "closed behind it": Sent((sized(head=HEAD + b"Connection: close\r\n"),), "close"),
    "no reason behind the status": Sent((sized(head=HEAD.replace(b" OK", b"")),)),
    "a reason in Latin-1": Sent((sized(head=HEAD.replace(b"OK", b"D\xe9j\xe0 vu")),)),
    "line feeds for line ends": Sent((sized().replace(b"\r\n", b"\n"),)),
    "line feeds in chunks": Sent((WHOLE.replace(b"\r\n", b"\n"),)),
    "a header in two lines": Sent((sized(head=HEAD + b"X-Long: one\r\n two\r\n"),)),
    "no blank behind a colon": Sent((sized(head=HEAD.replace(b": ", b":")),)),
    "names in capitals": Sent((WHOLE.replace(b"Transfer-Encoding", b"TRANSFER-ENCODING"),)),
    "an empty header": Sent((sized(head=HEAD + b"X-Empty:\r\n"),)),
    "bytes beyond ASCII in a header": Sent((sized(head=HEAD + "X-Name: Grüße\r\n".encode()),)),
    "a header of 60 KB": Sent((sized(head=HEAD + LONG),)),
    "a hundred cookies": Sent((sized(head=HEAD + b"Set-Cookie: a=b\r\n" * 100),)),
    "an offer of HTTP/2": Sent((sized(head=HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),)),
    "100 Continue before it": Sent((b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,)),
    "103 Early Hints before it": Sent((b"HTTP/1.1 103 X\r\nLink: </a>\r\n\r\n", WHOLE), together=False),
    "hints that would mislead": Sent((b"HTTP/1.1 103 X\r\nContent-Encoding: gzip\r\n\r\n" + sized(),)),
    "several of these before it": Sent((b"HTTP/1.1 102 Processing\r\n\r\n" * 5 + sized(),)),
    "trailers": Sent((CHUNKED + CHUNKS + b"0\r\nX-Digest: 1\r\nX: 2\r\n\r\n",)),
    "extensions of chunks": Sent((WHOLE.replace(b"0\r\n\r\n", b"0;last=yes\r\n\r\n"),)),
    "sizes in capitals, with zeros and blanks": Sent(
        (CHUNKED + b"".join(b"000%X  \r\n%b\r\n" % (len(one), one) for one in EVENTS) + b"0\r\n\r\n",)
    ),
    "a length and chunks": Sent((WHOLE.replace(b"Transfer", LENGTH + b"Transfer"),)),
    "more behind the end": Sent((sized() + b"trailing nonsense",)),
    "another response behind the end": Sent((sized() + sized(b"data: {}\n\n"),)),
    "another JSON behind the end": Sent(
        (sized(JSON, JSON_HEAD) + sized(JSON.replace(b"Hi", b"Ho"), JSON_HEAD),)
    ),
    "gzip": Sent((encoded(b"gzip", gzip.compress(STREAM)),)),
    "deflate": Sent((encoded(b"deflate", packed(STREAM, 15)),)),
    "deflate without its header": Sent((encoded(b"deflate", packed(STREAM, -15)),)),
    "identity": Sent((encoded(b"identity", STREAM),)),
}


@pytest.mark.parametrize("sent", READ.values(), ids=READ)
async def test_a_response_in_any_form_is_read_and_the_next_call_finds_a_connection(sent: Sent) -> None:
    async with Wire(sent) as wire, host_on(wire.url, max_retries=0, results="structured") as host:
        for _ in range(2):
            answer = (await host.ask()).structured
            assert (answer["text"], answer["finish_reason"], answer.get("warnings")) == ("Hi.", "stop", None)
    assert len(wire.requests) == 2


KEPT = (
    "with its length",
    "in chunks",
    "kept alive, by HTTP/1.0",
    "100 Continue before it",
    "trailers",
    "gzip",
)


@pytest.mark.parametrize("name", KEPT)
async def test_a_connection_is_used_again_behind_a_response_that_allows_it(name: str) -> None:
    async with Wire(READ[name]) as wire, host_on(wire.url) as host:
        for _ in range(3):
            await host.ask()
    assert wire.connections == 1


CLOSED = "it was closed before the answer was complete"
LOST = "it was lost before the answer was complete"
BROKEN = {
    "nothing": (Sent((), "close"), "connection", CLOSED),
    "a reset for a response": (Sent((), "reset"), "connection", LOST),
    "half a status line": (Sent((b"HTTP/1.1 2",), "close"), "connection", CLOSED),
    "half a head": (Sent((HEAD,), "close"), "connection", CLOSED),
    "only 100 Continue": (Sent((b"HTTP/1.1 100 Continue\r\n\r\n",), "close"), "connection", CLOSED),
    "an alert of TLS": (Sent((b"\x15\x03\x01\x00\x02\x02F",), "hang"), "connection", "it is not HTTP"),
    "settings of HTTP/2": (Sent((b"\0\0\x06\x04" + bytes(11),), "hang"), "connection", "it is not HTTP"),
    "the greeting of SSH": (Sent((b"SSH-2.0-OpenSSH_9.6\r\n",), "hang"), "connection", "it is not HTTP"),
    "a page without a head": (Sent((b"<html>\n",), "hang"), "connection", "it is not HTTP"),
    "another protocol": (
        Sent((b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",), "hang"),
        "connection",
        "another protocol",
    ),
    "a status of letters": (Sent((b"HTTP/1.1 abc OK\r\n\r\n",), "hang"), "connection", "it is not HTTP"),
    "a length of letters": (Sent((HEAD + b"Content-Length: ten\r\n\r\n",), "hang"), "connection", "not HTTP"),
    "two lengths": (Sent((HEAD + LENGTH + b"Content-Length: 3\r\n\r\n",), "hang"), "connection", "not HTTP"),
    "headers without end": (Sent((HEAD + LONG * 20,), "hang"), "connection", "256 KiB of headers"),
    "a header without end": (
        Sent((HEAD + b"X: ", b"x" * 900_000), "hang"),
        "connection",
        "256 KiB of headers",
    ),
    "hints without end": (
        Sent((b"HTTP/1.1 103 X\r\nLink: </abc>\r\n\r\n" * 20_000,), "hang"),
        "connection",
        "256 KiB of headers",
    ),
}
UNFINISHED = b"".join(chat("Hi", finish=None, done=False).pieces)
BROKEN_BODIES = {
    "a length that is not reached": (Sent((HEAD + LENGTH + b"\r\n" + UNFINISHED,), "close"), CLOSED),
    "chunks without an end": (Sent((CHUNKED + chunk(UNFINISHED),), "close"), CLOSED),
    "half a chunk": (Sent((CHUNKED + chunk(UNFINISHED) + b"ff\r\ndata",), "close"), CLOSED),
    "a reset": (Sent((CHUNKED + chunk(UNFINISHED),), "reset"), LOST),
    "a reset until which the body goes": (Sent((HEAD + b"\r\n" + UNFINISHED,), "reset"), LOST),
    "a size of letters": (Sent((CHUNKED + chunk(UNFINISHED) + b"xyz\r\n",), "hang"), "it is not HTTP"),
    "a size below zero": (Sent((CHUNKED + chunk(UNFINISHED) + b"-5\r\n",), "hang"), "it is not HTTP"),
    "a size beyond all": (Sent((CHUNKED + chunk(UNFINISHED) + b"f" * 17 + b"\r\n",), "hang"), "not HTTP"),
    "trailers without end": (
        Sent((CHUNKED + chunk(UNFINISHED), b"0\r\n", LONG * 20), "hang", together=False),
        "256 KiB",
    ),
    "an extension without end": (
        Sent((CHUNKED + chunk(UNFINISHED), b"5;", b"x" * 900_000), "hang", together=False),
        "256 KiB",
    ),
    "nothing more": (Sent((CHUNKED + chunk(UNFINISHED),), "hang"), "was silent for 1 s"),
}


@pytest.mark.parametrize(("sent", "code", "words"), BROKEN.values(), ids=BROKEN)
async def test_what_is_no_response_is_told_and_its_connection_closed(
    sent: Sent, code: str, words: str
) -> None:
    async with Wire(sent) as wire:
        async with host_on(wire.url, max_retries=0) as host:
            error = (await host.ask()).error
            await until(lambda: wire.open == 0)
    assert (error["code"], words in error["message"]) == (code, True), error


@pytest.mark.parametrize(("sent", "words"), BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_body_that_breaks_gives_back_what_had_come(sent: Sent, words: str) -> None:
    async with Wire(sent) as wire:
        async with host_on(wire.url, max_retries=0, idle_timeout=1, results="structured") as host:
            answer = (await host.ask()).structured
            await until(lambda: wire.open == 0)
    assert (answer["text"], answer["finish_reason"]) == ("Hi", "interrupted")
    assert words in "".join(answer["warnings"])


@pytest.mark.parametrize(
    "body",
    [b"no gzip at all", gzip.compress(STREAM, mtime=0)[:12] + b"\xff" * 40],
    ids=["none", "broken behind its head"],
)
async def test_a_compressed_body_that_is_broken_is_an_error(body: bytes) -> None:
    async with Wire(Sent((encoded(b"gzip", body),))) as wire, host_on(wire.url, max_retries=0) as host:
        assert (await host.ask()).raw.is_error


async def test_a_compressed_piece_is_read_when_it_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(UNFINISHED) + packer.flush(zlib.Z_SYNC_FLUSH)
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    async with Wire(Sent((head + chunk(first),), "hang")) as wire:
        upstream = Upstream(Named("It"), "key", Timeouts(5, 30))
        async with upstream.stream(f"{wire.url}/chat/completions", {}, {}) as reply:
            with within(5):
                assert (await anext(reply.payloads()))["choices"][0]["delta"]["content"] == "Hi"
        await upstream.aclose()


# ------------------------------------------------------------------------------------- connections


async def test_a_connection_that_was_closed_while_idle_is_not_taken_and_nothing_is_asked_twice() -> None:
    closing = Sent((sized(),), "close")  # without a word about it in the head
    async with Wire(closing) as wire, host_on(wire.url, max_retries=0) as host:
        for _ in range(3):
            assert (await host.ask()).text.startswith("Hi.")
            await until(lambda: wire.open == 0)
    assert (len(wire.requests), wire.connections) == (3, 3)


async def test_a_connection_over_which_something_comes_unasked_is_not_taken() -> None:
    async with Wire(Sent((sized(),))) as wire, host_on(wire.url, max_retries=0) as host:
        await host.ask()
        await wire.tell(sized(head=b"HTTP/1.1 408 Request Timeout\r\n"))
        with within(2):  # before it would be closed for being idle
            await until(lambda: wire.open == 0)
        assert (await host.ask()).text.startswith("Hi.")
    assert (len(wire.requests), wire.connections) == (2, 2)


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("retries", [0, 1])
async def test_a_request_that_has_gone_out_over_a_dying_connection_is_the_pipelines_to_repeat(
    then: Any, retries: int
) -> None:
    async with Wire(Sent((sized(),)), Sent((), then), Sent((sized(),))) as wire:
        async with host_on(wire.url, max_retries=retries) as host:
            await host.ask()
            result = await host.ask()
    if retries:
        assert result.text.startswith("Hi.")
    else:
        assert result.error["code"] == "connection"
    assert len(wire.requests) == 2 + retries


@asynccontextmanager
async def live_streams(upstream: Upstream, url: str, number: int) -> AsyncIterator[list[Any]]:
    """So many answers whose first piece has come."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(number):
            reply = await stack.enter_async_context(upstream.stream(url, {}, {}))
            streams.append(reply.payloads())
            await anext(streams[-1])
        yield streams
        for stream in streams:
            await stream.aclose()


async def test_an_endpoint_that_hangs_up_before_it_has_heard_anything_is_not_waited_for() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with host_on(url, max_retries=0, idle_timeout=60) as host:
            for _ in range(20):
                with within(10):
                    assert (await host.ask()).error["code"] == "connection"


@pytest.mark.parametrize("begun", [CHUNKED + chunk(UNFINISHED), HEAD + b"\r\n" + UNFINISHED])
async def test_closing_ends_streams_that_are_being_read_at_once_and_none_of_them_well(begun: bytes) -> None:
    async with Wire(Sent((begun,), "hang")) as wire:
        upstream = Upstream(Named("It"), "key", Timeouts(5, 60))
        async with live_streams(upstream, f"{wire.url}/chat/completions", 20) as streams:
            assert wire.open == 20
            with within(2):
                await upstream.aclose()
                await until(lambda: wire.open == 0)
            for stream in streams:
                with pytest.raises(httpx2.RemoteProtocolError):
                    await anext(stream)


async def test_a_request_that_the_endpoint_does_not_take_in_is_given_up() -> None:
    slow = Sent((), "hang", reads_body=False)
    async with Wire(slow) as wire, host_on(wire.url, max_retries=0, idle_timeout=0.5) as host:
        error = (await host.ask("word " * 1_500_000)).error
    assert (error["code"], "not taken in time" in error["message"]) == ("connection", True)


async def test_a_refusal_that_comes_while_the_request_is_still_going_out_is_told() -> None:
    early = Sent((sized(b"Too long.", b"HTTP/1.1 413 X\r\n"),), "hang", reads_body=False)
    async with Wire(early) as wire:
        async with host_on(wire.url, max_retries=0, idle_timeout=5) as host:
            error = (await host.ask("word " * 1_500_000)).error
    assert (error["code"], "Too long" in error["message"]) == ("invalid_argument", True)


# ------------------------------------------------------------------------------------- what goes out


async def test_a_request_has_the_head_that_it_is_meant_to_have() -> None:
    async with Wire(Sent((sized(),))) as wire, host_on(wire.url) as host:
        await host.ask()
    start, *lines = wire.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    named = [line.partition(": ")[0] for line in lines]
    assert start == "POST /v1/chat/completions HTTP/1.1"
    assert lines[0] == f"Host: 127.0.0.1:{wire.port}"
    assert named[1:4] == ["User-Agent", "Accept-Encoding", "Authorization"]
    assert sorted(set(named)) == sorted(named)
    assert "Cookie" not in named and "Connection" not in named


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("hunter2\r\nX-Admin: yes", "http://127.0.0.1:9/v1"),
        ("hunter2\n", "http://127.0.0.1:9/v1"),
        ("hunter2\0", "http://127.0.0.1:9/v1"),
        ("hunter2", "ftp://127.0.0.1:9/v1"),
        ("hunter2", "http:///v1"),
        ("hunter2", "http://[::1/v1"),
    ],
)
async def test_a_request_that_can_not_be_made_is_a_matter_of_configuration(key: str, url: str) -> None:
    upstream = Upstream(Named("It", secrets=("hunter2",)), key, Timeouts(5, 5))
    with pytest.raises(ConfigurationError) as raised:
        await upstream.get(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/v1", "could not be made"),
        ("http://nowhere.invalid/v1", "could not be made"),
        (f"http://{'a' * 64}.invalid/v1", "could not be made"),
        ("http://[::1]:9/v1", "could not be made"),
    ],
)
async def test_a_connection_that_can_not_be_made_is_told_as_that(url: str, words: str) -> None:
    upstream = Upstream(Named("It"), "key", Timeouts(5, 5))
    with pytest.raises(UpstreamConnectionError, match=words):
        await upstream.get(url)


async def test_connecting_ends_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.3", 0))
        full.listen(0)
        with ExitStack() as queued:
            for _ in range(4):  # whoever comes behind these gets no answer at all
                waiting = queued.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            upstream = Upstream(Named("It"), "key", Timeouts(0.3, 30))
            with within(5), pytest.raises(UpstreamConnectionError, match="too long to connect"):
                await upstream.get(f"http://127.0.0.3:{full.getsockname()[1]}/v1")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models?api-version=2026-01-01&q=a%20b+c",
        "/v1/m%2Fodels/%7Egrok/a%2fb",
        "/v1/mod:els@x;p=1/a=b,c",
        "/v1//models",
    ],
)
async def test_an_address_goes_out_as_it_is(path: str) -> None:
    async with Wire(Sent((sized(b"{}"),))) as wire:
        upstream = Upstream(Named("It"), None, Timeouts(5, 5))
        await upstream.get(wire.url.removesuffix("/v1") + path)
        await upstream.aclose()
    assert wire.requests[0].split(b" ")[1].decode() == path


async def test_a_redirect_is_not_followed() -> None:
    there = Sent((sized(b"", b"HTTP/1.1 307 X\r\nLocation: /elsewhere\r\n"),))
    async with Wire(there) as wire, host_on(wire.url, max_retries=0) as host:
        assert "Redirects are not followed" in (await host.ask()).text
    assert all(b"POST /v1/" in request for request in wire.requests)


async def test_a_cookie_is_not_kept() -> None:
    cookie = Sent((sized(head=HEAD + b"Set-Cookie: session=1; Path=/\r\n"),))
    async with Wire(cookie) as wire, host_on(wire.url) as host:
        await host.ask()
        await host.ask()
    assert b"session" not in wire.requests[1]


def serves_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not serves_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv6_address_is_reached() -> None:
    async with Wire(Sent((sized(),)), host="::1") as wire, host_on(wire.url) as host:
        assert (await host.ask()).text.startswith("Hi.")
    assert f"Host: [::1]:{wire.port}\r\n".encode() in wire.requests[0]


async def test_a_login_in_the_address_is_sent_as_one_and_not_shown() -> None:
    async with Wire(Sent((sized(),)), Sent((), "close")) as wire:
        async with host_on(wire.url.replace("//", "//joe:hunter2@"), max_retries=0) as host:
            assert (await host.ask()).text.startswith("Hi.")
            assert "hunter2" not in str((await host.ask()).error)
    assert b"Authorization: Basic am9lOmh1bnRlcjI=\r\n" in wire.requests[0]
    assert b"@" not in wire.requests[0].split(b"Host: ")[1].split(b"\r\n")[0]


async def test_a_call_goes_on_while_many_others_wait() -> None:
    """No bound on connections: each of these has one of its own at the same time."""
    async with Wire(Sent((CHUNKED + chunk(UNFINISHED),), "hang")) as wire:
        upstream = Upstream(Named("It"), "key", Timeouts(5, 60))
        async with live_streams(upstream, f"{wire.url}/chat/completions", 150):
            assert wire.open == wire.connections == 150
            with anyio.CancelScope() as scope:
                async with upstream.stream(f"{wire.url}/chat/completions", {}, {}) as reply:
                    assert await anext(reply.payloads())
                    assert wire.open == 151
                    scope.cancel()
                    await anyio.sleep(0)
            await until(lambda: wire.open == 150)
        with pytest.raises(UpstreamConnectionError):
            async with upstream.stream("http://127.0.0.1:9/v1", {}, {}):
                pass
        await upstream.aclose()
