"""Reports each tool call that has ended, once: to the audit stream and to whoever measures."""

import time
from typing import TYPE_CHECKING

from grok_mcp.messages import Call
from grok_mcp.reports import ADMITTED, CallReport, Monitor
from grok_mcp.settings import Settings
from grok_mcp.usage import Usage

if TYPE_CHECKING:
    from grok_mcp.audit import Audit


class Reporting:
    """What one process reports. `monitor` ignores all, until somebody puts another one in its place."""

    def __init__(self, settings: Settings) -> None:
        self.monitor = Monitor()
        self._audit: Audit | None = None
        if settings.audit != "off":
            from grok_mcp.audit import open_audit  # nothing of it is loaded where nobody asks for it

            self._audit = open_audit(settings, self._count)

    def _count(self, *, written: int = 0, lost: int = 0) -> None:
        self.monitor.audited(written=written, lost=lost)

    async def check(self) -> None:
        """Raise OverloadedError where no call may go out as its line could not be written."""
        if self._audit:
            await self._audit.check()

    async def end(self, report: CallReport) -> None:
        """Report a call that has ended, before its answer goes out. Raises nothing; waits only briefly."""
        self.monitor.call(report)
        if self._audit:
            await self._audit.write(report)

    def end_now(self, report: CallReport) -> None:
        """The same for a call that must not wait."""
        self.monitor.call(report)
        if self._audit:
            self._audit.note(report)

    async def aclose(self) -> None:
        """Write what is still to be written."""
        if self._audit:
            await self._audit.aclose()


def report_of(
    call: Call,
    gateway: str,
    outcome: str,
    *,
    decision: str = ADMITTED,
    model_asked: str = "",
    model: str = "",
    usage: Usage | None = None,
) -> CallReport:
    """The report of a call that ends now."""
    return CallReport(
        ended_at=time.time(),
        request_id=call.request_id,
        caller=call.caller,
        group=call.group,
        transport=call.transport,
        tool=call.tool,
        gateway=gateway,
        model_asked=model_asked,
        model=model,
        outcome=outcome,
        decision=decision,
        usage=usage,
        duration_s=time.monotonic() - call.started,
        attempts=call.meter.attempts,
    )
