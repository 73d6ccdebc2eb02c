"""What a request asks for, in the words of neither dialect, and the reading that both share."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from grok_mcp.sandbox.errors import RefusalError
from grok_mcp.sandbox.models import Model
from grok_mcp.sandbox.search import Scope

MAX_FUNCTIONS = 128
MAX_DOMAINS = 5
MAX_HANDLES = 20
TOKENS_PER_IMAGE = 256


@dataclass(frozen=True)
class Function:
    """A function of the caller that Grok may ask to run."""

    name: str
    parameters: Any


@dataclass(frozen=True)
class Turn:
    """One message of the conversation, as far as the sandbox minds it."""

    role: str
    text: str
    images: int = 0
    files: int = 0


@dataclass(frozen=True)
class Question:
    """A request of either dialect."""

    model: Model
    effort: str
    turns: tuple[Turn, ...]
    functions: tuple[Function, ...] = ()
    tool_choice: str = "auto"
    scopes: tuple[Scope, ...] = ()
    search: str = "auto"
    max_sources: int = 8
    cites: str = "inline"
    format: str = "text"
    schema: Any = None
    fenced: bool = False
    echo: str = ""
    max_tokens: int | None = None
    cap_holds_reasoning: bool = False
    stop: tuple[str, ...] = ()
    choices: int = 1
    conversation: str = ""
    overhead: str = ""

    @property
    def prompt(self) -> str:
        """The user's last words."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def results(self) -> tuple[str, ...]:
        """What the caller's functions returned since Grok's last words."""
        ours = [place for place, turn in enumerate(self.turns) if turn.role == "assistant"]
        last = self.turns[ours[-1] + 1 :] if ours else self.turns
        return tuple(turn.text for turn in last if turn.role == "tool")

    @property
    def told_schema(self) -> Any:
        """The JSON Schema that the messages tell in words, the last one; None where there is none."""
        for turn in reversed(self.turns):
            for told in reversed(turn.text.split("JSON Schema:")[1:]):
                with suppress(ValueError, RecursionError):
                    schema, _ = json.JSONDecoder().raw_decode(told.lstrip())
                    if isinstance(schema, dict):
                        return schema
        return None

    @property
    def images(self) -> int:
        """How many images came with the conversation."""
        return sum(turn.images for turn in self.turns)

    @property
    def files(self) -> int:
        """How many files came with the conversation."""
        return sum(turn.files for turn in self.turns)


def read_turn(role: str, content: object) -> Turn:
    """A message from its role and its content, a string or a list of parts."""
    if content is None or isinstance(content, str):
        return Turn(role, content or "")
    if not isinstance(content, list):
        raise RefusalError(422, "Failed to deserialize the JSON body: content is of a wrong form")
    if not content:
        raise RefusalError(400, "Each message must have at least one content element.")
    texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
    images = [part for part in content if part.get("type") in ("image_url", "input_image")]
    for part in images:
        _check_image(part.get("image_url"))
    files = [part for part in content if part.get("type") in ("file", "input_file")]
    for part in files:
        _check_file(part.get("file", part))
    return Turn(role, "\n".join(texts), len(images), len(files))


def _check_image(image: object) -> None:
    url = image.get("url") if isinstance(image, dict) else image
    if not re.match(r"https://|data:image/(png|jpe?g);base64,", str(url)):
        raise RefusalError(400, "Unsupported image: give a https address or a png or jpeg data URI.")


def _check_file(file: dict[str, Any]) -> None:
    if not any(isinstance(file.get(name), str) for name in ("file_id", "file_url", "file_data")):
        raise RefusalError(400, "A file part needs a file_id, a file_url or file_data.")


def read_function(tool: dict[str, Any]) -> Function:
    """A function from its nested or its flat definition."""
    described = tool.get("function", tool)
    name = described.get("name")
    if not isinstance(name, str) or not name:
        raise RefusalError(422, "Failed to deserialize the JSON body: tools: missing field `name`")
    return Function(name, described.get("parameters") or {"type": "object"})


def read_tool_choice(choice: object, functions: tuple[Function, ...]) -> str:
    """The choice: auto, none, required or a function's name."""
    if choice is None:
        return "auto"
    if choice in ("auto", "none", "required"):
        return str(choice)
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = choice.get("function", choice).get("name")
        if any(function.name == name for function in functions):
            return str(name)
        raise RefusalError(400, f"tool_choice names an unknown function: {name}")
    raise RefusalError(
        422,
        "Failed to deserialize the JSON body into the target type: tool_choice: data did not"
        " match any variant of untagged enum ModelToolChoice",
    )


def read_format(wanted: dict[str, Any]) -> tuple[str, Any]:
    """The kind of answer and its schema, from the format object of either dialect."""
    kind = str(wanted.get("type", "text"))
    if kind != "json_schema":
        return kind, None
    described = wanted.get("json_schema", wanted)
    if "schema" not in described:
        raise RefusalError(400, "response_format of type json_schema needs a schema.")
    return kind, described["schema"]


def read_whole(body: dict[str, Any], *names: str) -> int | None:
    """The first of some positive whole numbers that is given."""
    for name in names:
        number = body.get(name)
        if number is None:
            continue
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise RefusalError(400, f"{name} must be a positive whole number.")
        return number
    return None


def read_names(holder: dict[str, Any], allowed: str, excluded: str, limit: int) -> list[Any]:
    """The allowed and the excluded names of a filter, which exclude each other."""
    names = [holder.get(allowed) or [], holder.get(excluded) or []]
    if all(names):
        raise RefusalError(400, f"{allowed} and {excluded} cannot both be set.")
    if max(map(len, names)) > limit:
        raise RefusalError(400, f"{allowed} and {excluded} take at most {limit} entries.")
    return [frozenset(str(name).lower() for name in one) for one in names]


def read_dates(holder: dict[str, Any]) -> tuple[str, str]:
    """The first and the last day to search."""
    first, last = holder.get("from_date") or "", holder.get("to_date") or "9999"
    for day in (first, last):
        if day not in ("", "9999") and not re.match(r"\d{4}-\d\d-\d\d", str(day)):
            raise RefusalError(400, f"Not an ISO 8601 date: {day}")
    return first[:10], last[:10]


def joined(*parts: object) -> str:
    """The text that tools and formats add to a prompt."""
    return "".join(json.dumps(part) for part in parts if part)
