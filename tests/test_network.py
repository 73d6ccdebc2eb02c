"""What lies below HTTP: TLS, proxies, connections that are used again, answers that come too fast."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import anyio.streams.tls
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from grok_mcp.endpoint.failures import Endpoint as Named
from grok_mcp.endpoint.upstream import CALLS_PER_POOL, Timeouts, Upstream
from tests.support.endpoint import Endpoint, Reply, chat
from tests.support.host import host_on
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(
        ("asyncio", {"use_uvloop": True}),
        id="uvloop",
        marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not for this system"),
    ),
]


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both event loops that the server runs on."""
    return request.param


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a fresh certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@asynccontextmanager
async def tls_before(endpoint: Endpoint, certificate: Path) -> AsyncIterator[str]:
    """An https address in front of an endpoint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    serving = anyio.streams.tls.TLSListener(listener, context, standard_compatible=False)
    async with anyio.create_task_group() as group:
        group.start_soon(serving.serve, endpoint.serve_connection)
        yield f"https://127.0.0.1:{port}/v1"
        group.cancel_scope.cancel()
    await serving.aclose()


async def test_an_endpoint_is_reached_by_tls_and_its_connection_is_used_again(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    long = "Well. " * 100_000
    async with Endpoint(chat("Hi."), chat(long)) as endpoint, tls_before(endpoint, certificate) as url:
        async with host_on(url, results="structured", max_result_chars=0) as host:
            assert (await host.ask()).structured["text"] == "Hi."
            assert (await host.ask()).structured["text"] == long
    assert endpoint.connections == 1


async def test_a_certificate_that_nobody_vouches_for_is_a_connection_error_and_the_key_stays_here(
    certificate: Path,
) -> None:
    async with Endpoint(chat("Hi.")) as endpoint, tls_before(endpoint, certificate) as url:
        async with host_on(url, max_retries=0) as host:
            result = await host.ask()
    assert result.error["code"] == "connection"
    assert "certificate" in result.text.lower()
    assert endpoint.requests == []


async def test_plain_http_where_tls_is_expected_is_a_connection_error() -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        async with host_on(endpoint.url.replace("http:", "https:"), max_retries=0) as host:
            assert (await host.ask()).error["code"] == "connection"


async def test_a_connection_is_used_for_one_call_after_another() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint) as host:
        for _ in range(5):
            await host.ask()
    assert (len(endpoint.requests), endpoint.connections) == (5, 1)


async def test_a_connection_that_the_endpoint_has_closed_meanwhile_is_not_used_again() -> None:
    closing = Reply(chat("Hi.").pieces, headers={"Connection": "close"})
    async with Endpoint(closing, chat("Again.")) as endpoint, host_on(endpoint, max_retries=0) as host:
        await host.ask()
        assert "Again." in (await host.ask()).text
    assert endpoint.connections == 2


async def test_the_connections_that_a_crowd_has_left_behind_are_closed_but_for_those_of_one_pool() -> None:
    crowd = 3 * CALLS_PER_POOL
    reply = Reply(chat("Hi.").pieces, hold=0)
    async with Endpoint(reply) as endpoint:
        upstream = Upstream(Named("The endpoint"), "key", Timeouts(30, 30), idle_pool_s=0.05)
        url = f"{endpoint.url}/chat/completions"

        async def call() -> None:
            async with upstream.stream(url, {}, {}) as answer:
                assert len([payload async for payload in answer.payloads()]) == 2
                await answer.drain()

        async with anyio.create_task_group() as group:
            for _ in range(crowd):
                group.start_soon(call)
            await until(lambda: len(endpoint.requests) == crowd)
            assert endpoint.open == crowd
            reply.release.set()
        await until(lambda: endpoint.open <= CALLS_PER_POOL)
        assert endpoint.open > 0
        await call()
        assert endpoint.connections == crowd, "the pool that is kept is used again"
        await upstream.aclose()
        await until(lambda: endpoint.open == 0)


@asynccontextmanager
async def nothing_tidied_up() -> AsyncIterator[None]:
    """Streams that are left half read stay open: the event loop does not close what nobody refers to."""
    left: list[Any] = []
    loop_closes = sys.get_asyncgen_hooks().finalizer
    sys.set_asyncgen_hooks(finalizer=left.append)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(finalizer=loop_closes)
        for stream in left:
            await stream.aclose()


async def test_the_response_to_a_refusal_of_more_than_64_kib_is_closed() -> None:
    refused = Reply((b"very " * 1_639,) * 10, status=400, content_type="text/plain", end="hang")
    async with Endpoint(refused) as endpoint, host_on(endpoint, max_retries=0) as host:
        async with nothing_tidied_up():
            assert (await host.ask()).error["code"] == "invalid_argument"
            with within(5):
                await endpoint.closed.wait()


async def test_an_address_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        port = int(endpoint.url.split(":")[2].partition("/")[0])
        with ExitStack() as sockets:
            dead = sockets.enter_context(socket.socket())
            dead.bind(("127.0.0.2", port))
            dead.listen(0)
            for _ in range(4):  # its queue is full: whoever comes now gets no answer at all
                queued = sockets.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(("127.0.0.2", port))

            loop = type(asyncio.get_running_loop())
            look_up = loop.getaddrinfo

            async def looked_up(self: Any, host: str, *args: Any, **options: Any) -> list[Any]:
                hosts = ("127.0.0.2", "127.0.0.1") if host == "localhost" else (host,)
                return [one for host in hosts for one in await look_up(self, host, *args, **options)]

            monkeypatch.setattr(loop, "getaddrinfo", looked_up)
            async with host_on(f"http://localhost:{port}/v1", connect_timeout=5) as host:
                with within(3):
                    assert "Hi." in (await host.ask()).text


async def test_an_answer_that_comes_faster_than_it_is_read_arrives_whole() -> None:
    piece = chat("x" * 60_000, finish=None, done=False).pieces[0]
    async with Endpoint(Reply((piece,) * 100)) as endpoint:
        async with host_on(endpoint, results="structured", max_result_chars=0) as host:
            assert len((await host.ask()).structured["text"]) == 6_000_000


@pytest.mark.parametrize("exempt", [False, True], ids=["through the proxy", "not through it"])
async def test_a_proxy_of_the_environment_is_used_unless_the_host_is_exempt(
    exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Endpoint(chat("Through.")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        if exempt:
            monkeypatch.setenv("NO_PROXY", "grok.invalid")
        async with host_on("http://grok.invalid/v1", max_retries=0) as host:
            result = await host.ask()
    if exempt:
        assert result.error["code"] == "connection"
        assert proxy.requests == []
    else:
        assert "Through." in result.text
        assert proxy.requests[0].path == "http://grok.invalid/v1/chat/completions"


async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint(chat("Direct.")) as endpoint, Endpoint() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        async with host_on(endpoint) as host:
            assert "Direct." in (await host.ask()).text
    assert proxy.requests == []
