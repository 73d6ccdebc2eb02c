"""`grok-mcp doctor`: looks at everything that a call needs, and says what is wrong and how to mend it.

Nothing here costs money unless `full` is asked for. Each check is bounded in time; those that wait for
different things run side by side, and are told in a fixed order.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from grok_mcp.accounting import ledger_path
from grok_mcp.doctor.endpoint import check_endpoint
from grok_mcp.doctor.findings import Check, fine, wrong
from grok_mcp.doctor.hosts import check_hosts, environment_of_a_host
from grok_mcp.doctor.installation import check_extras, check_folder, check_installation, check_redis
from grok_mcp.doctor.settings import check_key, check_settings, wants_key
from grok_mcp.redaction import quote
from grok_mcp.settings import Settings

Tell = Callable[[Check], None]

NETWORK_S = 60.0
"""For the whole way to the endpoint and all questions, of which each is bounded by ten seconds or less."""
FULL_S = 90.0
LOCAL_S = 10.0

_STATE_FIX = "Set GROK_MCP_STATE_DIR to a folder that can be written to: the ledger of calls is kept there."


@dataclass(frozen=True)
class _Group:
    """Checks that are made together; `name` stands for them where they can't be made."""

    name: str
    make: Callable[[], Awaitable[Iterable[Check]]]
    bound_s: float = LOCAL_S

    async def run(self) -> list[Check]:
        """The findings; a fault of a check is a finding as well."""
        try:
            async with asyncio.timeout(self.bound_s):
                return list(await self.make())
        except TimeoutError:
            why, fix = (
                f"this took more than {self.bound_s:g} s",
                "Try again; look at the network and the disk.",
            )
        except Exception as error:
            why = f"this could not be checked: {quote(f'{type(error).__name__} {error}')}"
            fix = "Please report this as a fault of doctor."
        return [wrong(self.name, why, fix)]


async def examine(tell: Tell, *, offline: bool, full: bool) -> list[Check]:
    """Make all checks and tell each as soon as those before it are known."""
    environment = dict(os.environ)
    checks: list[Check] = []

    def note(found: Iterable[Check]) -> None:
        for check in found:
            checks.append(check)
            tell(check)

    note(check_installation())
    settings, about_settings = check_settings()
    if settings is not None and wants_key(settings):
        note(_borrow_key())
        settings, about_settings = check_settings()
    note(about_settings)
    note(check_extras())
    groups = [_Group("hosts", partial(asyncio.to_thread, check_hosts, environment))]
    if settings is not None:
        note(check_key(settings))
        note([check_folder("state", ledger_path(settings.state_dir).parent, _STATE_FIX)])
        groups = [*_groups(settings, offline=offline, full=full), *groups]
    if offline:
        note([fine("network", "not looked at (--offline)")])
    for task in [asyncio.create_task(group.run()) for group in groups]:
        note(await task)
    return checks


def _borrow_key() -> list[Check]:
    """Take the settings of a host's entry that has a key, where this shell has none."""
    found = environment_of_a_host()
    if found is None:
        return []
    title, settings = found
    os.environ.update(settings)
    return [fine("shell", f"it has no key; what follows is about the settings in the entry of {title}")]


def _groups(settings: Settings, *, offline: bool, full: bool) -> list[_Group]:
    """The checks that need a network."""
    if offline:
        return []
    bound_s = NETWORK_S + (FULL_S if full else 0)
    groups = [_Group("endpoint", partial(_endpoint, settings, full=full), bound_s)]
    if settings.redis_url is not None:
        groups.append(_Group("redis", partial(check_redis, settings.redis_url)))
    return groups


async def _endpoint(settings: Settings, *, full: bool) -> list[Check]:
    """What the endpoint says; the sandbox is started for as long as it is asked."""
    if settings.gateway != "sandbox" or settings.base_url is not None:
        return await _asked(settings, full=full)
    from grok_mcp.sandbox import SandboxServer  # nobody else waits for it

    sandbox = SandboxServer(pace=0)
    url = await asyncio.to_thread(sandbox.start)
    try:
        return await _asked(settings.model_copy(update={"base_url": url}), full=full)
    finally:
        await asyncio.to_thread(sandbox.stop)


async def _asked(settings: Settings, *, full: bool) -> list[Check]:
    checks, answers = await check_endpoint(settings)
    if full and answers:
        from grok_mcp.doctor.calls import check_calls  # brings the tools

        checks += await check_calls(settings)
    return checks
