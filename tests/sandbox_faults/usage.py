"""Changes of the usage: how endpoints count, and the forms in which they tell it."""

from collections.abc import Iterator

from tests.sandbox_faults.changes import JSON, Deviation, Events, at_usage, without

TICKS_PER_USD = 10**10


def _drop(envelope: JSON) -> JSON:
    return without(envelope, "usage")


def _drop_events(events: Events) -> Iterator[JSON]:
    for event in events:
        if event.get("choices") == [] and "usage" in event:
            continue  # the chunk that was there for the usage alone
        if "response" in event:
            event = event | {"response": event["response"] | {"usage": None}}
        yield _drop(event)


DROPPED = Deviation(lambda events, _: _drop_events(events), lambda body, _: _drop(body))


def beside_finish(events: Events) -> Iterator[JSON]:
    """The usage in the chunk with the finish reason, as in 2025, instead of in one of its own."""
    held: JSON | None = None
    for event in events:
        if held is not None and event.get("choices") == [] and "usage" in event:
            event = held | {"usage": event["usage"]}
        elif held is not None:
            yield held
        held = event
    if held is not None:
        yield held


def running(events: Events) -> Iterator[JSON]:
    """Usage so far in every chunk; only the last one counts, added up they would be many times too much."""
    chunks = list(events)
    usage = chunks[-1].get("usage") if chunks else None
    if usage is None or "prompt_tokens" not in usage:
        yield from chunks
        return
    for number, chunk in enumerate(chunks[:-1], 1):
        written = usage["completion_tokens"] * number // len(chunks)
        counts = {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": written}
        yield chunk | {"usage": counts | {"total_tokens": sum(counts.values())}}
    yield chunks[-1]


def misspelt(usage: JSON) -> JSON:
    """Nebula's spelling of the details."""
    if "completion_tokens_details" not in usage:
        return usage
    details = {"completion_token_details": usage["completion_tokens_details"]}
    return without(usage, "completion_tokens_details") | details


def inclusive(usage: JSON) -> JSON:
    """Reasoning inside the completion tokens, as all but xAI count."""
    if "prompt_tokens" not in usage:
        return usage
    return usage | {"completion_tokens": usage["total_tokens"] - usage["prompt_tokens"]}


def in_dollars(usage: JSON) -> JSON:
    """OpenRouter's form: inclusive, and billed in USD."""
    ticks = usage.get("cost_in_usd_ticks")
    if ticks is None or "prompt_tokens" not in usage:
        return usage
    counts = without(inclusive(usage), "cost_in_usd_ticks", "num_sources_used")
    return counts | {"cost": ticks / TICKS_PER_USD}


def cached_beside(usage: JSON) -> JSON:
    """More cached tokens than input tokens, which then hold only those that were not cached."""
    name = "prompt_tokens" if "prompt_tokens" in usage else "input_tokens"
    fresh = (usage[name] - 1) // 2
    details = usage[f"{name}_details"] | {"cached_tokens": usage[name] - fresh}
    return usage | {name: fresh, f"{name}_details": details}


def as_text(usage: JSON) -> JSON:
    """Every count in digits between quotes; the price stays a number."""

    def as_digits(value: object) -> object:
        if isinstance(value, dict):
            return {name: as_digits(inner) for name, inner in value.items()}
        return str(value) if isinstance(value, int) else value

    return {name: value if name == "cost_in_usd_ticks" else as_digits(value) for name, value in usage.items()}


def as_nulls(usage: JSON) -> JSON:
    """Every field there, and none with a value."""
    return dict.fromkeys(usage)


def _counted(usage: JSON, read: int, written: int, total: int, thoughts: int | None) -> JSON:
    """These counts in the names of the dialect."""
    names = ("prompt", "completion") if "prompt_tokens" in usage else ("input", "output")
    counts = dict(zip((f"{name}_tokens" for name in names), (read, written), strict=True))
    details = {} if thoughts is None else {f"{names[1]}_tokens_details": {"reasoning_tokens": thoughts}}
    rest = without(usage, f"{names[0]}_tokens_details", f"{names[1]}_tokens_details")
    return rest | counts | {"total_tokens": total} | details


def zeros(usage: JSON) -> JSON:
    """Nothing was used, and nothing is to pay."""
    return {name: zeros(value) if isinstance(value, dict) else 0 for name, value in usage.items()}


_MANY = 10**400

COUNTS = {
    "beside": at_usage(lambda usage: _counted(usage, 5, 18, 23, 39)),
    "unsaid": at_usage(lambda usage: _counted(usage, 10, 22, 75, None)),
    "zeros": at_usage(zeros),
    "absurd": at_usage(
        lambda usage: _counted(usage, _MANY, _MANY, 2 * _MANY, None) | {"cost_in_usd_ticks": _MANY}
    ),
}


def zeros_behind(events: Events) -> Iterator[JSON]:
    """One more chunk, whose usage is empty."""
    last: JSON = {}
    for event in events:
        yield event
        last = event
    if last.get("usage") and "choices" in last:
        yield last | {"choices": [], "usage": zeros(last["usage"])}


def float_ticks(usage: JSON) -> JSON:
    """A price with a decimal point."""
    ticks = usage.get("cost_in_usd_ticks")
    return usage if ticks is None else usage | {"cost_in_usd_ticks": float(ticks)}


def priced(ticks: str) -> Deviation:
    """This price, in ticks."""
    return at_usage(lambda usage: usage | {"cost_in_usd_ticks": int(ticks)})


FEE = 0.05


def _own_key(usage: JSON, fee: float, *, includes: bool) -> JSON:
    counts = in_dollars(usage)
    cost = counts.get("cost")
    if cost is None:
        return usage
    billed = fee * cost + (cost if includes else 0)
    return counts | {"cost": billed, "is_byok": True, "cost_details": {"upstream_inference_cost": cost}}


OWN_KEY = {
    "free": at_usage(lambda usage: _own_key(usage, 0, includes=False)),
    "fee": at_usage(lambda usage: _own_key(usage, FEE, includes=False)),
    "whole": at_usage(lambda usage: _own_key(usage, FEE, includes=True)),
}
