"""Makes the checks of `grok-mcp-server doctor`: of everything that a call needs.

Only a `full` check costs money. Each is bounded in time; those that wait for different things run side by
side, and are reported in a fixed order.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from grok_mcp.accounting import ledger_path
from grok_mcp.doctor.calls import check_calls
from grok_mcp.doctor.endpoint import check_endpoint
from grok_mcp.doctor.findings import Check, fine, wrong
from grok_mcp.doctor.hosts import check_hosts, environment_of_a_host
from grok_mcp.doctor.installation import (
    check_extras,
    check_folder,
    check_installation,
    check_ledger,
    check_redis,
)
from grok_mcp.doctor.network import check_trust
from grok_mcp.doctor.settings import check_key, check_settings, wants_key
from grok_mcp.endpoint import Keys
from grok_mcp.gateways import resolve
from grok_mcp.redaction import quote
from grok_mcp.settings import Settings

Report = Callable[[Check], None]

NETWORK_S = 60.0
"""For all steps and requests to the endpoint, each of which is bounded by ten seconds or less."""
FULL_S = 90.0
LOCAL_S = 10.0

_STATE_FIX = (
    "Set GROK_MCP_STATE_DIR to a writable folder: it holds the ledger of calls and answers to collect."
)


@dataclass(frozen=True)
class _Group:
    """Checks that are made together; `name` is that of the finding if they fail."""

    name: str
    make: Callable[[], Awaitable[Iterable[Check]]]
    bound_s: float = LOCAL_S

    async def run(self) -> list[Check]:
        """The findings; a check that fails is a finding as well."""
        try:
            async with asyncio.timeout(self.bound_s):
                return list(await self.make())
        except TimeoutError:
            why = f"this took more than {self.bound_s:g} s"
            fix = "Try again; check the network and the disk."
        except Exception as error:
            why = f"this could not be checked: {quote(f'{type(error).__name__} {error}')}"
            fix = "Please report this as a bug in doctor."
        return [wrong(self.name, why, fix)]


async def examine(report: Report, *, offline: bool, full: bool) -> list[Check]:
    """Make all checks and report each as soon as those before it are known."""
    shell = dict(os.environ)
    checks: list[Check] = []

    def add(findings: Iterable[Check]) -> None:
        for check in findings:
            checks.append(check)
            report(check)

    add(check_installation())
    settings, about_settings = check_settings()
    if settings is not None and wants_key(settings) and (borrowed := environment_of_a_host(shell)):
        title, variables = borrowed
        os.environ.update(variables)
        message = f"this shell has no key, so the checks below use the settings in the entry of {title}"
        add([fine("shell", message)])
        settings, about_settings = check_settings()
    add(about_settings)
    add(check_extras())
    groups: list[_Group] = []
    if settings is not None:
        keys = await asyncio.to_thread(Keys, settings, resolve(settings).own_key)
        add(check_key(settings, keys))
        add([_check_state(settings)])
        url = settings.base_url or resolve(settings).base_url or ""
        if offline or keys.key is None or not url.lower().startswith("https:"):  # else that is on the way
            add(check_trust(needed=url.lower().startswith("https:") or settings.oauth_issuer is not None))
        if not offline:
            bound_s = NETWORK_S + FULL_S if full else NETWORK_S
            groups.append(_Group("endpoint", partial(_check_endpoint, settings, keys, full=full), bound_s))
            groups += _shared(settings)
    if offline:
        add([fine("network", "not checked (--offline)")])
    groups.append(_Group("hosts", partial(asyncio.to_thread, check_hosts, shell)))
    for task in [asyncio.create_task(group.run()) for group in groups]:
        add(await task)
    return checks


def _shared(settings: Settings) -> Iterable[_Group]:
    """What servers of several machines share."""
    if settings.redis_url is not None:
        yield _Group("redis", partial(check_redis, settings.redis_url))
    if settings.ledger_url is not None:
        url = settings.ledger_url.get_secret_value()
        yield _Group("ledger", partial(asyncio.to_thread, check_ledger, url))


def _check_state(settings: Settings) -> Check:
    """Whether the ledger has a folder."""
    try:
        folder = ledger_path(settings.state_dir).parent
    except RuntimeError as error:  # no HOME, and a user whom the system does not know
        return wrong("state", f"there is no folder for the user's state: {error}", _STATE_FIX)
    return check_folder("state", folder, _STATE_FIX)


async def _check_endpoint(settings: Settings, keys: Keys, *, full: bool) -> list[Check]:
    """The findings about the endpoint; the sandbox runs for as long as they take."""
    sandbox = None
    if settings.gateway == "sandbox" and settings.base_url is None:
        from grok_mcp.sandbox import SandboxServer  # brings a web framework, which --help need not load

        sandbox = SandboxServer(pace=0)
        url = await asyncio.to_thread(sandbox.start)
        settings = settings.model_copy(update={"base_url": url})
    try:
        checks, usable = await check_endpoint(settings, keys)
        return [*checks, *await check_calls(settings)] if full and usable else checks
    finally:
        if sandbox:
            await asyncio.to_thread(sandbox.stop)
