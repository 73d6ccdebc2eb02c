"""Checks of the configuration files of hosts: whether they have a working entry of this server.

`hosts/rows.py` says where they are; `entries.py` looks at one entry.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grok_mcp.doctor.entries import KEYS, HostEntry, ReadFile
from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.environment import VARIABLES
from grok_mcp.foreign import mapping
from grok_mcp.hosts import HOSTS, Host, HostError, Machine, UnreadableFileError, parse_document, read_file
from grok_mcp.invocation import command
from grok_mcp.redaction import quote
from grok_mcp.settings import bare, key_problem


def check_hosts(shell: Mapping[str, str]) -> list[Check]:
    """The findings about every host's file that is there."""
    entries, checks = _find_entries(shell)
    for entry in entries:
        right = fine(f"host {entry.host.name}", f"{entry.path}: the entry looks right")
        checks += list(entry.check()) or [right]
    if not entries:
        fix = f"Run: {command('install', 'HOST')}"
        checks.append(doubtful("hosts", "no host's file has an entry for this server", fix))
    return checks


def environment_of_a_host(shell: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """Our settings in the first entry that holds a key, with the title of its host."""
    for entry in _find_entries(shell)[0]:
        if any(key_problem(bare(entry.environment.get(name, ""))) is None for name in KEYS):
            settings = {name: value for name, value in entry.environment.items() if name in VARIABLES}
            return entry.host.title, settings
    return None


def _find_entries(shell: Mapping[str, str]) -> tuple[list[HostEntry], list[Check]]:
    """Our entries in all files that are there, and a finding for each file or entry that is not read."""
    entries: list[HostEntry] = []
    unread: list[Check] = []
    machine = Machine.here()
    for host in HOSTS.values():
        for path in dict.fromkeys(host.all_files(machine)):
            try:
                data = read_file(path)
                if data is None:
                    continue
                document = parse_document(host, data.decode("utf-8-sig")).data
            except (ValueError, HostError) as error:
                unread.append(_unreadable(host, path, error))
                continue
            file = ReadFile(host, path, document, shell)
            project = mapping(mapping(document.get("projects")).get(machine.folder))  # as Claude Code has it
            entries += [*_ours(file, document, host.table), *_ours(file, project, host.table)]
            for table in sorted({other.table for other in HOSTS.values()} - {host.table}):
                for entry in _ours(file, document, table):
                    message = f"{path}: {entry.key} stands under {table}, which {host.title} does not read"
                    unread.append(wrong(f"host {host.name}", message, f"Move it to {host.table}."))
    return entries, unread


def _ours(file: ReadFile, place: Mapping[str, Any], table: str) -> list[HostEntry]:
    servers = mapping(place.get(table)).items()
    entries = [HostEntry(file, key, entry) for key, entry in servers if isinstance(entry, dict)]
    return [entry for entry in entries if entry.is_ours]


def _unreadable(host: Host, path: Path, error: Exception) -> Check:
    kind = "TOML" if host.format == "toml" else "JSON"
    if isinstance(error, UnreadableFileError):
        reason, fix = error.reason, "Let your user read it, if it is the file that it should be."
    else:
        reason = f"it is not {kind}: {quote(str(error))}"
        fix = f"Correct the {kind} at that place; {host.title} starts none of its servers until then."
    return wrong(f"host {host.name}", f"{path}: {reason}", fix)
