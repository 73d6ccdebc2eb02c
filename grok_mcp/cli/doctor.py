"""`grok-mcp-server doctor`: prints what `grok_mcp.doctor` finds."""

import asyncio
import json

import click

from grok_mcp.cli.console import FAILED, coloured, fitted, symbol
from grok_mcp.doctor import Check, examine

_NEEDS_NETWORK = (
    "These checks need the network, and only with a key: proxy, dns, connect, tls, endpoint, key accepted, "
    "credit, dialects, model and search; also redis and ledger, where their addresses are set. No request is "
    "made twice, and without --full none costs anything."
)


@click.command(epilog=_NEEDS_NETWORK)
@click.option("as_json", "--json", is_flag=True, help="print {ok, checks: [{name, ok, message, fix}]}")
@click.option("--offline", is_flag=True, help="look at this machine only: see below")
@click.option("--full", is_flag=True, help="also call each tool once, which costs money: a few cents at most")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, offline: bool, full: bool) -> None:
    """Find what keeps Grok from working, and say how to fix it.

    Checks settings, key, endpoint, models and the files of hosts. What is wrong for one reason in several
    hosts is one finding. Never shows a key. Exits with status 1 if something has to be fixed.
    """
    if offline and full:
        raise click.UsageError("--full calls the endpoint, --offline does not: use only one of them.")
    checks = asyncio.run(examine((lambda check: None) if as_json else _show, offline=offline, full=full))
    errors = [check for check in checks if not check.ok]
    if as_json:
        report = {"ok": not errors, "checks": [check._asdict() for check in checks]}
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        click.echo(f"\n{len(errors)} to fix." if errors else "\nNothing to fix.")
    if errors:
        ctx.exit(FAILED)


def _show(check: Check) -> None:
    """One finding, with its fix below."""
    if not check.ok:
        mark, colour = symbol("✗", "X"), "red"
    elif check.fix:
        mark, colour = "!", "yellow"
    else:
        mark, colour = symbol("✓", "ok"), "green"
    text = fitted(f"{mark} {check.name}: {check.message}", 2)
    click.echo(f"{coloured(mark, colour)}{text.removeprefix(mark)}")
    if check.fix:
        click.echo(fitted(f"    {check.fix}"))
