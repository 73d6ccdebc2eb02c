"""Works out what installing or uninstalling does to a host's file, and does it.

Uninstalling is the inverse of installing. Where the file is exactly what we made of the backup, or of no
file, that is what comes back; where somebody has changed it since, our entry alone is taken out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grok_mcp.hosts import files
from grok_mcp.hosts.entry import Entry
from grok_mcp.hosts.host import Host, HostError
from grok_mcp.hosts.hostfile import HostFile

ATTEMPTS = 3
"""A program that writes its file all the time (Claude Code) gets in between now and then."""

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


def carry_out(plan: Callable[[], Change]) -> Change:
    """Plan a change and make it; from the start again where another program wrote the file in between."""
    for _ in range(ATTEMPTS - 1):
        change = plan()
        try:
            change.make()
            return change
        except files.ChangedMeanwhileError:
            continue
    change = plan()
    change.make()
    return change


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
