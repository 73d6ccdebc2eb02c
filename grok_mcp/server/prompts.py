"""Ready-made tasks that a person starts in a host: one `PromptSpec` each. To add one, add it to `PROMPTS`.

`handlers.py` serves them, and `complete` offers values for their arguments. Each becomes one message that
tells the host's model which tool to call with what, and how to present what comes back (`prompt_texts.py`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple, get_args

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    ResourceTemplateReference,
    TextContent,
)

from grok_mcp.models import find_model
from grok_mcp.pipeline import Grok
from grok_mcp.redaction import quote
from grok_mcp.server.prompt_texts import PERIODS, SOURCES, fact_check, news_brief, second_opinion, today
from grok_mcp.settings import ReasoningEffort


class ArgumentSpec(NamedTuple):
    """One argument, a text as in all prompts. `read` makes its value of it, or raises ValueError.

    `choices` are offered as completions; a model's come from the catalogue.
    """

    name: str
    description: str
    read: Callable[[str], Any] = str
    required: bool = False
    choices: tuple[str, ...] = ()


class PromptSpec(NamedTuple):
    """One prompt: its published face, and the text that it becomes."""

    name: str
    title: str
    description: str
    arguments: tuple[ArgumentSpec, ...]
    render: Callable[[Mapping[str, Any]], str]


def _model(text: str) -> str:
    if not re.fullmatch(r"\S{1,200}", text):
        raise ValueError("is not a model id")
    return text


def _effort(text: str) -> str:
    if text.lower() not in get_args(ReasoningEffort):
        raise ValueError(f"is none of {', '.join(get_args(ReasoningEffort))}")
    return text.lower()


def _sources(text: str) -> list[str]:
    names = list(dict.fromkeys(re.split(r"[,\s]+", text.strip(", ").lower())))
    if not set(names) <= set(SOURCES):
        raise ValueError(f"is not a list of {', '.join(SOURCES)}")
    return names


def _since(text: str) -> str:
    try:
        since = date.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date as in 2026-01-31") from None
    if since > today():
        raise ValueError("is in the future")
    return since.isoformat()


def _period(text: str) -> str:
    if text.lower() not in PERIODS:
        raise ValueError(f"is none of {', '.join(PERIODS)}")
    return text.lower()


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}", text):
        raise ValueError("is not a country of two letters, as in US")
    return text.upper()


MODEL = ArgumentSpec("model", "Grok model; else the server's default", _model)
EFFORT = ArgumentSpec(
    "reasoning_effort",
    "how long Grok thinks; else the model's default",
    _effort,
    choices=get_args(ReasoningEffort),
)

PROMPTS: Mapping[str, PromptSpec] = {
    spec.name: spec
    for spec in (
        PromptSpec(
            "second_opinion",
            "Second opinion from Grok",
            "Ask Grok independently, compare both views, and say what settles it.",
            (
                ArgumentSpec(
                    "question", "what to judge: a question, plan, text or piece of code", required=True
                ),
                MODEL,
                EFFORT,
            ),
            second_opinion,
        ),
        PromptSpec(
            "fact_check",
            "Fact check with Grok",
            "Check a claim by live search of the web and X, statement by statement, with sources.",
            (
                ArgumentSpec("claim", "what is claimed", required=True),
                ArgumentSpec(
                    "sources",
                    "web, x, news, or several with commas; default web, x",
                    _sources,
                    choices=("web, x", *SOURCES, "web, x, news"),
                ),
                ArgumentSpec("since", "only what is dated from this day on, YYYY-MM-DD", _since),
                MODEL,
            ),
            fact_check,
        ),
        PromptSpec(
            "news_brief",
            "News brief with Grok",
            "What happened lately on a topic, with dates and sources, and what people on X say.",
            (
                ArgumentSpec("topic", "what the news is about", required=True),
                ArgumentSpec("period", "how far back; default week", _period, choices=tuple(PERIODS)),
                ArgumentSpec("country", "two letters, as in US: search as from there", _country),
                MODEL,
            ),
            news_brief,
        ),
    )
}


def list_prompts() -> ListPromptsResult:
    """The prompts as they are published."""
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=spec.name,
                title=spec.title,
                description=spec.description,
                arguments=[
                    PromptArgument(
                        name=argument.name, description=argument.description, required=argument.required
                    )
                    for argument in spec.arguments
                ],
            )
            for spec in PROMPTS.values()
        ]
    )


def get_prompt(params: GetPromptRequestParams) -> GetPromptResult:
    """One prompt with its arguments filled in; raises MCPError that names what is wrong with them."""
    spec = find_prompt(params.name)
    text = spec.render(_read(spec, params.arguments or {}))
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=spec.description, messages=[message])


def find_prompt(name: str) -> PromptSpec:
    """The prompt of this name; raises MCPError where there is none."""
    spec = PROMPTS.get(name)
    if spec is None:
        raise refusal(f"Unknown prompt: {quote(name, limit=80)}. There are {', '.join(PROMPTS)}.")
    return spec


def refusal(message: str) -> MCPError:
    """The protocol's error for parameters that can't be used."""
    return MCPError(code=INVALID_PARAMS, message=message)


def unknown_argument(spec: PromptSpec, name: str) -> MCPError:
    """The refusal of an argument that a prompt does not have."""
    known = ", ".join(argument.name for argument in spec.arguments)
    return refusal(f"{spec.name}: the argument {quote(name, limit=40)!r} is unknown; there are {known}.")


def _read(spec: PromptSpec, texts_by_name: Mapping[str, str]) -> dict[str, Any]:
    """The values of the arguments; one that is blank counts as left out."""
    known = [argument.name for argument in spec.arguments]
    for name in texts_by_name:
        if name not in known:
            raise unknown_argument(spec, name)
    texts = {name: texts_by_name[name].strip() for name in known if texts_by_name.get(name, "").strip()}
    values = {}
    for argument in spec.arguments:
        if argument.name in texts:
            values[argument.name] = _value(spec, argument, texts[argument.name])
        elif argument.required:
            raise refusal(f"{spec.name}: {argument.name} is missing: {argument.description}.")
    return values


def _value(spec: PromptSpec, argument: ArgumentSpec, text: str) -> Any:
    try:
        return argument.read(text)
    except ValueError as error:
        raise refusal(
            f"{spec.name}: {argument.name}: {quote(text, limit=60)!r} {error}. Correct it or leave it out; "
            "where your host takes arguments by position, put a text with spaces in quotes."
        ) from None


MAX_VALUES = 100
"""The protocol's limit."""


