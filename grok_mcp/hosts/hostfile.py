"""A host's file: what is in it, and its text with our entry or without.

A changed text is read again before anybody gets it: it has to mean what it should, and nothing else.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from grok_mcp.hosts import files
from grok_mcp.hosts.entry import Entry, input_id
from grok_mcp.hosts.host import Host, HostError
from grok_mcp.hosts.jsonc import JsonText
from grok_mcp.hosts.toml import TomlText

_BOM = b"\xef\xbb\xbf"
_INPUTS = "inputs"


class HostFile:
    """A host's file as it is, or as it would be if it were there."""

    def __init__(self, host: Host, path: Path, data: bytes | None) -> None:
        self.host, self.path, self.bytes = host, path, data
        raw = data or b""
        self._bom = _BOM if raw.startswith(_BOM) else b""
        try:
            self.text = raw[len(self._bom) :].decode()
            self._doc = self._parse(self.text)
            self.data: Mapping[str, Any] = self._doc.data
        except UnicodeDecodeError as error:
            raise HostError(f"{path} can't be read: it is not UTF-8 (byte {error.start + 1})") from None
        except HostError as error:
            raise HostError(f"{path} can't be read: {error}") from None
        if not isinstance(self.data.get(host.table, {}), dict):
            raise HostError(f"{path} can't be read: {host.table!r} in it is no table of servers")
        if host.asks and not isinstance(self.data.get(_INPUTS, []), list):
            raise HostError(f"{path} can't be read: {_INPUTS!r} in it is no list")

    @classmethod
    def read(cls, host: Host, path: Path) -> "HostFile":
        """The file as it is now."""
        return cls(host, path, files.read_file(path))

    def _parse(self, text: str) -> JsonText | TomlText:
        if self.host.format == "toml":
            return TomlText(text)
        return JsonText(text, comments=self.host.format == "jsonc")

    def encode(self, text: str) -> bytes:
        """A changed text as the bytes of the file."""
        try:
            return self._bom + text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from a shell or an escape
            raise HostError(
                f"{self.path} is left as it is: the entry holds what UTF-8 has no form for"
            ) from None

    @property
    def servers(self) -> Mapping[str, Any]:
        """The servers that are in the file, by name."""
        found: Mapping[str, Any] = self.data.get(self.host.table, {})
        return found

    def entry(self, name: str) -> Entry | None:
        """The entry of that name, with the inputs that are ours."""
        if name not in self.servers:
            return None
        ours = {input_id(name, remote=remote) for remote in (False, True)}
        return Entry(name, self.servers[name], tuple(one for one in self._inputs if _id(one) in ours))

    @property
    def _inputs(self) -> list[Any]:
        return list(self.data.get(_INPUTS, [])) if self.host.asks else []

    def lacks(self, inputs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those inputs that are not in the file."""
        there = {_id(one) for one in self._inputs}
        return [one for one in inputs if one["id"] not in there]

    def with_entry(self, entry: Entry) -> str:
        """The text with that entry, in place of the one of its name."""
        expected = {**self.data, self.host.table: {**self.servers, entry.name: entry.value}}
        table = (self.host.table,)
        if isinstance(self._doc, TomlText):
            doc = self._doc
            if entry.name in self.servers:
                doc = TomlText(doc.without_table((*table, entry.name)))
            return self._checked([doc.with_table((*table, entry.name), entry.value)], expected)
        if entry.name in self.servers:
            text = self._doc.with_value(table, entry.name, entry.value)
        else:
            text = self._doc.with_item(table, entry.name, entry.value)
        for one in self.lacks(entry.inputs):
            expected[_INPUTS] = [one, *expected.get(_INPUTS, [])]
            text = JsonText(text, comments=self.host.format == "jsonc").with_item((_INPUTS,), None, one)
        return self._checked([text], expected)

    def without_entry(self, entry: Entry, origin: "HostFile | None") -> str:
        """The text without that entry; what was not there in `origin` goes as well where it is empty now."""
        left = {name: value for name, value in self.servers.items() if name != entry.name}
        expected: dict[str, Any] = {**self.data, self.host.table: left}
        if isinstance(self._doc, TomlText):
            text = self._doc.without_table((self.host.table, entry.name))
            if not left and self.host.table not in TomlText(text).data:  # it was there by its entry only
                del expected[self.host.table]
            return self._checked([text], expected)
        text = self._without(self.text, (self.host.table,), entry.name, expected)
        for one in entry.inputs:
            if "${input:" + one["id"] + "}" not in text:
                expected[_INPUTS] = [kept for kept in expected[_INPUTS] if kept != one]
                text = self._without(text, (_INPUTS,), one, expected)
        for key in (self.host.table, _INPUTS):
            if origin is not None and key not in origin.data and expected.get(key, True) in ({}, []):
                del expected[key]
                text = self._without(text, (), key, expected)
        return text

    def _without(self, text: str, path: tuple[str, ...], wanted: Any, expected: Mapping[str, Any]) -> str:
        doc = JsonText(text, comments=self.host.format == "jsonc")
        candidates = doc.without_item(path, lambda key, value: (value if key is None else key) == wanted)
        return self._checked(candidates, expected)

    def _checked(self, candidates: Iterable[str], expected: Mapping[str, Any]) -> str:
        """The first text that means what it should: the proof that nothing else has changed."""
        for text in candidates:
            try:
                if self._parse(text).data == expected:
                    return text
            except HostError:
                continue
        raise HostError(
            f"{self.path} is left as it is: its form is too unusual to be changed; edit it by hand"
        )


def _id(one: Any) -> Any:
    return one.get("id") if isinstance(one, dict) else None
