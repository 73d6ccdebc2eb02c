"""Works out what installing or uninstalling does to a host's file, and does it.

Uninstalling is the inverse of installing. Where the file is exactly what we made of the backup, or of no
file, that is what comes back; where somebody has changed it since, our entry alone is taken out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grok_mcp.hosts import files
from grok_mcp.hosts.entry import Entry, input_id
from grok_mcp.hosts.host import Host, HostError
from grok_mcp.hosts.jsonedit import with_item, with_value, without_item
from grok_mcp.hosts.jsontext import JsonText
from grok_mcp.hosts.tomltext import TomlText

ATTEMPTS = 3
"""A program that writes its file all the time (Claude Code) gets in between now and then."""

_BOM = b"\xef\xbb\xbf"
_INPUTS = "inputs"

Outcome = Literal["added", "replaced", "already there", "removed", "not there"]
Backup = Literal["write", "keep", "remove"]


@dataclass(frozen=True)
class Change:
    """What becomes of a file. `None` is no file."""

    host: Host
    path: Path
    outcome: Outcome
    before: bytes | None
    after: bytes | None
    backup: Backup = "keep"
    private: bool = False
    """Whether a new file holds a secret."""

    def make(self) -> None:
        """Do it; nothing is touched where nothing changes."""
        if self.before == self.after:
            return
        if self.backup == "write" and self.before is not None:
            files.write_backup(self.path, self.before)
        if self.after is not None:
            files.write_file(self.path, self.after, before=self.before, private=self.private)
        elif self.before is not None:
            files.remove_file(self.path, before=self.before)
        if self.backup == "remove":
            files.remove_backup(self.path)


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
            if not isinstance(self.data.get(host.table, {}), dict):
                raise HostError(f"{host.table!r} in it holds no servers")
        except UnicodeDecodeError as error:
            raise HostError(f"{path} is left as it is: it is not UTF-8 (byte {error.start + 1})") from None
        except HostError as error:
            raise HostError(f"{path} is left as it is: {error}") from None

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
        found = self.data.get(_INPUTS) if self.host.asks else None
        return found if isinstance(found, list) else []

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
            text = with_value(self._doc, table, entry.name, entry.value)
        else:
            text = with_item(self._doc, table, entry.name, entry.value)
        for one in self.lacks(entry.inputs):
            expected[_INPUTS] = [one, *expected.get(_INPUTS, [])]
            text = with_item(JsonText(text, comments=self.host.format == "jsonc"), (_INPUTS,), None, one)
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
        candidates = without_item(doc, path, lambda key, value: (value if key is None else key) == wanted)
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


def _origin(file: HostFile, entry: Entry) -> HostFile | None:
    """What the file was before we put that entry in, if nobody has changed it since."""
    backup = files.read_file(files.backup_of(file.path))
    for data in (backup, None) if backup is not None else (None,):
        try:
            origin = HostFile(file.host, file.path, data)
            if entry.name not in origin.servers and origin.encode(origin.with_entry(entry)) == file.bytes:
                return origin
        except HostError:
            continue
    return None


def plan_install(host: Host, path: Path, entry: Entry, *, replace: bool, private: bool = False) -> Change:
    """What putting that entry into the file changes."""
    file = HostFile.read(host, path)
    there = file.entry(entry.name)
    if there is not None and there.value == entry.value and not file.lacks(entry.inputs):
        return Change(host, path, "already there", file.bytes, file.bytes)
    if there is not None and not replace:
        keys = sorted(
            key for key in {*there.value, *entry.value} if there.value.get(key) != entry.value.get(key)
        )
        raise HostError(
            f"«{entry.name}» is in {path} already, with other values ({', '.join(keys) or 'inputs'}). "
            "--replace writes over it, --name adds a second one"
        )
    known = there is not None and _origin(file, there) is not None
    return Change(
        host,
        path,
        "added" if there is None else "replaced",
        file.bytes,
        file.encode(file.with_entry(entry)),
        backup="keep" if known else "write",
        private=private,
    )


def plan_uninstall(host: Host, path: Path, name: str) -> Change:
    """What taking the entry of that name out of the file changes."""
    file = HostFile.read(host, path)
    entry = file.entry(name)
    if entry is None:
        return Change(host, path, "not there", file.bytes, file.bytes)
    origin = _origin(file, entry)
    if origin is not None:
        remove: Backup = "keep" if origin.bytes is None else "remove"
        return Change(host, path, "removed", file.bytes, origin.bytes, remove)
    text = file.without_entry(entry, _backup(file))
    return Change(host, path, "removed", file.bytes, file.encode(text), backup="write")


def _backup(file: HostFile) -> HostFile | None:
    """The backup, if there is one that can be read: it tells what was there before us."""
    try:
        data = files.read_file(files.backup_of(file.path))
        return None if data is None else HostFile(file.host, file.path, data)
    except HostError:
        return None
