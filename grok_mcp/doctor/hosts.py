"""Checks of the configuration files of hosts: whether they have a working entry of this server.

`hosts/rows.py` says where they are; `entries.py` looks at one entry. What is wrong for the same reason in
several hosts is one finding.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grok_mcp.doctor.entries import KEYS, HostEntry, ReadFile
from grok_mcp.doctor.findings import Check, Finding, doubtful, fine, wrong
from grok_mcp.environment import VARIABLES
from grok_mcp.foreign import mapping
from grok_mcp.hosts import (
    DEFAULT_NAME,
    HOSTS,
    Host,
    HostError,
    Machine,
    UnreadableFileError,
    parse_document,
    read_file,
)
from grok_mcp.invocation import command
from grok_mcp.redaction import quote
from grok_mcp.settings import bare, key_problem

_KINDS = {"toml": "TOML", "yaml": "YAML"}


class HostState(NamedTuple):
    """What a host has on this machine."""

    host: Host
    path: Path | None
    """Where its file is or would be; None where that is unknown."""
    found: bool
    state: str
    """In a few words."""
    has_findings: bool = False
    """Whether doctor has more to say of it."""


def check_hosts(shell: Mapping[str, str]) -> list[Check]:
    """The findings about every host's file that is there."""
    entries, checks = _find_entries(shell)
    checks += _grouped((entry, list(entry.check())) for entry in entries)
    if not any(entry.is_ours for entry in entries):
        fix = f"Run: {command('install')}"
        checks.append(doubtful("hosts", "no host's file has an entry for this server", fix))
    return checks


def survey(machine: Machine, shell: Mapping[str, str]) -> list[HostState]:
    """What each known host has, in the file of its user."""
    return [_state(host, machine, shell) for host in HOSTS.values()]


def _state(host: Host, machine: Machine, shell: Mapping[str, str]) -> HostState:
    try:
        path = host.file(machine)
    except HostError as error:
        return HostState(host, None, False, str(error))
    found = host.is_found(machine)
    try:
        document = _read(host, path)
    except (ValueError, HostError) as error:
        return HostState(host, path, True, f"can't be read: {_reason(host, error)}", has_findings=True)
    servers = mapping((document or {}).get(host.table))
    file = ReadFile(host, path, document or {}, shell)
    ours = [entry for entry in _named_or_ours(file, document or {}, host.table) if entry.is_ours]
    if ours:
        wanting = any(list(entry.check()) for entry in ours)
        return HostState(host, path, True, ", ".join(map(_health, ours)), has_findings=wanting)
    other = f"another server is named {DEFAULT_NAME}" if DEFAULT_NAME in servers else "not installed"
    return HostState(host, path, found, other)


def _health(entry: HostEntry) -> str:
    findings = list(entry.check())
    errors = sum(not finding.ok for finding in findings)
    if errors:
        return f"{entry.key}: {errors} to fix"
    return f"{entry.key}: {'works, with a remark' if findings else 'installed'}"


def environment_of_a_host(shell: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """Our settings in the first entry that holds a key, with the title of its host."""
    for entry in _find_entries(shell)[0]:
        if entry.is_ours and any(key_problem(bare(entry.environment.get(name, ""))) is None for name in KEYS):
            settings = {name: value for name, value in entry.environment.items() if name in VARIABLES}
            return entry.host.title, settings
    return None


def _grouped(found: Iterable[tuple[HostEntry, list[Finding]]]) -> list[Check]:
    """One finding for each cause, in the order in which they were found."""
    causes: dict[Finding | None, list[HostEntry]] = {}
    for entry, findings in found:
        nothing: list[Finding | None] = [None]
        for finding in findings or nothing:
            causes.setdefault(finding, []).append(entry)
    return [check for cause, entries in causes.items() for check in _checks(cause, entries)]


def _checks(cause: Finding | None, entries: list[HostEntry]) -> list[Check]:
    if cause is None:
        return [fine(f"host {entry.host.name}", f"{entry.path}: the entry looks right") for entry in entries]
    titles = list(dict.fromkeys(entry.host.title for entry in entries))
    found = wrong if not cause.ok else doubtful
    if len(titles) == 1:
        host = entries[0].host
        paths = ", ".join(dict.fromkeys(str(entry.path) for entry in entries))
        message = cause.message.replace("{host}", host.title)
        return [found(f"host {host.name}", f"{paths}: {message}", cause.fix.replace("{host}", host.title))]
    listed = f"{', '.join(titles[:-1])} and {titles[-1]}"
    message = cause.message.replace("{host}", "the host")
    return [found("hosts", f"{listed}: {message}", cause.fix.replace("{host}", "each host"))]


def _find_entries(shell: Mapping[str, str]) -> tuple[list[HostEntry], list[Check]]:
    """Our entries in all files that are there, and a finding for each file or entry that is not read."""
    entries: list[HostEntry] = []
    unread: list[Check] = []
    machine = Machine.here()
    for host in HOSTS.values():
        for path in dict.fromkeys(host.all_files(machine)):
            try:
                document = _read(host, path)
            except (ValueError, HostError) as error:
                unread.append(_unreadable(host, path, error))
                continue
            if document is None:
                continue
            file = ReadFile(host, path, document, shell)
            project = mapping(mapping(document.get("projects")).get(machine.folder))  # as Claude Code has it
            entries += [
                *_named_or_ours(file, document, host.table),
                *_named_or_ours(file, project, host.table),
            ]
            for table in sorted({other.table for other in HOSTS.values()} - {host.table}):
                for entry in _named_or_ours(file, document, table):
                    message = f"{path}: {entry.key} stands under {table}, which {host.title} does not read"
                    unread.append(wrong(f"host {host.name}", message, f"Move it to {host.table}."))
    return entries, unread


def _read(host: Host, path: Path) -> Mapping[str, Any] | None:
    """What the file holds, None where there is none; raises HostError or ValueError."""
    data = read_file(path)
    return None if data is None else parse_document(host, data.decode("utf-8-sig")).data


def _named_or_ours(file: ReadFile, place: Mapping[str, Any], table: str) -> list[HostEntry]:
    servers = mapping(place.get(table)).items()
    entries = [HostEntry(file, key, entry) for key, entry in servers if isinstance(entry, dict)]
    return [entry for entry in entries if entry.is_of_interest]


def _unreadable(host: Host, path: Path, error: Exception) -> Check:
    if isinstance(error, UnreadableFileError):
        fix = "Check what is at that path, and whether your user may read it."
    else:
        kind = _KINDS.get(host.format, "JSON")
        fix = f"Correct the {kind} at that place; {host.title} starts none of its servers until then."
    return wrong(f"host {host.name}", f"{path}: {_reason(host, error)}", fix)


def _reason(host: Host, error: Exception) -> str:
    if isinstance(error, UnreadableFileError):
        return error.reason
    return f"it is not {_KINDS.get(host.format, 'JSON')}: {quote(str(error))}"
