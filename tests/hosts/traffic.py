"""What a host and a server said to each other, as `tap.py` and `relay.py` write it down."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
VERSION = "io.modelcontextprotocol/protocolVersion"


@dataclass(frozen=True)
class Traffic:
    """All messages, in both directions."""

    to_server: tuple[Json, ...]
    from_server: tuple[Json, ...]

    @property
    def protocol(self) -> str:
        """The protocol version in which tools were listed."""
        listing = self.sent("tools/list")[0]
        stated = (listing["params"].get("_meta") or {}).get(VERSION) if "params" in listing else None
        if stated:
            return str(stated)
        return str(self.answers("initialize")[0]["result"]["protocolVersion"])

    def sent(self, method: str) -> list[Json]:
        """What the host sent with this method."""
        return [message for message in self.to_server if message.get("method") == method]

    def answers(self, method: str) -> list[Json]:
        """The server's answers to it that are there, in order of the requests."""
        by_id = {message["id"]: message for message in self.from_server if "id" in message}
        return [by_id[message["id"]] for message in self.sent(method) if message["id"] in by_id]

    @property
    def tools(self) -> dict[str, Json]:
        """The tools that the server listed."""
        return {tool["name"]: tool for tool in self.answers("tools/list")[0]["result"]["tools"]}

    @property
    def results(self) -> list[Json]:
        """The results of all calls."""
        return [answer["result"] for answer in self.answers("tools/call")]

    @property
    def tokens(self) -> list[Any]:
        """The progress tokens that the host sent with its calls."""
        metas = [call["params"].get("_meta") or {} for call in self.sent("tools/call")]
        return [meta["progressToken"] for meta in metas if "progressToken" in meta]

    @property
    def notes(self) -> list[Json]:
        """The parameters of all progress notifications."""
        return [note["params"] for note in self.from_server if note.get("method") == "notifications/progress"]


def read_traffic(folder: Path) -> Traffic:
    """The messages so far; one that is still being written is left out."""
    return Traffic(*(tuple(_messages(folder / name)) for name in ("to_server", "from_server")))


def _messages(file: Path) -> Iterable[Json]:
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
