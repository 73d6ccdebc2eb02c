"""What one answer used and cost, the same whichever endpoint reported it.

The dialects read an endpoint's counts into a `UsageReport`; `normalise` turns it into a `Usage`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from grok_mcp import bounds

TICKS_PER_USD = 10_000_000_000
"""`cost_in_usd_ticks`: 10^10 ticks are one USD (docs.x.ai/developers/cost-tracking)."""


SEARCH_USD = POST_USD = CODE_USD = Decimal("0.005")
"""A search of the web, a post on X that was fetched, a run of code (docs.x.ai, pricing, since 2026-09-21)."""
PROFILE_USD = ATTACHMENT_USD = Decimal("0.010")
"""A profile on X that was fetched, a search of attached files."""
COLLECTION_USD = Decimal("0.0025")
"""A search of collections."""
PRIORITY_FACTOR = 2
"""What tokens cost more in the service tier `priority` (docs.x.ai, priority processing)."""


class UsageReport(NamedTuple):
    """Counts as an endpoint gave them; None is unknown.

    `output_tokens` may or may not include `reasoning_tokens`: endpoints differ. `reasoning_inside` says that
    it does, where the wire format defines it.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    image_tokens: int | None = None
    sources_used: int | None = None
    web_searches: int | None = None
    x_searches: int | None = None
    x_posts_fetched: int | None = None
    x_users_fetched: int | None = None
    code_runs: int | None = None
    collection_searches: int | None = None
    attachment_searches: int | None = None
    cost_usd: Decimal | None = None
    reasoning_inside: bool = False
    service_tier: str = ""
    """As the endpoint wrote it."""

    @property
    def says_nothing(self) -> bool:
        """Whether all counts are zero or missing, as some endpoints fill them in: that is unknown, not
        free.
        """
        return not any(self[: self._fields.index("reasoning_inside")])


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, cost in USD and seconds of one call; a count that the endpoint did not give is None.

    `cached_tokens` are inside `input_tokens`; `reasoning_tokens` and `text_tokens` add up to
    `output_tokens`. `cost_usd` None means unknown, never free. `documents_searched` counts searches of files,
    `service_tier` is the one that was granted.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    text_tokens: int | None = None
    total_tokens: int | None = None
    image_tokens: int | None = None
    sources_used: int | None = None
    web_searches: int | None = None
    x_searches: int | None = None
    x_posts_fetched: int | None = None
    x_users_fetched: int | None = None
    code_runs: int | None = None
    documents_searched: int | None = None
    cost_usd: Decimal | None = None
    cost_source: Literal["reported", "estimated"] | None = None
    service_tier: str | None = None
    duration_s: float | None = None
    time_to_first_token_s: float | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """Both turns together; a cost is only known where both are."""
        summed = {name: _sum(getattr(self, name), getattr(other, name)) for name in COUNTS}
        cost, source = None, None
        if self.cost_usd is not None and other.cost_usd is not None:
            cost = self.cost_usd + other.cost_usd
            source = self.cost_source if self.cost_source == other.cost_source else "estimated"
        return replace(
            self,
            **summed,
            cost_usd=cost,
            cost_source=source,
            service_tier=_same(self.service_tier, other.service_tier),
            duration_s=_sum(self.duration_s, other.duration_s),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON numbers under the published names, without what is unknown."""
        known = {name: getattr(self, name) for name in self.__slots__}
        if self.cost_usd is not None:
            known["cost_usd"] = float(self.cost_usd)
        for name in ("duration_s", "time_to_first_token_s"):
            if known[name] is not None:
                known[name] = round(known[name], 3)
        return {name: value for name, value in known.items() if value is not None}


COUNTS = Usage.__slots__[: Usage.__slots__.index("cost_usd")]
"""The names of all counts."""


def normalise(report: UsageReport, *, reasoning_inside: bool) -> Usage:
    """One meaning for all endpoints' counts.

    `reasoning_inside` says whether the gateway counts reasoning inside the output; it only decides
    where the total does not.
    """
    if report.says_nothing:
        return Usage()
    input_tokens, cached = _split_input(report)
    output, text = _split_output(report, report.reasoning_inside or reasoning_inside, input_tokens)
    total = report.total_tokens
    if input_tokens is not None and output is not None:
        total = max(total or 0, input_tokens + output)
    return Usage(
        input_tokens=input_tokens,
        cached_tokens=cached,
        output_tokens=output,
        reasoning_tokens=report.reasoning_tokens,
        text_tokens=text,
        total_tokens=total,
        image_tokens=report.image_tokens or None,
        sources_used=report.sources_used or None,
        web_searches=report.web_searches or None,
        x_searches=report.x_searches or None,
        x_posts_fetched=report.x_posts_fetched or None,
        x_users_fetched=report.x_users_fetched or None,
        code_runs=report.code_runs or None,
        documents_searched=(report.collection_searches or 0) + (report.attachment_searches or 0) or None,
        cost_usd=report.cost_usd,
        cost_source=None if report.cost_usd is None else "reported",
    )


def _split_input(report: UsageReport) -> tuple[int | None, int | None]:
    """Input tokens with cached ones, and the cached ones; some endpoints do not count these as input."""
    prompt, cached, total = report.input_tokens, report.cached_tokens, report.total_tokens
    if prompt is None or cached is None or cached <= prompt:
        return prompt, cached
    output, reasoning = report.output_tokens or 0, report.reasoning_tokens or 0
    if total is None or total - prompt - cached in (output, output + reasoning):
        return prompt + cached, cached
    return prompt, prompt


def _split_output(
    report: UsageReport, reasoning_inside: bool, input_tokens: int | None
) -> tuple[int | None, int | None]:
    """Output tokens with reasoning, and those of the text alone."""
    completion, reasoning = report.output_tokens, report.reasoning_tokens
    if completion is None:
        return None, None
    beyond = None
    if report.total_tokens is not None and input_tokens is not None:
        beyond = report.total_tokens - input_tokens - completion
    if reasoning is None:  # what the total holds beyond the text was thought, and is billed
        return completion + max(beyond or 0, 0), completion
    inside = reasoning_inside
    if beyond is not None:
        inside = beyond == 0 or (reasoning_inside and beyond != reasoning)
    if inside and completion >= reasoning:
        return completion, completion - reasoning
    return completion + reasoning, completion


def fees(report: UsageReport) -> Decimal:
    """What tools at the endpoint cost beside the tokens, by xAI's prices (docs.x.ai, pricing, 2026-11)."""
    counts = (
        (report.web_searches, SEARCH_USD),
        (report.x_posts_fetched, POST_USD),
        (report.x_users_fetched, PROFILE_USD),
        (report.code_runs, CODE_USD),
        (report.collection_searches, COLLECTION_USD),
        (report.attachment_searches, ATTACHMENT_USD),
    )
    return sum(((count or 0) * price for count, price in counts), Decimal(0))


def with_cost_estimate(
    usage: Usage, model: str, factor: Decimal = Decimal(1), extra_usd: Decimal = Decimal(0)
) -> Usage:
    """The usage with a cost from public price lists, where the endpoint gave counts but no cost.

    `factor` is what tokens cost at this endpoint, times these prices; in the tier `priority` they cost more.
    `extra_usd` is what is billed beside them.
    """
    if usage.cost_usd is not None or usage.input_tokens is None or usage.output_tokens is None:
        return usage
    import genai_prices  # 25 ms that only an endpoint without prices costs

    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens or 0,
        output_tokens=usage.output_tokens,
    )
    try:
        price = genai_prices.calc_price(counts, model.rsplit("/", 1)[-1], provider_id="x-ai")
    except LookupError:
        return usage
    if usage.service_tier == "priority":
        factor *= PRIORITY_FACTOR
    return replace(usage, cost_usd=price.total_price * factor + extra_usd, cost_source="estimated")


