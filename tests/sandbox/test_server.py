import asyncio
import socket
import threading
from time import perf_counter

import httpx2
import pytest

from grok_mcp.sandbox import SandboxServer, create_app

from .wire import parse

KEY = {"Authorization": "Bearer xai-test"}
LONG = {"model": "grok-4.7", "input": "write 20000 words", "stream": True}


def test_it_serves_between_start_and_stop() -> None:
    server = SandboxServer(pace=0)
    url = server.start()
    assert url == server.url
    assert url.startswith("http://127.0.0.1:") and url.endswith("/v1")
    assert httpx2.get(f"{url}/models", headers=KEY).status_code == 200
    server.stop()
    server.stop()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/models", headers=KEY)


def test_every_name_that_is_served_and_not_retired_stands_in_the_list_of_models() -> None:
    server = SandboxServer(pace=0)
    listed = httpx2.get(f"{server.start()}/language-models", headers=KEY).json()["models"]
    served = {name for model in listed for name in (model["id"], *model["aliases"])}
    for name in ("grok-latest", "grok-build-latest", "grok-4.7-latest", "grok-4.20-reasoning"):
        body = {"model": name, "messages": [{"role": "user", "content": "Hi"}]}
        answered = httpx2.post(f"{server.url}/chat/completions", json=body, headers=KEY).json()
        assert name in served and answered["choices"]
    server.stop()


def test_a_second_start_replaces_the_first() -> None:
    server = SandboxServer(pace=0)
    first, second = server.start(), server.start()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{first}/models", headers=KEY)
    assert httpx2.get(f"{second}/models", headers=KEY).status_code == 200
    server.stop()


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        SandboxServer(taken.getsockname()[1]).start()


def test_stop_is_quick_while_streams_are_open_and_leaves_no_thread() -> None:
    before = threading.active_count()
    server = SandboxServer(pace=30)
    with (
        httpx2.Client(base_url=server.start(), headers=KEY) as client,
        pytest.raises(httpx2.TransportError),
        client.stream("POST", "responses", json=LONG) as reply,
    ):
        pieces = reply.iter_bytes()
        next(pieces)
        start = perf_counter()
        server.stop()
        assert perf_counter() - start < 1
        next(pieces)
    assert threading.active_count() == before


def test_a_stream_stops_when_its_client_is_gone() -> None:
    """Counts what the app sends to a client that leaves after the third piece."""
    sent: list[bytes] = []

    async def run() -> None:
        gone = asyncio.Event()
        body = b'{"model": "grok-4.7", "input": "write 5000 words", "stream": true}'
        requests = [{"type": "http.request", "body": body}]

        async def receive() -> dict[str, object]:
            if requests:
                return dict(requests.pop())
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            assert isinstance(message, dict)
            sent.append(message.get("body", b""))
            if len(sent) == 4:
                gone.set()

        headers = [(b"authorization", b"Bearer k"), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/responses",
            "headers": headers,
            "query_string": b"",
            "root_path": "",
        }
        await create_app(pace=0)(scope, receive, send)

    asyncio.run(run())
    assert 4 <= len(sent) < 10


def test_many_streams_run_side_by_side(base_url: str) -> None:
    async def run() -> list[int]:
        async with httpx2.AsyncClient(base_url=base_url, headers=KEY, timeout=30) as client:
            body = {"model": "grok-4.7", "input": "write 100 words", "stream": True}
            replies = await asyncio.gather(*(client.post("responses", json=body) for _ in range(20)))
        return [len(parse(reply.text)) for reply in replies]

    counts = asyncio.run(run())
    assert len(set(counts)) == 1 and counts[0] > 100


def test_the_listening_socket_sends_small_pieces_at_once() -> None:
    """A stream at a slow pace arrives piece by piece, not in one go at its end."""
    with SandboxServer(pace=0.001) as server, httpx2.Client(headers=KEY) as client:
        body = {"model": "grok-4.7", "input": "write 30 words", "stream": True}
        with client.stream("POST", f"{server.url}/responses", json=body) as reply:
            pieces = list(reply.iter_raw())
    assert len(pieces) > 20
