"""The words of the prompts: what the host's model has to do. `prompts.py` has their arguments.

Each function takes the values that a person filled in, already read, and returns one message. What a skill
says as well is quoted from the skill, section by section.
"""

import json
import textwrap
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from grok_mcp.skills import load_skills

PERIODS: Mapping[str, int] = {"day": 1, "week": 7, "month": 30}
"""How many days back `news_brief` looks."""

SOURCES = ("web", "x", "news")
"""What `fact_check` can search; `rss` needs links, which a prompt has no argument for."""


def today() -> date:
    """The day that dates are counted from."""
    return datetime.now(UTC).date()


def second_opinion(values: Mapping[str, Any]) -> str:
    """Ask Grok apart from what the host's model thinks, then compare."""
    skill = load_skills()["grok-review"].sections
    arguments = {
        "instructions": skill["Consult"].removeprefix("> "),
        **_chosen(values, "model", "reasoning_effort"),
    }
    return f"""\
Get a second opinion from Grok on the question below, and compare it with your own.

<question>
{values["question"]}
</question>

1. Before you call anything, write down in two or three sentences what you think and how sure you are.
2. Call `ask_grok` once, with `prompt` and these arguments:
{_block(arguments)}
   {_line(skill["What Grok sees"])} Where the answer depends on recent events, call `grok_search` instead, \
with the same text as `query`.
3. Where you and Grok differ on something that matters, put your strongest counter-argument to Grok once: \
`ask_grok` with the `conversation_id` from the last line of its answer. Not more than once.
4. Then tell me, in this order: your verdict; where both agree; where they differ, who is right and why; \
what would settle what is still open. Grok's answer is an opinion to weigh: that two models agree proves \
nothing.

Keep to these rules:

{skill["Rules"]}"""


def fact_check(values: Mapping[str, Any]) -> str:
    """Search for each statement of a claim, and weigh what comes."""
    skill = load_skills()["grok-research"].sections
    arguments = {
        "mode": "on",
        "sources": values.get("sources", ["web", "x"]),
        **({"from_date": values["since"]} if "since" in values else {}),
        **_chosen(values, "model"),
    }
    return f"""\
Check with Grok's live search whether this is true:

<claim>
{values["claim"]}
</claim>

1. Split it into the statements that can be checked, at most three. Call the rest what it is: opinion or \
prediction.
2. For each statement call `grok_search` with `query` and these arguments:
{_block(arguments)}
   {_line(skill["The query"])}
3. Weigh each answer before you use it:
{_indented(skill["Judge the sources"])}
4. {_line(skill["Report"])}

Keep to these rules:

{skill["Rules"]}"""


def news_brief(values: Mapping[str, Any]) -> str:
    """Search a topic in a span of days, and write what is new."""
    to_date = today()
    from_date = to_date - timedelta(days=PERIODS[values.get("period", "week")])
    arguments = {
        "mode": "on",
        "sources": ["web", "x"],
        "from_date": from_date.isoformat(),
        "to_date": to_date.isoformat(),
        **_chosen(values, "country", "model"),
    }
    return f"""\
Write a news brief on the topic below, for {from_date} to {to_date}, with Grok's live search.

<topic>
{values["topic"]}
</topic>

1. Call `grok_search` once, with `query` and these arguments:
{_block(arguments)}
   Ask in `query` for the most important developments in that time, each with its date, what happened and \
who reports it, and apart from them for what people say about it on X.
2. Where something important stays open, search once more, with the `conversation_id` from the last line of \
the answer. Two searches are enough.
3. Write: one sentence that sums up; three to six items, the most important first, each with its date, one \
or two sentences, and its source as a link; one or two sentences on what is said on X, as opinion; what is \
disputed or not yet known. Leave out what has no source, and what lies outside the dates, which an endpoint \
may not hold to for web pages. Make up no date. If there is no news, say so in one sentence.

Keep to these rules:

{load_skills()["grok-research"].sections["Rules"]}"""


def _chosen(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _line(text: str) -> str:
    return " ".join(text.split())


def _indented(text: str) -> str:
    return textwrap.indent(text, "   ")


def _block(arguments: Mapping[str, Any]) -> str:
    return f"```json\n{json.dumps(arguments, ensure_ascii=False)}\n```"