def count(value: Any) -> int | None:
    """A token count from foreign JSON: non-negative integers and digit strings, else None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return min(value, bounds.COUNT) if value >= 0 else None


def reported_cost(usage: Mapping[str, Any]) -> Decimal | None:
    """The cost in USD that an endpoint reported: xAI's ticks, else OpenRouter's `cost`."""
    ticks = _number(usage.get("cost_in_usd_ticks"))
    if ticks is not None and ticks == int(ticks) and ticks < bounds.COST_TICKS:
        return ticks / TICKS_PER_USD
    cost = _usd(usage.get("cost"))
    if not usage.get("is_byok"):
        return cost
    upstream = _upstream_cost(usage.get("cost_details"))
    if upstream is None or cost is None:
        return upstream  # the fee alone is not what the call cost
    return cost if cost >= upstream else cost + upstream  # a fee that is larger includes it


def _upstream_cost(details: Any) -> Decimal | None:
    """What the caller's own account at the model's provider pays, in one sum or in two."""
    if not isinstance(details, Mapping):
        return None
    upstream = _usd(details.get("upstream_inference_cost"))
    parts = [_usd(details.get(f"upstream_inference_{part}_cost")) for part in ("prompt", "completions")]
    return _sum(*parts) if upstream is None else upstream


def _usd(value: Any) -> Decimal | None:
    """An amount in USD from foreign JSON, None for what is not one."""
    amount = _number(value)
    return None if amount is None or amount >= 1_000_000_000 else amount


def _number(value: Any) -> Decimal | None:
    """A number that is not negative, also one written as text; None for what is not one."""
    if isinstance(value, str) and re.fullmatch(
        r"\d{1,20}(\.\d{1,30})?(e-?\d{1,2})?", value, re.ASCII | re.IGNORECASE
    ):
        return Decimal(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e30:
        return Decimal(str(value))
    return None


def _sum(one: Any, other: Any) -> Any:
    """The sum of what is known; None where neither is."""
    if one is None:
        return other
    return one if other is None else one + other


def _same(one: str | None, other: str | None) -> str | None:
    """What both say, or the only one that says anything; None where they differ."""
    return one if other in (None, one) else other if one is None else None


class UsageMeter:
    """What the endpoint has counted for one tool call so far; known also where the call is cancelled.

    `usage` is None while it has counted nothing; `sent` says whether any request went out, `has_content`
    whether anything of an answer has come.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.model = ""
        self.sent = self.has_content = False
        self.is_sending = False
        """Whether the first request is about to go out: nothing refuses the call any more."""
        self.attempts = 0
        """How many requests went out."""
        self.characters = 0
        """Of all that has come of answers."""

    def add(
        self, usage: Usage | None, model: str, *, attempts: int, has_content: bool, characters: int = 0
    ) -> None:
        """Add one answer up that was asked of the endpoint, however it ended."""
        if usage is not None:
            self.usage = usage if self.usage is None else self.usage + usage
        self.model = model or self.model
        self.attempts += attempts
        self.sent = self.attempts > 0
        self.has_content = self.has_content or has_content
        self.characters += characters
