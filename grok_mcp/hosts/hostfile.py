"""A host's file: what is in it, and its text with our entry or without.

A changed text is parsed again before it is used: it has to mean what it should, and nothing else.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grok_mcp.hosts import files
from grok_mcp.hosts.entry import Entry, input_id, looks_secret, mask_all_but_references
from grok_mcp.hosts.host import Host, HostError
from grok_mcp.hosts.jsonc import JsonText
from grok_mcp.hosts.toml import TomlText

if TYPE_CHECKING:
    from grok_mcp.hosts.yaml import YamlText

_BOM = b"\xef\xbb\xbf"
_INPUTS = "inputs"
MAX_INPUTS = 8
"""An entry has one, after changes by hand two; each is taken out by a pass over the whole text."""


def parse_document(host: Host, text: str) -> "JsonText | TomlText | YamlText":
    """The text in the format of that host's files; raises HostError where it is not in that format."""
    if host.format == "toml":
        return TomlText(text)
    return _parse_tree(host, text)


def _parse_tree(host: Host, text: str) -> "JsonText | YamlText":
    """A text in JSON or YAML, which are changed in the same way."""
    if host.format == "yaml":
        from grok_mcp.hosts.yaml import YamlText  # brings a library that no other host needs

        return YamlText(text)
    return JsonText(text, comments=host.format == "jsonc")


class HostFile:
    """A host's file as it is, or as it would be if it existed."""

    def __init__(self, host: Host, path: Path, data: bytes | None) -> None:
        self.host, self.path, self.bytes = host, path, data
        raw = data or b""
        self._bom = _BOM if raw.startswith(_BOM) else b""
        try:
            self.text = raw[len(self._bom) :].decode()
            self._document = parse_document(host, self.text)
            self.data: Mapping[str, Any] = self._document.data
        except UnicodeDecodeError as error:
            raise HostError(f"{path} can't be read: it is not UTF-8 (byte {error.start + 1})") from None
        except HostError as error:
            raise HostError(f"{path} can't be read: {error}") from None
        if not isinstance(self.data.get(host.table, {}), dict):
            raise HostError(f"{path} can't be read: its {host.table!r} is not a table of servers")
        if host.asks_user and not isinstance(self.data.get(_INPUTS, []), list):
            raise HostError(f"{path} can't be read: its {_INPUTS!r} is not a list")

    @classmethod
    def read(cls, host: Host, path: Path) -> "HostFile":
        """The file as it is now."""
        return cls(host, path, files.read_file(path))

    def encode(self, text: str) -> bytes:
        """A changed text as the bytes of the file."""
        try:
            return self._bom + text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, from a shell or an escape
            raise HostError(
                f"{self.path} was not changed: the entry has characters that UTF-8 can't encode"
            ) from None

    @property
    def servers(self) -> Mapping[str, Any]:
        """The servers in the file, by name."""
        servers: Mapping[str, Any] = self.data.get(self.host.table, {})
        return servers

    def entry(self, name: str) -> Entry | None:
        """The entry of that name, with the inputs that are ours."""
        if name not in self.servers:
            return None
        ours = {input_id(name, remote=remote) for remote in (False, True)}
        return Entry(name, self.servers[name], tuple(item for item in self._inputs if _id(item) in ours))

    @property
    def _inputs(self) -> list[Any]:
        return list(self.data.get(_INPUTS, [])) if self.host.asks_user else []

    def missing(self, inputs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those inputs that are not in the file."""
        present = {_id(item) for item in self._inputs}
        return [item for item in inputs if item["id"] not in present]

    def with_entry(self, entry: Entry) -> str:
        """The text with that entry, in place of the one of its name."""
        expected = {**self.data, self.host.table: {**self.servers, entry.name: entry.value}}
        table, document = (self.host.table,), self._document
        if isinstance(document, TomlText):
            path = (*table, entry.name)
            if entry.name in self.servers:
                document = TomlText(document.without_table(path))
            return self._verified([document.with_table(path, entry.value)], expected, entry)
        if entry.name in self.servers:
            text = document.with_value(table, entry.name, entry.value)
        else:
            text = document.with_item(table, entry.name, entry.value)
        for item in self.missing(entry.inputs):
            expected[_INPUTS] = [item, *expected.get(_INPUTS, [])]
            text = JsonText(text, comments=True).with_item((_INPUTS,), None, item)
        return self._verified([text], expected, entry)

    def without_entry(self, entry: Entry, origin: "HostFile | None") -> str:
        """The text without that entry, and without what is empty now and was not in `origin`."""
        if len(entry.inputs) > MAX_INPUTS:
            raise HostError(
                f"{self.path} was not changed: it has {len(entry.inputs)} inputs for one entry, which is too "
                "many; edit it by hand"
            )
        others = {name: value for name, value in self.servers.items() if name != entry.name}
        expected: dict[str, Any] = {**self.data, self.host.table: others}
        if isinstance(self._document, TomlText):
            text = self._document.without_table((self.host.table, entry.name))
            if not others and self.host.table not in TomlText(text).data:  # only its entry made it a table
                del expected[self.host.table]
            return self._verified([text], expected)
        text = self._without(self.text, (self.host.table,), entry.name, expected)
        for item in entry.inputs:
            if "${input:" + item["id"] + "}" not in text:
                expected[_INPUTS] = [other for other in expected[_INPUTS] if other != item]
                text = self._without(text, (_INPUTS,), item, expected)
        for key in (self.host.table, _INPUTS):
            if origin is not None and key not in origin.data and expected.get(key, True) in ({}, []):
                del expected[key]
                text = self._without(text, (), key, expected)
        return text

    def _without(self, text: str, path: tuple[str, ...], item: Any, expected: Mapping[str, Any]) -> str:
        """The text without the member of that key, or the element that equals `item`."""
        candidates = _parse_tree(self.host, text).without_item(
            path, lambda key, value: (value if key is None else key) == item
        )
        return self._verified(candidates, expected)

    def _verified(
        self, candidates: Iterable[str], expected: Mapping[str, Any], entry: Entry | None = None
    ) -> str:
        """The first text that means what it should: the proof that nothing else has changed."""
        for text in candidates:
            try:
                if parse_document(self.host, text).data == expected:
                    return text
            except (HostError, RecursionError):
                continue
        raise HostError(
            f"{self.path} was not changed: its form is too unusual to be changed safely; edit it by hand"
            + ("" if entry is None else self._by_hand(entry))
        )

    def _by_hand(self, entry: Entry) -> str:
        """What to paste, and where; a secret in it is masked."""
        table = self.host.table
        if isinstance(self._document, TomlText):
            inline = re.search(rf"^[ \t]*{table}[ \t]*=", self.text, re.MULTILINE)
            where = f"between the braces of {table}" if inline else "at its end"
            empty = TomlText("")
            lines = (
                empty.inline(entry.name, entry.value)
                if inline
                else empty.with_table((table, entry.name), entry.value)
            )
        elif self.host.format == "yaml":
            where = f"in place of the line {table}" if not self.servers else f"below {table}"
            lines = _parse_tree(self.host, "").with_item((table,), entry.name, entry.value)
        else:
            return ""
        for name, value in entry.chosen.items():
            if looks_secret(name, value):
                lines = lines.replace(value, "***")
        return f". Paste this {where}:\n\n{mask_all_but_references(lines).rstrip()}"


def _id(item: Any) -> str | None:
    name = item.get("id") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None
