"""Many tool calls over HTTP from one cheap client, which counts answers and parses nothing else.

`python -m benchmarks.http_client` reads orders in JSON lines and answers each with seconds:
{"port": 8000, "path": "/mcp" | "/sse", "tool": …, "arguments": {…}, "count": 500, "connections": 500}
"""

import asyncio
import json
import sys
import time
from typing import Any

from benchmarks.child import told_apart

MODERN = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def main() -> None:
    """Carry out one order after the other until the input ends."""
    for line in sys.stdin:
        began = time.perf_counter()
        asyncio.run(_carry_out(json.loads(line)))
        print(time.perf_counter() - began, flush=True)


async def _carry_out(order: dict[str, Any]) -> None:
    messages = [_message(number, order) for number in range(order["count"])]
    if order["path"] == "/sse":
        await _over_sse(order["port"], messages)
        return
    extra = MODERN.format(tool=order["tool"])
    connections = order["connections"]
    await asyncio.gather(
        *(_one_by_one(order["port"], extra, messages[first::connections]) for first in range(connections))
    )


def _message(number: int, order: dict[str, Any]) -> bytes:
    params = {"name": order["tool"], "arguments": order["arguments"], "_meta": META}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": told_apart(params, number)}
    return json.dumps(message).encode()


def post(port: int, path: str, body: bytes, extra: str = "") -> bytes:
    """One request, to be sent as it is."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _one_by_one(port: int, extra: str, messages: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for message in messages:
        writer.write(post(port, "/mcp", message, extra))
        _check(await _response(reader))
    writer.close()


async def _response(reader: asyncio.StreamReader) -> bytes:
    """The whole response, by its length or its last chunk."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"content-length:" in head:
        size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return head + await reader.readexactly(size)
    return head + await reader.readuntil(b"\r\n0\r\n\r\n")


async def _over_sse(port: int, messages: list[bytes]) -> None:
    """All messages by 20 connections, all answers by the one stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    writer.write(f"GET /sse HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n".encode())
    head = await reader.readuntil(b"session_id=")
    session = (await reader.readuntil(b"\r\n")).strip().decode()
    path = "/messages/?session_id=" + session
    assert b"200 OK" in head
    senders = [_send(port, path, messages[first::20]) for first in range(20)]
    await asyncio.gather(_answers(reader, len(messages)), *senders)
    writer.close()


async def _send(port: int, path: str, messages: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(post(port, path, message) for message in messages))
    for _ in messages:
        await _response(reader)
    writer.close()


async def _answers(reader: asyncio.StreamReader, count: int) -> None:
    found = 0
    while found < count:
        chunk = await reader.read(1 << 20)
        if not chunk:
            raise EOFError(f"the stream ended after {found} answers")
        _check(chunk)
        found += chunk.count(b'"jsonrpc"')


def _check(answer: bytes) -> None:
    if b'"isError":true' in answer or b"HTTP/1.1 4" in answer or b"HTTP/1.1 5" in answer:
        raise RuntimeError(answer[:600].decode("utf-8", "replace"))


if __name__ == "__main__":
    main()
