"""Plans what installing or uninstalling changes in a host's file, and applies it.

Uninstalling is the inverse of installing. Where the file is exactly what we made of the backup, or of no
file, that is restored; where somebody has changed it since, only our entry is removed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grok_mcp.foreign import mapping
from grok_mcp.hosts import files
from grok_mcp.hosts.entry import Entry
from grok_mcp.hosts.host import Host, HostError
from grok_mcp.hosts.hostfile import HostFile
from grok_mcp.redaction import quote

ATTEMPTS = 3
"""A program that often writes its file (Claude Code) may do so between our reading and our writing."""

Outcome = Literal["added", "replaced", "already there", "removed", "not there"]
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


def plan_install(host: Host, path: Path, entry: Entry, *, replace: bool, private: bool = False) -> Change:
    """What changes when that entry is put into the file; raises HostError."""
    file = HostFile.read(host, path)
    old = file.entry(entry.name)
    if old is not None and old.value == entry.value and not file.missing(entry.inputs):
        return Change(host, path, "already there", file.bytes, file.bytes)
    if old is not None and not replace:
        value = mapping(old.value)
        keys = sorted(key for key in {*value, *entry.value} if value.get(key) != entry.value.get(key))[:10]
        raise HostError(
            f"{path} already has '{entry.name}', with other values ({quote(', '.join(keys)) or 'inputs'}). "
            "--replace overwrites it, --name adds another entry"
        )
    has_backup = old is not None and _origin(file, old) is not None
    return Change(
        host,
        path,
        "added" if old is None else "replaced",
        file.bytes,
        file.encode(file.with_entry(entry)),
        backup="keep" if has_backup else "write",
        private=private,
    )


def plan_uninstall(host: Host, path: Path, name: str) -> Change:
    """What changes when the entry of that name is removed from the file; raises HostError."""
    file = HostFile.read(host, path)
    entry = file.entry(name)
    if entry is None:
        return Change(host, path, "not there", file.bytes, file.bytes)
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
