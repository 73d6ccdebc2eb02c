"""A server as a team has it, seen by those who call it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.network.issuer import Issuer
from tests.network.server import KEY, Answer, Served, SlowHeaders, exchange, modern, wire

MAX_BODY_BYTES = 64 * 1024
SCOPE = "grok"


@dataclass
class Place:
    """The server, who may call it, and what must never come out of it."""

    server: Served
    issuer: Issuer
    tokens: Mapping[str, str]
    slow: SlowHeaders

    def send(self, sent: bytes) -> Answer:
        """The answer to these bytes, which holds nothing that is nobody's business."""
        answer = exchange(self.server.url, sent)
        told = "\n".join([*map(": ".join, answer.headers.items()), answer.body])
        assert "server" not in {name.lower() for name in answer.headers}
        machine = (os.getcwd(), sys.prefix, str(Path.home()), "Traceback", "uvicorn", "starlette")
        found = [secret for secret in (*self.secrets(sent), *machine) if secret in told]
        assert not found, told
        assert not [line for line in self.server.lines if "Traceback" in line]
        assert not [line for line in self.server.lines for secret in self.secrets(sent) if secret in line]
        return answer

    def secrets(self, sent: bytes) -> list[str]:
        """The key of the endpoint, all tokens, and the token that was sent."""
        given = [
            line.decode().partition(" ")[2].split(" ")[-1]
            for line in sent.split(b"\r\n")
            if line.lower().startswith(b"authorization: bearer ") and len(line) > 40
        ]
        return [KEY, *self.tokens.values(), *given]

    def headers(self, name: str = "alice") -> dict[str, str | None]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    def still_serves(self) -> None:
        assert self.send(wire(self.headers())).status == 200

    def call(self, token: str, **arguments: Any) -> dict[str, Any]:
        """The result of an `ask_grok` call by whoever holds this token."""
        request = modern(1, "tools/call", name="ask_grok", arguments={"prompt": "Hi", **arguments})
        request["headers"]["Authorization"] = f"Bearer {token}"
        response = httpx2.post(f"{self.server.url}/mcp", **request)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()["result"]
        return found
