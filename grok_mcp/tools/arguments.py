"""What all tools' arguments have in common: they are read tolerantly.

Hosts differ: some send JSON as text, numbers as text, null for absent, or names of their own. All of that is
taken; a name that looks like a misspelling of ours becomes a warning.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError
from grok_mcp.foreign import has_too_many_values, load_json
from grok_mcp.settings import ReasoningEffort


def _zero_is_absent(value: Any) -> Any:
    """None for 0, with which some hosts fill in what was left out."""
    return None if value in (0, "0") and value is not False else value


ZERO_IS_ABSENT = BeforeValidator(_zero_is_absent)
Count = Annotated[Annotated[int, Field(ge=1)] | None, ZERO_IS_ABSENT]
"""A number of something, where none of it makes no sense."""


class SamplingOptions(BaseModel):
    """The rarely needed options of `ask_grok` and `grok_structured`; any other name gets a note."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)  # frozen: no copy as a default

    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    n: Annotated[Annotated[int, Field(ge=1, le=8)] | None, ZERO_IS_ABSENT] = None
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
            name: _tolerant(name, value, properties[name])
            for name, value in raw.items()
            if name in properties
        }
        known = {
            name: value
            for name, value in known.items()
            if value is not None and (name in required or value not in ("", [], {}))
        }
        for name, value in known.items():
            _check_size(name, value)
        notes = _unknown(raw, list(properties), "argument")
        options = known.get("options")
        if isinstance(options, Mapping):
            notes += _unknown(options, list(cls.option_names()), "option")
        try:
            return cls.model_validate(known), notes
        except ValidationError as error:
            hint = " ".join(notes)
            details = error.errors(include_url=False, include_input=False, include_context=False)
            problems = "; ".join(map(_problem, details))
            raise InvalidArgumentError(f"{problems}.", f"{hint} Correct it and call again.".strip()) from None

    @classmethod
    def option_names(cls) -> Iterable[str]:
        """The names that `options` takes."""
        options = cls.model_fields["options"].annotation
        assert isinstance(options, type) and issubclass(options, SamplingOptions)
        return options.model_fields


class Arguments(ToolArguments):
    """The arguments that every tool has which asks Grok."""

    instructions: Annotated[str, Field(description="System message")] = ""
    conversation_id: Annotated[str | None, Field(description="Last line of the answer to continue")] = None
    model: Annotated[str | None, Field(description="As grok-4.7; see grok://models")] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None, Field(description="More costs more; few models take none")
    ] = None
    max_output_tokens: Annotated[Count, Field(description="At least 1; thinking counts")] = None


def _check_size(name: str, value: Any) -> None:
    """Raise InvalidArgumentError for what is too large to be looked at."""
    if isinstance(value, list) and len(value) > bounds.LIST_ENTRIES:
        raise InvalidArgumentError(
            f"{name}: {len(value):,} entries, where at most {bounds.LIST_ENTRIES:,} are read.", "Send fewer."
        )
    if isinstance(value, str) and len(value) > bounds.TEXT_CHARACTERS:
        raise InvalidArgumentError(
            f"{name}: longer than {bounds.TEXT_CHARACTERS:,} characters, more than any model reads.",
            "Shorten it.",
        )


def _tolerant(name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    """The value as it was meant; None for absent. Raises InvalidArgumentError for JSON that can't be read."""
    kind = schema["type"]
    if isinstance(value, str):
        if kind != "array":  # one image as text may be longer
            _check_size(name, value)
        text = value.strip()
        if not text:
            return ""
        if "enum" in schema:
            return text.lower()
        if kind in ("object", "array"):
            try:
                value = _parsed(text, schema)
            except ValueError as error:
                raise InvalidArgumentError(
                    f"{name}: this is not JSON: {error}.", "Correct it and call again."
                ) from None
        elif kind != "string":
            return text.lower()
    if kind == "array" and value not in (None, "") and not isinstance(value, list):
        value = [value]
    return value


def _parsed(text: str, schema: Mapping[str, Any]) -> Any:
    """JSON text where it is such; else the text itself, a comma-separated list of plain words split.

    Raises ValueError where only JSON would do.
    """
    kind = schema["type"]
    if text == "null":
        return None
    if text[0] in "[{":
        if has_too_many_values(text.encode("utf-8", "replace")):
            raise ValueError(f"it has more than {bounds.JSON_VALUES:,} values")
        try:
            return load_json(text)
        except ValueError:
            if kind == "object" or schema["items"]["type"] == "object":
                raise
            return text
    if (
        kind == "array"
        and 0 < text.count(",") < bounds.LIST_ENTRIES
        and re.fullmatch(r"[\w@.\-]+(?:\s*,\s*[\w@.\-]+)+", text)
    ):
        return [part.strip() for part in text.split(",")]
    return text


def _unknown(raw: Mapping[str, Any], known: Sequence[str], what: str) -> list[str]:
    """Notes on the names that are not ours: what may have been meant, and what there is."""
    notes, others = [], []
    unknown = [name for name in raw if name not in known and not name.startswith("_")]  # hosts mark theirs so
    for name in unknown[: bounds.UNKNOWN_NAMES]:
        close = difflib.get_close_matches(name[: bounds.NAME_CHARACTERS], known, n=1, cutoff=0.75)
        if close and close[0] not in raw:
            notes.append(
                f"The {what} {name[: bounds.NAME_CHARACTERS]!r} is unknown; {close[0]!r} may have been meant."
            )
        else:
            others.append(repr(name[: bounds.NAME_CHARACTERS]))
    if len(unknown) > bounds.UNKNOWN_NAMES:
        others.append(f"{len(unknown) - bounds.UNKNOWN_NAMES} more")
    if others:
        subject = f"{what} {others[0]} is" if len(others) == 1 else f"{what}s {', '.join(others)} are"
        verb = "was" if len(others) == 1 else "were"
        notes.append(f"The {subject} unknown and {verb} ignored; there are {', '.join(known)}.")
    return notes


def _problem(error: Any) -> str:
    message = error["msg"].removeprefix("Value error, ")
    where = ".".join(str(step) for step in error["loc"])
    return f"{where}: {message[0].lower()}{message[1:]}" if where else message


def not_blank(value: str) -> str:
    """The text, refused where nothing but white space is in it."""
    if not value.strip():
        raise ValueError("is empty")
    return value