async def complete(grok: Grok, params: CompleteRequestParams) -> CompleteResult:
    """The values that fit what is typed so far; raises MCPError for an unknown prompt or argument."""
    if isinstance(params.ref, ResourceTemplateReference):
        raise refusal(f"Unknown resource template: {quote(params.ref.uri, limit=80)}. There are none.")
    spec = find_prompt(params.ref.name)
    argument = next((known for known in spec.arguments if known.name == params.argument.name), None)
    if argument is None:
        raise unknown_argument(spec, params.argument.name)
    texts_by_name = (params.context and params.context.arguments) or {}
    fitting = _fitting(params.argument.value, await _values(grok, argument, texts_by_name))
    return CompleteResult(
        completion=Completion(
            values=fitting[:MAX_VALUES], total=len(fitting), has_more=len(fitting) > MAX_VALUES
        )
    )


async def _values(grok: Grok, argument: ArgumentSpec, texts_by_name: Mapping[str, str]) -> Sequence[str]:
    """All values of an argument, the likeliest first."""
    if argument.name == MODEL.name:
        names = await grok.catalog.names()
        return list(dict.fromkeys((grok.default_model, *names)))
    if argument.name == EFFORT.name:
        model = find_model(texts_by_name.get(MODEL.name, "").strip() or grok.default_model)
        return model.efforts if model and model.efforts else argument.choices
    return argument.choices


def _fitting(typed: str, values: Iterable[str]) -> list[str]:
    """The values that begin with what is typed, then those that have it inside."""
    wanted = typed.strip().lower()
    matches = [value for value in values if wanted in value.lower()]
    return sorted(matches, key=lambda value: not value.lower().startswith(wanted))
