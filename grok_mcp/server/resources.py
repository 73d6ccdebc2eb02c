"""What a host can read: one `ResourceSpec` each. To add a resource, add one to `RESOURCES`.

`handlers.py` lists and serves them. Each is one JSON document; the answers that are stored, which a template
names, are Markdown.
"""

import json
import logging
import platform
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from mcp_types import (
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from pydantic import SecretStr

from grok_mcp import __version__
from grok_mcp.accounting import (
    SANDBOX,
    Reading,
    Totals,
    add_speeds,
    add_up,
    json_values,
    read_speeds,
    read_totals,
)
from grok_mcp.environment import origin_of
from grok_mcp.errors import GrokError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import Answer, Data, Outcome, Running
from grok_mcp.pipeline import Grok
from grok_mcp.redaction import join_surrogates, mask_secrets
from grok_mcp.rendering import as_markdown
from grok_mcp.server.results import ANSWERS, MARKDOWN_TYPE, compact, is_sound
from grok_mcp.settings import Settings

if TYPE_CHECKING:
    from grok_mcp.quotas import Quotas

logger = logging.getLogger(__name__)

JSON_TYPE = "application/json"


class Reader(NamedTuple):
    """Who reads, as the ledger and as the limits name them, and of which group; `remote` on a network
    transport, else it is whoever runs this process. `shows_cards` says that its host draws what it reads.
    """

    caller: str
    remote: bool
    group: str
    name: str
    shows_cards: bool = False


class ResourceSpec(NamedTuple):
    """One resource: its published face, and what it holds when it is read."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Grok, Reader], Awaitable[Mapping[str, Any]]]


FOR_EVERYONE = (
    *("model", "reasoning_effort", "dialect", "search_dialect", "timeout", "idle_timeout"),
    *("max_retries", "progress", "results", "wait", "max_result_chars", "max_body_bytes"),
    *("budget_usd_per_day", "call_limit_usd", "guidelines", "caller_keys"),
)
"""The settings that callers on the network see; a new one is hidden from them until it stands here."""

_MASK = "***"
_GATEWAY_FACTS = tuple(
    field.name for field in fields(Gateway) if field.name not in ("base_url", "hosts", "own_key")
)
_PACKAGES = ("mcp", "httpx2", "pydantic")


async def _models(grok: Grok, reader: Reader) -> Mapping[str, Any]:
    """Callers on the network see the speed of their own calls, as they see what these have used. What a
    caller may not use is left out.
    """
    document = await grok.catalog.published()
    if grok.quotas is not None:
        _leave_out(document, grok.quotas, reader)
    caller = reader.caller if reader.remote else None
    sandbox = grok.gateway.name == SANDBOX
    try:
        speeds = await grok.ledger.read(lambda ledger: read_speeds(ledger, caller=caller, sandbox=sandbox))
    except Exception:  # no speed is known where the ledger can't be read, whatever it is
        logger.info("the speed of models is unknown", exc_info=True)
    else:
        add_speeds(document, speeds)
    return document


def _leave_out(document: dict[str, Any], quotas: "Quotas", reader: Reader) -> None:
    """Leave out the models that the reader may not use, and have a default that it may."""

    def may_use(model: str) -> bool:
        return quotas.allows(reader.name, reader.group, model)

    allowed = quotas.models(reader.name, reader.group)
    if allowed is None:
        return
    document["models"] = [entry for entry in document["models"] if may_use(entry["id"])]
    if not may_use(document["default_model"]):
        document["default_model"] = allowed[0] if allowed else None
    if "retired" in document:
        document["retired"] = [one for one in document["retired"] if may_use(one["id"])]
    document["allowed"] = [mask_secrets(name) for name in allowed]


async def _config(grok: Grok, reader: Reader) -> Mapping[str, Any]:
    """All settings for whoever runs this process; callers on the network see only what changes their calls.

    No key and no password leaves here. Whose server it is, where its files lie and who else may call it is
    none of the business of others.
    """
    await grok.catalog.settle_default()
    await grok.keys.settle()
    settings, gateway = grok.settings, grok.gateway
    document: dict[str, Any] = {
        "server": {"name": "grok-mcp-server", "version": __version__},
        "gateway": {"name": gateway.name, "title": gateway.title},
        "model": mask_secrets(grok.default_model),
    }
    if grok.quotas is not None:
        document["your_limits"] = grok.quotas.describe(reader.name, reader.group)
    if reader.remote:
        document["settings"] = {name: _plain(getattr(settings, name)) for name in FOR_EVERYONE}
        document["note"] = "Who runs this server sees more: grok-mcp on stdio, with the same settings."
        return document
    document["server"] |= {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    document["gateway"] = _gateway(grok)
    document["key"] = _key(grok)
    document["settings"] = {
        name: {"value": _plain(getattr(settings, name)), "from": origin_of(name, settings)}
        for name in Settings.model_fields
    }
    return document


def _gateway(grok: Grok) -> dict[str, Any]:
    """The record of the gateway in effect, and why it is in effect."""
    settings, gateway = grok.settings, grok.gateway
    source = "default"
    if settings.gateway:
        source = origin_of("gateway", settings)
    elif settings.base_url:
        source = f"the host of {origin_of('base_url', settings)}"
    address = settings.base_url or gateway.base_url
    return {
        "found_by": source,
        "address": _address(address) if address else "a free port of this machine, with the first call",
        **{name: _plain(getattr(gateway, name)) for name in _GATEWAY_FACTS},
    }


def _key(grok: Grok) -> dict[str, Any]:
    """Whether there is a key and where it is from; nothing of the key."""
    if grok.gateway.own_key is not None:
        return {"usable": True, "from": "the sandbox takes any"}
    if grok.keys.key is not None:
        several = {"keys": len(grok.keys.all), "resting": grok.keys.resting} if len(grok.keys.all) > 1 else {}
        return {"usable": True, "from": grok.keys.variable, **several}
    return {"usable": False, "reason": grok.keys.missing_reason}


def _plain(value: Any) -> Any:
    """A value as JSON has it, without what may be secret."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return _address(text) if "://" in text else _MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, str):
        return value
    return _address(value) if "://" in value else mask_secrets(value)


def _address(text: str) -> str:
    """An address without user, password and the values of its query, any of which may be a secret."""
    try:
        parts = urlsplit(text.strip())
        host = parts.netloc.rpartition("@")
        netloc = f"{_MASK}@{host[2]}" if host[1] else host[2]
    except ValueError:
        return _MASK
    query = re.sub(r"=[^&]*", f"={_MASK}", parts.query) if "=" in parts.query else parts.query and _MASK
    return mask_secrets(parts._replace(netloc=netloc, query=query, fragment="").geturl())


async def _usage(grok: Grok, reader: Reader) -> Mapping[str, Any]:
    """Totals of the reader's own calls, and where their budget stands."""
    caller = reader.caller
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    sandbox = grok.gateway.name == SANDBOX

    def read(ledger: Reading) -> tuple[list[Totals], list[Totals]]:
        days = read_totals(ledger, "day", caller=caller, sandbox=sandbox)
        return days, read_totals(ledger, "model", caller=caller, sandbox=sandbox)

    days, by_model = await grok.ledger.read(read)

    def of(date: str) -> dict[str, Any]:
        return json_values(add_up(day for day in days if day.key.startswith(date)).to_dict())

    document: dict[str, Any] = {"caller": caller, "sandbox": sandbox}
    server_pays = caller == reader.name  # and not a key of the caller's own
    cap = grok.budget.caps(caller, reader.group).caller if grok.budget and server_pays else None
    if cap is not None:
        document["budget_usd_per_day"] = float(cap)
    document |= {
        "today": of(today),
        "this_month": of(today[: len("2026-11")]),
        "all_time": of(""),
        "by_model": _rows(by_model),
    }
    return document | {"by_day": _rows(days[-_CHART_DAYS:])} if reader.shows_cards else document


_CHART_DAYS = 31
"""Days with calls that the card's chart has."""


def _rows(parts: Iterable[Totals]) -> list[dict[str, Any]]:
    return [{"key": totals.key, **json_values(totals.to_dict())} for totals in parts]


RESOURCES: Mapping[str, ResourceSpec] = {
    spec.uri: spec
    for spec in (
        ResourceSpec(
            "grok://models",
            "models",
            "Grok models",
            "The models of this endpoint: what each is good for, prices, context windows, efforts, speed.",
            _models,
        ),
        ResourceSpec(
            "grok://usage",
            "usage",
            "Usage and cost",
            "What your calls have used and cost: today, this month (UTC), in all, and by model.",
            _usage,
        ),
        ResourceSpec(
            "grok://config",
            "config",
            "Settings of the Grok server",
            "The settings in effect and where each is from, without secrets, and the gateway's facts.",
            _config,
        ),
    )
}


def list_resources() -> ListResourcesResult:
    """The resources as they are published."""
    return ListResourcesResult(
        resources=[
            Resource(
                uri=spec.uri,
                name=spec.name,
                title=spec.title,
                description=spec.description,
                mime_type=JSON_TYPE,
            )
            for spec in RESOURCES.values()
        ]
    )


def list_resource_templates() -> ListResourceTemplatesResult:
    """The addresses of answers, as they are published."""
    template = ResourceTemplate(
        uri_template=f"{ANSWERS}{{answer_id}}",
        name="answer",
        title="A long or slow answer",
        description="All of an answer that came with an answer_id, with its sources, until it expires.",
        mime_type=MARKDOWN_TYPE,
    )
    return ListResourceTemplatesResult(resource_templates=[template])


def read_answer(uri: str, outcome: Outcome) -> ReadResourceResult:
    """All of an answer: as Markdown with its sources, or JSON that was requested."""
    mime_type = MARKDOWN_TYPE
    match outcome:
        case Running():
            note = f"Note: Grok is still working ({outcome.status or 'no news'}); read this again later."
            text = f"{outcome.text}\n\n{note}\n" if outcome.text and not outcome.as_data else f"{note}\n"
        case Answer(data=Data()) if is_sound(outcome.to_dict()):
            text, mime_type = compact(outcome.to_dict()), JSON_TYPE
        case Answer():
            text = as_markdown(outcome)
        case GrokError():
            text = f"{outcome.text}\n"
    contents = TextResourceContents(uri=uri, mime_type=mime_type, text=join_surrogates(text))
    return ReadResourceResult(contents=[contents])


async def read_resource(spec: ResourceSpec, grok: Grok, reader: Reader) -> ReadResourceResult:
    """What one resource holds now."""
    text = json.dumps(await spec.read(grok, reader), ensure_ascii=False, indent=1)
    return ReadResourceResult(contents=[TextResourceContents(uri=spec.uri, mime_type=JSON_TYPE, text=text)])
