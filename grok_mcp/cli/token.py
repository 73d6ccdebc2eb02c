"""The command `grok-mcp-server token`: who may call a server on the network, by a file of tokens.

The file has the digest of each token, never the token itself. A server reads it again when it has changed.
"""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from grok_mcp import bounds, serving
from grok_mcp.cli.console import BAD_USAGE, did_you_mean, fail, note
from grok_mcp.hosts import ChangedMeanwhileError, HostError, read_file, write_file

ATTEMPTS = 3
_ONCE = "The token, printed only this once:\n\n  {made}\n\n"
_OTHERS = 0o077
_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("name", required=False)
@click.option("--append", type=_FILE, metavar="FILE", help="add its line to this file, created if missing")
@click.option("--replace", is_flag=True, help="with --append: end the older tokens of NAME")
@click.option("--group", metavar="GROUP", help="the group of NAME, for limits and usage")
@click.option("--list", "listed", type=_FILE, metavar="FILE", help="show who has a token in this file")
@click.option("--revoke", type=(str, _FILE), metavar="NAME FILE", help="end the tokens of NAME in this file")
def token(
    name: str | None,
    append: Path | None,
    replace: bool,
    group: str | None,
    listed: Path | None,
    revoke: tuple[str, Path] | None,
) -> None:
    """Make a token for a caller of the network transports, or list and revoke those in a file.

    A token is printed once, for the caller, and never again. The server gets the file as GROK_MCP_TOKEN_FILE,
    and reads it again whenever it has changed: no restart is needed.
    """
    if sum(map(bool, (name, listed, revoke))) != 1:
        raise click.UsageError("give one of NAME, --list FILE and --revoke NAME FILE")
    if ((append or replace) and name is None) or (replace and append is None):
        raise click.UsageError("--append needs NAME, and --replace needs --append")
    if group is not None and name is None:
        raise click.UsageError("--group needs NAME")
    try:
        if listed is not None:
            _list(listed)
        elif revoke is not None:
            _revoke(*revoke)
        elif name is not None:
            _make(name.strip(), append, replace=replace, group=(group or "").strip())
    except HostError as error:
        fail(str(error))


def _make(name: str, file: Path | None, *, replace: bool, group: str) -> None:
    if not serving.is_name(name) or len(name) > 64 or set(name) & set(":#"):
        fail(f"{name!r} is not a valid name: use at most 64 characters, without : and #", BAD_USAGE)
    if group and (not serving.is_name(group) or len(group) > 64):
        fail(f"{group!r} is not a valid group: use at most 64 characters", BAD_USAGE)
    made, line = serving.new_token(name, group)
    if file is None:
        click.echo(f"{_ONCE.format(made=made)}Its line in the token file:\n\n  {line}")
        return

    def changed(text: str) -> str:
        former = [known for known in serving.read_lines(text) if known.name == name]
        if former:
            if not replace:
                _refuse_name(name, file)
            text = serving.without_name(text, name)
        kept = "" if group else next((f" {known.group}" for known in former if known.group), "")
        return serving.with_line(text, line + kept)

    present = read_file(file) is not None  # else chmod would be advised of a device or a folder
    if os.name == "posix" and present and file.stat().st_mode & _OTHERS:
        fail(f"other users of this machine have access to {file}. Run: chmod 600 {shlex.quote(str(file))}")
    _change(file, changed)
    click.echo(f"{_ONCE.format(made=made)}The line of {name} is in {file}.")


def _refuse_name(name: str, file: Path) -> NoReturn:
    fail(f"{name} has a token in {file} already; --replace ends it and makes another")


def _list(file: Path) -> None:
    lines = list(serving.read_lines(_text(file)))
    names = [line.name for line in lines if line.name is not None]
    for name in dict.fromkeys(names):
        groups = dict.fromkeys(line.group for line in lines if line.name == name and line.group)
        count = names.count(name)
        tokens = "" if count == 1 else f" ({count} tokens)"
        click.echo(f"{name}{tokens}" + (f", in {' and '.join(groups)}" if groups else ""))
    for line in lines:
        if not line.is_valid:
            note(f"line {line.number} is ignored: it is not name:sha256")
    if not names:
        note(f"{file} holds no token")


def _revoke(name: str, file: Path) -> None:
    names = [line.name for line in serving.read_lines(_text(file)) if line.name is not None]
    if name not in names:
        fail(f"{name} has no token in {file}.{did_you_mean(name, names)}")
    _change(file, lambda text: serving.without_name(text, name))
    revoked = "1 token" if names.count(name) == 1 else f"{names.count(name)} tokens"
    click.echo(f"{revoked} of {name} revoked in {file}.")


def _text(file: Path) -> str:
    data = read_file(file)
    if data is None:
        raise HostError(f"{file} does not exist")
    return _decoded(file, data)


def _decoded(file: Path, data: bytes) -> str:
    if len(data) > bounds.TOKEN_FILE_BYTES:
        raise HostError(
            f"{file} is larger than {bounds.TOKEN_FILE_BYTES >> 20} MiB: that is not a token file"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HostError(f"{file} can't be read: it is not UTF-8") from None


def _change(file: Path, changed: Callable[[str], str]) -> None:
    """Change the file in one step; begin again where somebody else has changed it meanwhile."""
    for attempt in range(ATTEMPTS):
        before = read_file(file)
        text = changed(_decoded(file, before or b""))
        try:
            write_file(file, text.encode(), before=before, private=True)
            return
        except ChangedMeanwhileError:
            if attempt + 1 == ATTEMPTS:
                raise
