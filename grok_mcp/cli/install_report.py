"""What `install` and `uninstall` say: what was done and where, what it means for time limits and the key."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from grok_mcp.hosts import Change, Host, Machine, Wish
from grok_mcp.hosts.entry import COMMAND, KEY_VARIABLE, PLACEHOLDER
from grok_mcp.hosts.files import backup_of
from grok_mcp.redaction import mask_secrets

_BOM = "\ufeff"
_HIDDEN = "***"
_OTHERS = 0o077


def installed(change: Change, wish: Wish, machine: Machine, *, in_use: bool, undo: str) -> str:
    """What was done, and what is left to do; `undo` is the command that takes it back."""
    host, path = change.host, change.path
    rows = [("time limit", _limits(host))] if wish.url is None or host.limits else []
    rows += [("token" if wish.url else "key", "; ".join(_key(host, wish, machine)))]
    if change.outcome == "already there":
        return _page(f"{host.title}: «{wish.name}» is already in {path}; nothing was changed", rows)
    if change.backup == "write" and change.before is not None:
        rows.insert(0, ("backup", str(backup_of(path))))
    rows += [("note", note) for note in _notes(change, wish, machine, in_use)]
    rows += [("next", host.restart), ("undo", undo)]
    verb = {"added": "added to", "replaced": "replaced in"}[change.outcome]
    return _page(f"{host.title}: «{wish.name}» was {verb} {path}", rows)


def uninstalled(change: Change, name: str) -> str:
    """What was done."""
    host, path = change.host, change.path
    if change.outcome == "not there":
        return _page(f"{host.title}: «{name}» is not in {path}; nothing was changed", [])
    if change.after is None:
        return _page(f"{host.title}: {path} was removed; it held «{name}» only, and install had made it", [])
    if change.backup == "remove":
        return _page(f"{host.title}: {path} is again what it was before «{name}» was added", [])
    return _page(f"{host.title}: «{name}» was taken out of {path}", [("backup", str(backup_of(path)))])


def preview(change: Change, secrets: tuple[str, ...]) -> str:
    """The file and the lines that would change in it; secrets are hidden, also those of others."""
    head = f"{change.host.title}: {change.path}"
    if change.before == change.after:
        return f"{head}\n{change.outcome}; nothing would be changed"
    before, after = _lines(change.before), _lines(change.after)
    if change.before is None:
        head, lines = f"{head}\nwould be made:", after
    else:
        head += "\nwould be removed:" if change.after is None else ""
        lines = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
        ours = not any(line.startswith("-") for line in lines)  # what is new is ours alone
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
        f"{one.seconds} s for a {one.of.replace(' and ', ' and a ')} ({one.key} in {one.unit})"
        for one in host.limits
    )


def _key(host: Host, wish: Wish, machine: Machine) -> Iterator[str]:
    """Where the key or the token comes from, and what the user has to do for it."""
    variable = wish.token_variable if wish.url else KEY_VARIABLE
    if wish.url and variable is None:
        yield "none is sent; --token-env names the variable that holds one"
    elif wish.key or wish.token:
        yield "stands in the file, because you said so"
    elif KEY_VARIABLE in wish.environment:
        yield "as --env says"
    elif "GROK_MCP_API_KEY_FILE" in wish.environment:
        yield f"is read from {wish.environment['GROK_MCP_API_KEY_FILE']}"
    elif host.asks:
        yield f"{host.title} asks for it when it starts the server, and keeps it"
    elif host.key == "literal":
        yield f"put it into the file in place of {PLACEHOLDER}; {host.title} expands no variables there"
        yield "or run this again with --write-key --replace"
    else:
        yield f"comes from {variable} in the environment that {host.title} is started in"
        if not machine.environment.get(variable or ""):
            yield "it is not set in this one: export it"


def _notes(change: Change, wish: Wish, machine: Machine, in_use: bool) -> Iterator[str]:
    path = change.path
    if not in_use:
        yield f"{change.host.title} does not seem to be in use here: {path.parent} did not exist"
    if wish.command == COMMAND and wish.url is None:
        if machine.program(COMMAND) is None:
            yield f"{COMMAND} is not on the PATH: install uv (https://docs.astral.sh/uv/), or use --this"
        else:
            yield f"run `{COMMAND} {' '.join(wish.arguments)} --version` once: the first start downloads"
    if wish.secrets and _readable(path):
        yield f"others on this machine may read {path}, and a secret is in it now"
    if wish.secrets and change.host.project_file and path.match(change.host.project_file):
        yield "this is a file of a project: keep it out of version control"


def _readable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
