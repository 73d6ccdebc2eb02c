"""What a call would send and may cost, without sending it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from grok_mcp.accounting import Estimate
from grok_mcp.messages import Call
from grok_mcp.pipeline import Grok
from grok_mcp.tools.arguments import Arguments
from grok_mcp.tools.attached import ReadFile
from grok_mcp.tools.spec import ToolSpec


class DryRun(NamedTuple):
    """The files that would go out, the model, and the estimate, which is None for an unknown price."""

    files: tuple[ReadFile, ...]
    notes: tuple[str, ...]
    model: str
    estimate: Estimate | None

    @property
    def usd(self) -> Decimal | None:
        """What the call may cost."""
        return self.estimate and self.estimate.usd

    def to_dict(self) -> dict[str, Any]:
        """The published form."""
        published: dict[str, Any] = {
            "sent": False,
            "model": self.model,
            "files": [
                {name: value for name, value in file._asdict().items() if value is not None}
                for file in self.files
            ],
        }
        if self.notes:
            published["warnings"] = list(self.notes)
        if self.estimate is not None:
            published["estimate"] = {
                "input_tokens": self.estimate.input_tokens,
                "output_tokens": self.estimate.output_tokens,
                "cost_usd": float(self.estimate.usd),
            }
        return published


async def run_dry(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], call: Call) -> DryRun:
    """Do all of a call that comes before it is sent; a question may still be missing.

    Raises what the call would raise.
    """
    subject = spec.input_schema["required"][0]
    arguments, warnings = spec.read({**raw, subject: raw.get(subject) or "…"})
    assert isinstance(arguments, Arguments) and spec.open is not None
    if not arguments.model:
        await grok.catalog.settle_default()
    turn = await spec.open(grok, arguments, call)
    notes = (*warnings, *turn.attached.notes)
    return DryRun(turn.attached.files, notes, turn.request.model, grok.estimate(turn.request))
