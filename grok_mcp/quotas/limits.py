"""What the limits file says: one `Limits` for each section, and which of them hold for a caller.

A key of a caller's own section comes before the same key of its group's `each`, and that before `[default]`.
What a group's own section says holds for all its members together, in addition.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from grok_mcp import bounds
from grok_mcp.redaction import one_line

MAX_USD = 100_000
"""As of the setting GROK_MCP_BUDGET_USD_PER_DAY."""


class Limits(NamedTuple):
    """The limits of one section, None where it sets none. `models` may be empty: then none may be used."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget_usd_per_day: Decimal | None = None
    models: tuple[str, ...] | None = None

    def over(self, other: "Limits") -> "Limits":
        """These limits, and those of the other section where these set none."""
        return other._replace(**{name: value for name, value in self._asdict().items() if value is not None})

    @property
    def counts(self) -> bool:
        """Whether anything has to be counted by the minute."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def to_dict(self) -> dict[str, Any]:
        """JSON values, without what is not limited."""
        known = {**self._asdict(), "models": None if self.models is None else list(self.models)}
        budget = self.budget_usd_per_day
        known["budget_usd_per_day"] = None if budget is None else float(budget)
        return {name: value for name, value in known.items() if value is not None}


NONE = Limits()


@dataclass(frozen=True)
class Sections:
    """All sections of a file: `each` has the default of a group's members, by the name of the group."""

    default: Limits = NONE
    callers: Mapping[str, Limits] = field(default_factory=dict)
    groups: Mapping[str, Limits] = field(default_factory=dict)
    each: Mapping[str, Limits] = field(default_factory=dict)

    def caller(self, name: str, group: str) -> Limits:
        """The limits of one caller alone."""
        return self.callers.get(name, NONE).over(self.each.get(group, NONE)).over(self.default)

    def group(self, name: str) -> Limits:
        """The limits of all members of a group together."""
        return self.groups.get(name, NONE)


class SectionError(ValueError):
    """A file that can't be used; the message names section and key."""


def is_group(value: object) -> bool:
    """Whether this can name a group, in logs and in the ledger as well."""
    return isinstance(value, str) and 0 < len(value) <= bounds.CALLER_CHARACTERS and value.isprintable()


def read_sections(document: Mapping[str, Any]) -> Sections:
    """The sections of a decoded TOML document. Raises SectionError."""
    _check_names("the file", document, ("default", "callers", "groups"))
    callers, groups = _tables("callers", document), _tables("groups", document)
    if len(callers) + len(groups) > bounds.LIMIT_SECTIONS:
        raise SectionError(f"it has more than {bounds.LIMIT_SECTIONS:,} sections")
    each: dict[str, Limits] = {}
    own: dict[str, Limits] = {}
    for name, table in groups.items():
        section = f"[groups.{name}]"
        known = dict(table)
        if "each" in known:
            each[name] = _limits(f"[groups.{name}.each]", known.pop("each"))
        own[name] = _limits(section, known, also="each")
    return Sections(
        default=_limits("[default]", document.get("default", {})),
        callers={name: _limits(f"[callers.{name}]", table) for name, table in callers.items()},
        groups=own,
        each=each,
    )


def _tables(kind: str, document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    found = document.get(kind, {})
    if not isinstance(found, Mapping):
        raise SectionError(f"{kind} is not a table: write [{kind}.NAME]")
    for name, table in found.items():
        if not is_group(name):
            raise SectionError(
                f"[{kind}.{name[:40]!r}] has no valid name: at most {bounds.CALLER_CHARACTERS} characters, "
                "all of them printable"
            )
        if not isinstance(table, Mapping):
            raise SectionError(f"{kind}.{name} is not a table: write [{kind}.{name}]")
    return found


def _limits(section: str, table: Any, also: str = "") -> Limits:
    if not isinstance(table, Mapping):
        raise SectionError(f"{section} is not a table")
    _check_names(section, table, (*Limits._fields, *filter(None, (also,))))
    return Limits(
        _count(section, "requests_per_minute", table),
        _count(section, "tokens_per_minute", table),
        _budget(section, table),
        _models(section, table),
    )


def _check_names(section: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise SectionError(f"{section} {one_line(name)[:40]} is not known; {hint}")


def _count(section: str, key: str, table: Mapping[str, Any]) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= bounds.COUNT:
        raise SectionError(f"{section} {key} has to be a whole number above 0")
    return value


def _budget(section: str, table: Mapping[str, Any]) -> Decimal | None:
    value = table.get("budget_usd_per_day")
    if value is None:
        return None
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number or not Decimal(value).is_finite() or not 0 < value <= MAX_USD:
        raise SectionError(
            f"{section} budget_usd_per_day has to be a number of USD above 0, at most {MAX_USD:,}"
        )
    return Decimal(value)


def _models(section: str, table: Mapping[str, Any]) -> tuple[str, ...] | None:
    value = table.get("models")
    if value is None:
        return None
    is_list = isinstance(value, list) and len(value) <= bounds.LIMIT_MODELS
    if not is_list or not all(_is_model(name) for name in value):
        raise SectionError(f"{section} models has to be a list of at most {bounds.LIMIT_MODELS} model ids")
    return tuple(dict.fromkeys(value))


def _is_model(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= bounds.MODEL_CHARACTERS and name.isprintable()
