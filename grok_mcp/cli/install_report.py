"""What `install` and `uninstall` report: what was done, the time limits, where the key comes from."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from grok_mcp.hosts import (
    COMMAND,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    PLACEHOLDER,
    Change,
    EntrySpec,
    Host,
    Machine,
    Verbatim,
)
from grok_mcp.redaction import mask_secrets

_BOM = "\ufeff"
_HIDDEN = "***"
_OTHERS = 0o077


def installed(change: Change, spec: EntrySpec, machine: Machine, *, in_use: bool, undo: str) -> str:
    """What was done, and what is left to do; `undo` is the command that reverts it."""
    host, path = change.host, change.path
    rows = [("time limit", _limits(host))] if spec.url is None or host.limits else []
    rows.append(("token" if spec.url else "key", "; ".join(_secret(host, spec, machine))))
    if change.outcome == "already there":
        return _page(f"{host.title}: «{spec.name}» is already in {path}; nothing changed", rows)
    if change.backup == "write" and change.before is not None:
        rows.insert(0, ("backup", str(change.backup_path)))
    rows += [("note", note) for note in _notes(change, spec, machine, in_use)]
    rows += [("next", host.restart), ("undo", undo)]
    verb = {"added": "added to", "replaced": "replaced in"}[change.outcome]
    return _page(f"{host.title}: «{spec.name}» was {verb} {path}", rows)


def uninstalled(change: Change, name: str) -> str:
    """What was done."""
    host, path = change.host, change.path
    if change.outcome == "not there":
        return _page(f"{host.title}: «{name}» is not in {path}; nothing changed", [])
    if change.after is None:
        return _page(
            f"{host.title}: {path} was removed: `install` had created it, and it held only «{name}»", []
        )
    if change.backup == "remove":
        return _page(f"{host.title}: {path} is as it was before «{name}» was added", [])
    return _page(f"{host.title}: «{name}» was removed from {path}", [("backup", str(change.backup_path))])


def preview(change: Change, secrets: tuple[str, ...]) -> str:
    """The file and the lines that would change in it, without secrets, also those of others."""
    head = f"{change.host.title}: {change.path}"
    if change.before == change.after:
        return f"{head}\n{change.outcome}; nothing would change"
    before, after = _lines(change.before), _lines(change.after)
    if change.before is None:
        head, lines = f"{head}\nwould be created:", after
    else:
        if change.after is None:
            head += "\nwould be removed:"
        lines = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
        ours = not any(line.startswith("-") for line in lines)  # then all new lines are ours
        lines = [line if ours and line.startswith("+") else mask_secrets(line) for line in lines]
    text = "\n".join([head, *lines])
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text


def _lines(data: bytes | None) -> list[str]:
    return [] if data is None else data.decode().removeprefix(_BOM).splitlines()


def _page(head: str, rows: list[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join([head, *(f"  {name.ljust(width)}  {text}" for name, text in rows)])


def _limits(host: Host) -> str:
    if not host.limits:
        return host.without_limit
    return ", ".join(
        f"{limit.seconds} s for a {limit.of.replace(' and ', ' and a ')} ({limit.key} in {limit.unit})"
        for limit in host.limits
    )


def _secret(host: Host, spec: EntrySpec, machine: Machine) -> Iterator[str]:
    """Where the key or the token comes from, and what the user has to do for it."""
    variable = spec.token_variable if spec.url else KEY_VARIABLE
    if spec.url and variable is None:
        yield "none is sent; --token-env names the variable that holds one"
    elif spec.key or spec.token:
        yield "stands in the file, because of --write-key"
    elif KEY_VARIABLE in spec.environment:
        yield "is the one from --env"
    elif KEY_FILE_VARIABLE in spec.environment:
        yield f"is read from {spec.environment[KEY_FILE_VARIABLE]}"
    elif host.asks_user:
        yield f"{host.title} asks for it when it starts the server, and keeps it"
    elif isinstance(host.key, Verbatim):
        yield f"put it into the file in place of {PLACEHOLDER}; {host.title} expands no variables there"
        yield "or run this again with --write-key --replace"
    else:
        yield f"comes from {variable} in the environment that {host.title} is started in"
        if not machine.environment.get(variable or ""):
            yield f"{variable} is not set in this shell: export it"


def _notes(change: Change, spec: EntrySpec, machine: Machine, in_use: bool) -> Iterator[str]:
    path = change.path
    if not in_use:
        yield f"{change.host.title} does not seem to be in use here: {path.parent} did not exist"
    if spec.command == COMMAND and spec.url is None:
        if machine.program(COMMAND) is None:
            yield f"{COMMAND} is not on the PATH: install uv (https://docs.astral.sh/uv/), or use --this"
        else:
            yield f"run `{COMMAND} {' '.join(spec.arguments)} --version` once: the first start downloads"
    if spec.secrets and _readable(path):
        yield f"others on this machine may read {path}, and it holds a secret now"
    if spec.secrets and change.host.project_file and path.match(change.host.project_file):
        yield "this is a file of a project: keep it out of version control"


def _readable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
