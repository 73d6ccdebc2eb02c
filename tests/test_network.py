"""What lies below HTTP: TLS, proxies, connections that are used again, answers that come too fast."""

import asyncio
import os
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
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from grok_mcp.endpoint.failures import Endpoint as Named
from grok_mcp.endpoint.proxied import CALLS_PER_POOL
from grok_mcp.endpoint.upstream import Timeouts, Upstream
from grok_mcp.serving.http.jwks import IssuerKeys, KeysUnavailableError
from tests.support.endpoint import Endpoint, Reply, chat
from tests.support.host import host_on
from tests.support.loops import anyio_backend
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

__all__ = ["anyio_backend"]


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


async def test_closing_waits_for_no_farewell_in_tls(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    live = Reply(chat("Hi.", finish=None, done=False).pieces, end="hang")
    async with Endpoint(live) as endpoint, tls_before(endpoint, certificate) as url:
        upstream = Upstream(Named("The endpoint"), "key", Timeouts(30, 30))
        async with upstream.stream(f"{url}/chat/completions", {}, {}) as answer:
            payloads = answer.payloads()
            await anext(payloads)
            assert endpoint.open == 1
            with within(2):
                await upstream.aclose()
                await until(lambda: endpoint.open == 0)
            with pytest.raises(httpx2.RemoteProtocolError):
                await anext(payloads)


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


async def test_a_crowd_goes_out_at_once_and_its_connections_are_used_again_and_closed_when_idle() -> None:
    crowd = 200
    reply = Reply(chat("Hi.").pieces, hold=0)
    async with Endpoint(reply) as endpoint:
        upstream = Upstream(Named("The endpoint"), "key", Timeouts(30, 30), idle_s=0.5)
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
        for _ in range(5):
            await call()
        assert endpoint.connections == crowd
        await until(lambda: endpoint.open == 0)
        await call()
        assert endpoint.connections == crowd + 1
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


@pytest.mark.parametrize(
    "exempt", ["", "grok.invalid", ".invalid", "*", "grok.invalid:80", "a, GROK.invalid"]
)
async def test_a_proxy_of_the_environment_is_used_unless_the_host_is_exempt(
    exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Endpoint(chat("Through.")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        if exempt:
            monkeypatch.setenv("NO_PROXY", exempt)
        async with host_on("http://grok.invalid:80/v1", max_retries=0) as host:
            result = await host.ask()
    if exempt:
        assert result.error["code"] == "connection"
        assert proxy.requests == []
    else:
        assert "Through." in result.text
        assert proxy.requests[0].path == "http://grok.invalid/v1/chat/completions"


async def test_a_crowd_goes_through_a_proxy_at_once_and_leaves_a_few_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = 40
    reply = Reply(chat("Hi.").pieces, hold=0)
    async with Endpoint(reply) as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        upstream = Upstream(Named("The endpoint"), "key", Timeouts(30, 30))

        async def call() -> None:
            async with upstream.stream("http://grok.invalid/v1/chat/completions", {}, {}) as answer:
                assert len([payload async for payload in answer.payloads()]) == 2
                await answer.drain()

        async with anyio.create_task_group() as group:
            for _ in range(crowd):
                group.start_soon(call)
            await until(lambda: len(proxy.requests) == crowd)
            reply.release.set()
        await until(lambda: proxy.open <= CALLS_PER_POOL)
        before = proxy.connections
        await call()
        assert proxy.connections == before
        await upstream.aclose()
        await until(lambda: proxy.open == 0)


def clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word about proxies and certificates, in whatever case."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


async def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[str, str]:
    """The code and the sentence of a call to an endpoint far away, in that environment alone."""
    clear(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with host_on("https://grok.invalid/v1", max_retries=0, connect_timeout=3) as host:
        result = await host.ask()
    return result.error["code"], result.error["message"]


NO_SOCKS = pytest.mark.skipif(find_spec("socksio") is not None, reason="SOCKS is served here")


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        pytest.param("socks5://127.0.0.1:9", "pip install 'grok-mcp-server[socks]'", marks=NO_SOCKS),
        pytest.param("socks5h://joe:hunter2@127.0.0.1:9", "[socks]", marks=NO_SOCKS),
        ("socks://127.0.0.1:9", "socks is no kind of proxy"),
        ("socks4://127.0.0.1:9", "socks4 is no kind of proxy"),
        ("ftp://joe:hunter2@127.0.0.1", "ftp is no kind of proxy"),
        ("quic://127.0.0.1:9", "quic is no kind of proxy"),
        ("http://", "not the address of a proxy"),
        ("://", "not the address of a proxy"),
        ("http://[::1", "not the address of a proxy"),
        ("http://proxy.example:3128\r", "not the address of a proxy"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_that_can_not_be_used_is_told_by_its_variable(
    variable: str, proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, message = await refusal(monkeypatch, **{variable: proxy})
    assert code == "configuration"
    assert message.startswith(f"{variable} can't be used: ") and said in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "variables",
    [
        {"ALL_PROXY": "socks://127.0.0.1:9", "NO_PROXY": "grok.invalid"},
        {"ALL_PROXY": "socks://127.0.0.1:9", "NO_PROXY": "*"},
        {"ALL_PROXY": "socks://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
        {"HTTP_PROXY": "ftp://127.0.0.1:9"},
        {"HTTPS_PROXY": "127.0.0.1:9"},
        {"HTTPS_PROXY": "HTTP://127.0.0.1:9"},
        {"HTTPS_PROXY": " "},
        *(
            {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": exempt}
            for exempt in (
                *(
                    "::1",
                    "[::1]",
                    "[::1]:80",
                    "fd07:b51a:cc66:f0::/64",
                    "[fd00::]/8",
                    "::/0",
                    "::ffff:1.2.3.4/96",
                ),
                *(
                    "127.0.0.0/8",
                    "127.0.0.1/99",
                    "[::1",
                    "http://[",
                    "://",
                    "*:*",
                    "%zz",
                    ", ,,",
                    "фoo",
                    "\r",
                    "a b",
                ),
            )
        ),
    ],
    ids=str,
)
async def test_what_does_not_matter_for_this_endpoint_does_no_harm(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await refusal(monkeypatch, **variables))[0] == "connection"


def certificates(tmp_path: Path, kind: str) -> str:
    """What SSL_CERT_FILE or SSL_CERT_DIR names, of some unusable kind."""
    path = tmp_path / "named"
    match kind:
        case "no PEM":
            path.write_text("hello")
        case "empty":
            path.write_bytes(b"")
        case "DER":
            path.write_bytes(b"0\x82\x01\x00")
        case "cut":
            path.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            return "/dev/zero"
        case "huge":
            with path.open("wb") as file:
                file.truncate(1 << 30)
    return str(path)


BAD_CERTIFICATES = [
    *(("SSL_CERT_FILE", kind) for kind in ("nowhere", "no PEM", "empty", "DER", "cut", "folder", "huge")),
    *(("SSL_CERT_FILE", kind) for kind in ("pipe", "device") if sys.platform != "win32"),
    *(("SSL_CERT_DIR", kind) for kind in ("nowhere", "folder", "no PEM")),
]


@pytest.mark.parametrize(("variable", "kind"), BAD_CERTIFICATES)
async def test_certificates_that_can_not_be_used_are_told_by_their_variable(
    variable: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, message = await refusal(monkeypatch, **{variable: certificates(tmp_path, kind)})
    assert (code, message.partition(":")[0]) == ("configuration", f"{variable} can't be used")


@pytest.mark.parametrize(("variable", "kind"), BAD_CERTIFICATES)
async def test_the_keys_of_an_issuer_are_then_not_fetched_and_the_log_names_the_variable(
    variable: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clear(monkeypatch)
    monkeypatch.setenv(variable, certificates(tmp_path, kind))
    keys = IssuerKeys("https://issuer.invalid", None)
    for _ in range(3):
        with pytest.raises(KeysUnavailableError):
            await keys.find("rsa")
    (record,) = caplog.records
    assert f"[configuration] {variable} can't be used: " in record.getMessage()
    assert record.exc_info is None


async def test_a_proxy_that_can_not_be_used_is_told_for_the_keys_of_an_issuer_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clear(monkeypatch)
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:9")
    with pytest.raises(KeysUnavailableError):
        await IssuerKeys("https://issuer.invalid", "https://issuer.invalid/keys").find("rsa")
    assert "ALL_PROXY can't be used" in caplog.text


async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint(chat("Direct.")) as endpoint, Endpoint() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        async with host_on(endpoint) as host:
            assert "Direct." in (await host.ask()).text
    assert proxy.requests == []
