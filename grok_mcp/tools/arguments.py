"""What all tools' arguments have in common: they are read tolerantly.

Hosts differ: some send JSON as text, numbers as text, null for absent, or names of their own. All of that is
taken; a name that looks like a misspelling of ours becomes a warning.
"""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from grok_mcp.errors import InvalidArgumentError
from grok_mcp.settings import ReasoningEffort

MAX_UNKNOWN = 3
"""Notes on names that are nothing like ours; more would bury the answer."""


class SamplingOptions(BaseModel):
    """The rarely needed options of `ask_grok` and `grok_structured`; any other name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # frozen: no copy as a default

    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    n: Annotated[int | None, Field(ge=1, le=8)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    parallel_tool_calls: bool | None = None
    service_tier: Literal["default", "priority"] | None = None
    user: str | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class ToolArguments(BaseModel):
    """The arguments of a tool."""

    model_config = ConfigDict(
        extra="ignore", coerce_numbers_to_str=True, populate_by_name=True, defer_build=True
    )

    @classmethod
    def read(cls, raw: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Self, list[str]]:
        """The arguments, and warnings about misspelt names; `schema` is the published one.

        Raises InvalidArgumentError that names the argument.
        """
        properties, required = schema["properties"], schema["required"]
        known = {
            name: _tolerant(value, properties[name]) for name, value in raw.items() if name in properties
        }
        known = {
            name: value
            for name, value in known.items()
            if value is not None and (name in required or value not in ("", [], {}))
        }
        try:
            return cls.model_validate(known), _unknown(raw, properties)
        except ValidationError as error:
            hint = " ".join(_unknown(raw, properties))
            details = error.errors(include_url=False, include_input=False)
            problems = "; ".join(map(_problem, details))
            raise InvalidArgumentError(f"{problems}.", f"{hint} Correct it and call again.".strip()) from None


class Arguments(ToolArguments):
    """The arguments that every tool has which asks Grok."""

    instructions: str = ""
    conversation_id: str | None = None
    model: str | None = None
    reasoning_effort: ReasoningEffort | None = None
    max_output_tokens: Annotated[int | None, Field(ge=1)] = None


def _tolerant(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value as it was meant; None for absent."""
    kind = schema["type"]
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return ""
        if "enum" in schema:
            return text.lower()
        if kind in ("object", "array"):
            value = _parsed(text, kind)
        elif kind != "string":
            return text.lower()
    if kind == "array" and value not in (None, "") and not isinstance(value, list):
        value = [value]
    return value


def _parsed(text: str, kind: str) -> Any:
    """JSON text where it is such; else the text itself, a comma-separated list of plain words split."""
    if text == "null":
        return None
    if text[0] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    if kind == "array" and "," in text and re.fullmatch(r"[\w@.\-]+(?:\s*,\s*[\w@.\-]+)+", text):
        return [part.strip() for part in text.split(",")]
    return text


def _unknown(raw: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    warnings = []
    for name in raw:
        if name in properties:
            continue
        close = difflib.get_close_matches(name, properties, n=1, cutoff=0.75)
        if close and close[0] not in raw:
            warnings.append(f"The argument {name[:40]!r} is unknown; {close[0]!r} may have been meant.")
        elif not name.startswith("_") and len(warnings) < MAX_UNKNOWN:  # hosts mark what is theirs so
            known = ", ".join(properties)
            warnings.append(f"The argument {name[:40]!r} is unknown and was ignored; there are {known}.")
    return warnings


def _problem(error: Any) -> str:
    message = error["msg"].removeprefix("Value error, ")
    where = ".".join(str(step) for step in error["loc"])
    return f"{where}: {message[0].lower()}{message[1:]}" if where else message


def not_blank(value: str) -> str:
    """The text, refused where nothing but white space is in it."""
    if not value.strip():
        raise ValueError("is empty")
    return value
