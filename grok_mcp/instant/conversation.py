"""What a host says first, and what it is answered: a conversation as far as it is known before."""

from __future__ import annotations

import json

from grok_mcp.instant import data, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINE_BYTES = 16 * 1024
"""A longer line is none of these."""

_QUIET = ("notifications/initialized", "notifications/roots/list_changed")
"""Notifications after which all stays as it was."""


class Conversation:
    """One client on stdio. `versions` are those of sessions, and those that each request names."""

    def __init__(self, versions: tuple[list[str], list[str]]) -> None:
        self._of_sessions, self._of_requests = versions
        self._session: str | None = None
        self._modern = False
        self._shows_cards = False
        self._results: dict[str, Any] = {}
        self.answered: list[int | str] = []
        """The ids of the requests that have been answered, in their order."""

    def answer(self, line: bytes) -> bytes | None:
        """The answer to a line, empty where there is none to give; None where only the server knows."""
        if not line.strip():
            return b""
        message = _read(line)
        if message is None:
            return None
        method, params = message.get("method"), message.get("params", {})
        if type(method) is not str or type(params) is not dict:
            return None
        if "id" not in message:
            return b"" if method in _QUIET and self._session and not params else None
        request_id, as_json = message["id"], plain.plain_id(message["id"])
        result = self._result(method, params) if as_json else None
        if result is None:
            return None
        self.answered.append(request_id)
        text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
        return f'{{"jsonrpc":"2.0","id":{as_json},"result":{text}}}\n'.encode()

    def _result(self, method: str, params: dict[str, Any]) -> Any:
        if method == "initialize":
            version = params.get("protocolVersion")
            if self._session or self._modern or version not in self._of_sessions:
                return None
            if params.keys() != {"protocolVersion", "clientInfo", "capabilities"}:
                return None
            if not plain.plain_client(params, "clientInfo", "capabilities"):
                return None
            self._session = str(version)
            self._shows_cards = plain.shows_cards(params["capabilities"])
            return self._of_version(self._session, method)
        meta = params.get("_meta", {})
        if type(meta) is not dict or not params.keys() <= {"_meta"}:
            return None
        if self._session:
            return self._of_version(self._session, method) if plain.plain_meta(meta) else None
        version = plain.modern_version(meta)
        if version not in self._of_requests:
            return None
        self._modern = True
        self._shows_cards = plain.shows_cards(meta[plain.CAPABILITIES])
        return self._of_version(version, method)

    def _of_version(self, version: str, method: str) -> Any:
        if version not in self._results:
            self._results[version] = data.load_results(version)
        if self._shows_cards and method == "tools/list":
            method = data.WITH_CARDS
        return self._results[version].get(method)


def _read(line: bytes) -> dict[str, Any] | None:
    """The message in a line, None where it is not one in its usual form."""
    if len(line) > LINE_BYTES or b"\\u" in line:  # half a character may be written so
        return None
    try:
        message = json.loads(line.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if type(message) is not dict or message.get("jsonrpc") != "2.0":
        return None
    return message if message.keys() <= {"jsonrpc", "id", "method", "params"} else None


def _refuse(name: str) -> None:
    raise ValueError(name)
