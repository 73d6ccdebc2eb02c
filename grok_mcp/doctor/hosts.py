"""Checks of the files in which hosts name the servers that they start: are we in there, and will that work.

`hosts/rows.py` says where they are; `doctor_entries.py` looks at one entry.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grok_mcp.doctor.entries import KEYS, check_entry, is_ours, own_settings
from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.hosts import HOSTS, Host, HostError, Machine, parse_document
from grok_mcp.redaction import quote
from grok_mcp.settings import fault_of


class Found(NamedTuple):
    """An entry of ours, and the file that it stands in."""

    host: Host
    path: Path
    entry: Mapping[str, Any]
    document: Mapping[str, Any]


def check_hosts(environment: Mapping[str, str]) -> list[Check]:
    """The findings about every host's file that is there; `environment` is the one of the shell."""
    found, checks = find_entries()
    for one in found:
        checks += _of_entry(one, environment)
    if not found:
        fix = "Run: grok-mcp install HOST"
        checks.append(doubtful("hosts", "no host's file has an entry of this server", fix))
    return checks


def find_entries() -> tuple[list[Found], list[Check]]:
    """Our entries in all files that are there, and a finding for each file or entry that is not read."""
    found: list[Found] = []
    broken: list[Check] = []
    machine = Machine.here()
    for host in HOSTS.values():
        for path in dict.fromkeys(host.all_files(machine)):
            try:
                if not path.is_file():
                    continue
                document = parse_document(host, path.read_text(encoding="utf-8-sig")).data
            except (OSError, ValueError, RecursionError, HostError) as error:
                broken.append(_unreadable(host, path, error))
                continue
            broken += _misplaced(document, host, path)
            found += [
                Found(host, path, entry, document)
                for servers in _tables(document, host, machine)
                for key, entry in servers.items()
                if isinstance(entry, dict) and is_ours(host, key, entry)
            ]
    return found, broken


def environment_of_a_host() -> tuple[str, dict[str, str]] | None:
    """The settings in the first entry that holds a key, with the title of its host."""
    for one in find_entries()[0]:
        given = own_settings(one.host, one.entry)
        if any(fault_of(given.get(name, "").strip()) is None for name in KEYS):
            return one.host.title, given
    return None


def _tables(document: Mapping[str, Any], host: Host, machine: Machine) -> Iterator[Mapping[str, Any]]:
    """Where servers stand in a file: at its top, and for Claude Code under each project as well."""
    projects = document.get("projects")
    project = projects.get(machine.folder) if isinstance(projects, dict) else None
    for place in (document, project):
        servers = place.get(host.table) if isinstance(place, dict) else None
        if isinstance(servers, dict):
            yield servers


def _misplaced(document: Mapping[str, Any], host: Host, path: Path) -> Iterator[Check]:
    """Our entry under a key that other hosts read."""
    for table in sorted({one.table for one in HOSTS.values()} - {host.table}):
        servers = document.get(table)
        for key, entry in servers.items() if isinstance(servers, dict) else ():
            if isinstance(entry, dict) and is_ours(host, key, entry):
                message = f"{path}: {key} stands under {table}, which {host.title} does not read"
                yield wrong(f"host {host.name}", message, f"Move it to {host.table}.")


def _unreadable(host: Host, path: Path, error: Exception) -> Check:
    kind = "TOML" if host.format == "toml" else "JSON"
    if isinstance(error, OSError):
        said, fix = error.strerror or type(error).__name__, "Give your user the right to read it."
    else:
        said = f"it is no {kind}: {quote(str(error))}"
        fix = f"Correct the {kind} at that place; {host.title} starts none of its servers until then."
    return wrong(f"host {host.name}", f"{path}: {said}", fix)


def _of_entry(found: Found, environment: Mapping[str, str]) -> Iterator[Check]:
    name = f"host {found.host.name}"
    findings = list(check_entry(found.host, found.entry, found.document, environment))
    for finding in findings:
        make = wrong if finding.breaks else doubtful
        yield make(name, f"{found.path}: {finding.message}", finding.fix)
    if not findings:
        yield fine(name, f"{found.path}: the entry looks right")
