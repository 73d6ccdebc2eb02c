"""Plans what installing or uninstalling changes in a host's file, and applies it.

Uninstalling is the inverse of installing. Where the file is exactly what we made of the backup, or of no
file, that is restored; where somebody has changed it since, only our entry is removed.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grok_mcp.foreign import mapping
from grok_mcp.hosts import files
from grok_mcp.hosts.entry import Entry, kept
from grok_mcp.hosts.host import Host, HostError
from grok_mcp.hosts.hostfile import HostFile
from grok_mcp.hosts.started import Started

ATTEMPTS = 3
"""A program that often writes its file (Claude Code) may do so between our reading and our writing."""

Outcome = Literal["added", "updated", "replaced", "already there", "removed", "not there"]
Backup = Literal["write", "keep", "remove"]


@dataclass(frozen=True)
class Change:
    """What becomes of a file; `None` stands for no file."""

    host: Host
    path: Path
    outcome: Outcome
    before: bytes | None
    after: bytes | None
    backup: Backup = "keep"
    private: bool = False
    """Whether a new file holds a secret."""
    entry: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Our entry as it is then in the file; empty where it is removed."""

    @property
    def backup_path(self) -> Path:
        """Where the backup of the file is."""
        return files.backup_of(self.path)

    def apply(self) -> None:
        """Write the files; nothing is touched where nothing changes."""
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


def carry_out(plan: Callable[[], Change]) -> Change:
    """Plan a change and apply it; plan again where another program has written the file in between."""
    for _ in range(ATTEMPTS - 1):
        change = plan()
        try:
            change.apply()
            return change
        except files.ChangedMeanwhileError:
            continue
    change = plan()
    change.apply()
    return change


def _origin(file: HostFile, entry: Entry) -> HostFile | None:
    """What the file was before that entry was installed, if nobody has changed it since."""
    if not isinstance(entry.value, dict):  # nothing that we write
        return None
    backup = files.read_file(files.backup_of(file.path))
    for data in (backup, None) if backup is not None else (None,):
        try:
            origin = HostFile(file.host, file.path, data)
            if entry.name not in origin.servers and origin.encode(origin.with_entry(entry)) == file.bytes:
                return origin
        except HostError:
            continue
    return None


def adopted_name(host: Host, path: Path, name: str) -> str:
    """The name under which the file has this server already, else the name itself; raises HostError."""
    file = HostFile.read(host, path)
    if name in file.servers:
        return name
    ours = (other for other, value in file.servers.items() if Started.by(host, other, value).is_ours)
    return next(ours, name)


def plan_install(host: Host, path: Path, entry: Entry, *, replace: bool, private: bool = False) -> Change:
    """What changes when that entry is put into the file; raises HostError.

    An entry of this server is brought up to date: what its user has set in it stays, unless it is replaced.
    """
    file = HostFile.read(host, path)
    old = file.entry(entry.name)
    outcome: Outcome = "added" if old is None else "replaced"
    if old is not None and not replace:
        started = Started.by(host, entry.name, old.value)
        pinned = started.is_pinned and Started.by(host, entry.name, entry.value).is_bare
        value = kept(host, mapping(old.value), entry, start=pinned) if started.is_ours else None
        if value is None and old.value != entry.value:
            raise HostError(
                f"{path} already has a server named {entry.name}, which starts {started}. "
                "--replace overwrites it, --name adds another entry"
            )
        entry, outcome = dataclasses.replace(entry, value=value or entry.value), "updated"
    if old is not None and old.value == entry.value and not file.missing(entry.inputs):
        return Change(host, path, "already there", file.bytes, file.bytes, entry=entry.value)
    has_backup = old is not None and _origin(file, old) is not None
    return Change(
        host,
        path,
        outcome,
        file.bytes,
        file.encode(file.with_entry(entry)),
        backup="keep" if has_backup else "write",
        private=private,
        entry=entry.value,
    )


def plan_uninstall(host: Host, path: Path, name: str, *, force: bool = False) -> Change:
    """What changes when the entry of that name is removed from the file; raises HostError.

    An entry that is not this server's stays, unless it is forced.
    """
    file = HostFile.read(host, path)
    entry = file.entry(name)
    if entry is None:
        return Change(host, path, "not there", file.bytes, file.bytes)
    started = Started.by(host, name, entry.value)
    if not (force or started.is_ours):
        raise HostError(
            f"{path} was not changed: its server {name} starts {started}, which is not this server; "
            "--force removes it anyway"
        )
    origin = _origin(file, entry)
    if origin is not None:
        backup: Backup = "keep" if origin.bytes is None else "remove"
        return Change(host, path, "removed", file.bytes, origin.bytes, backup)
    text = file.without_entry(entry, _backup(file))
    return Change(host, path, "removed", file.bytes, file.encode(text), backup="write")


def _backup(file: HostFile) -> HostFile | None:
    """The backup, if there is a readable one: it shows what was there before us."""
    try:
        data = files.read_file(files.backup_of(file.path))
        return None if data is None else HostFile(file.host, file.path, data)
    except HostError:
        return None
