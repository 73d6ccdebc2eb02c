"""How an error speaks to a person at a shell: in flags and variables, not in arguments and hosts.

The errors of the tools are written for a model that a host runs. Their code stands at the end here.
"""

import re
from collections.abc import Mapping
from typing import Any

from grok_mcp.errors import (
    AuthenticationError,
    BudgetError,
    CallLimitError,
    GrokError,
    MissingKeyError,
)
from grok_mcp.invocation import command

_OWN_FLAGS = {"conversation_id": "--conversation"}
_COMMANDS = {"ask_grok": "ask", "grok_search": "search", "grok_structured": "structured"}
_PLAIN = {
    "Correct it and call again.": "Correct it and try again.",
    "--schema: field required": "--schema is required: JSON, or a file that holds it",
    ": field required": " is required",
}
_PLACE = re.compile(r"(--[a-z-]{1,40})\.\d{1,5}:")
"""Which of several values is wrong: nobody numbers flags."""
_CONFIGURED = re.compile(r"have (GROK_MCP_\w+) raised where this server is configured")


def flag_of(name: str, kind: str = "") -> str:
    """The flag of an argument: that of a list in the singular."""
    if name in _OWN_FLAGS:
        return _OWN_FLAGS[name]
    flag = f"--{name.replace('_', '-')}"
    return flag.removesuffix("s") if kind == "array" else flag


def sentences(error: GrokError, schema: Mapping[str, Any]) -> tuple[str, str]:
    """What failed and what to do, as this command's arguments are called at a shell."""
    message, advice = _in_flags(error.message, schema), _in_flags(_advice(error), schema)
    if message == "The question is empty.":
        advice = "Type it behind the command, in quotes, or - to read it from stdin."
    return message, advice


def note_in_words(note: str, schema: Mapping[str, Any]) -> str:
    """A note on an answer in the same words."""
    return _in_flags(note, schema)


def in_words(error: GrokError, schema: Mapping[str, Any]) -> str:
    """One paragraph, its code behind it; an attachment below."""
    text = " ".join(filter(None, (*sentences(error, schema), f"[{error.code}]")))
    return f"{text}\n\n{error.attachment}" if error.attachment else text


def as_data(error: GrokError, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a program."""
    message, advice = sentences(error, schema)
    return {"error": {**error.to_dict(), "message": message, "advice": advice}}


def _advice(error: GrokError) -> str:
    match error:
        case MissingKeyError():
            return (
                "Type: export XAI_API_KEY=… (or name a file that holds the key in GROK_MCP_API_KEY_FILE). "
                f"GROK_MCP_GATEWAY=sandbox tries it without a key. {command('doctor')} checks the rest."
            )
        case AuthenticationError():
            return f"{error.advice} {command('doctor')} checks it.".strip()
        case BudgetError() | CallLimitError():
            return _CONFIGURED.sub(r"raise \1", error.advice)
    return error.advice


def _in_flags(text: str, schema: Mapping[str, Any]) -> str:
    """A text with the names of arguments as flags: those that are no words of English wherever they stand."""
    subject = schema["required"][0]
    text = re.sub(rf"(\A|; ){subject}: ", r"\1The question ", text)
    for name, one in schema["properties"].items():
        flag = flag_of(name, one["type"])
        text = re.sub(rf"(\A|; ){name}(?=[:.\[])", rf"\1{flag}", text)
        text = re.sub(rf"(?<![\w.]){name}=(?=\w)", f"{flag} ", text)
        if "_" in name:
            text = re.sub(rf"(?<![\w.-]){name}\b", flag, text)
    for tool, name in _COMMANDS.items():
        text = f"`{command(name)}`".join(re.split(rf"\b{tool}\b", text))
    text = _PLACE.sub(r"\1:", text)
    for said, meant in _PLAIN.items():
        text = text.replace(said, meant)
    return text
