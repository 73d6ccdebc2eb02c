"""`grok-mcp doctor` on the command line; `doctor.py` does the work."""

import io
import json
import sys

import click

from grok_mcp.doctor import Check, all_ok, faults

_MARKS = {"fine": ("✓", "ok", "green"), "doubtful": ("!", "!", "yellow"), "wrong": ("✗", "X", "red")}


@click.command()
@click.option("as_json", "--json", is_flag=True, help="print {ok, checks: [{name, ok, message, fix}]}")
@click.option("--offline", is_flag=True, help="look at this machine only")
@click.option("--full", is_flag=True, help="also call each tool once, which costs money: a few cents at most")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, offline: bool, full: bool) -> None:
    """Find what keeps Grok from working, and say how to mend it.

    Looks at settings, key, endpoint, models and the files of hosts. No key is shown. Exit status 1 where
    something has to be mended.
    """
    if offline and full:
        raise click.UsageError("--full asks the endpoint, --offline does not: take one of them.")
    import asyncio

    from grok_mcp.doctor import examine

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a pipe on Windows may have no letters for it all
    checks = asyncio.run(examine((lambda check: None) if as_json else _show, offline=offline, full=full))
    if as_json:
        told = {"ok": all_ok(checks), "checks": [check.to_dict() for check in checks]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        count = len(list(faults(checks)))
        click.echo(f"\n{count} to mend." if count else "\nNothing to mend.")
    ctx.exit(0 if all_ok(checks) else 1)


def _show(check: Check) -> None:
    """One finding, with what mends it below."""
    kind = "wrong" if not check.ok else "doubtful" if check.fix else "fine"
    mark, plain, colour = _MARKS[kind]
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    known = mark.encode(encoding, "replace").decode(encoding) == mark
    click.echo(f"{click.style(mark if known else plain, fg=colour)} {check.name}: {check.message}")
    if check.fix:
        click.echo(f"    {check.fix}")
