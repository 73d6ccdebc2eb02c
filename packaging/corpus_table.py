"""Writes `corpus/RESULTS.md`: what each client reads right. Installs what is not ours below `.venv`.

python packaging/corpus_table.py
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npm_packages import fill, home_of, node

CORPUS = Path(__file__).parents[1] / "corpus"
sys.path.insert(0, str(CORPUS))

from run import VERDICTS, Adapter, Case, Hello, Outcome, by_kind, load_cases, run  # noqa: E402 # its folder

ADAPTERS = CORPUS / "adapters"
RESULTS = CORPUS / "RESULTS.md"
OPENAI = "3.57.0"
AI = "7.0.173"
PROVIDERS = ("@ai-sdk/openai-compatible@3.0.92", "@ai-sdk/xai@5.0.12")
PYTHON = Path(sys.prefix) / "python"


def ours() -> Adapter:
    """This project's own server."""
    return Adapter([sys.executable, str(ADAPTERS / "grok_mcp_server.py")])


def raw() -> Adapter:
    """The naive client."""
    return Adapter([sys.executable, str(ADAPTERS / "raw.py")])


def openai_python(*arguments: str) -> Adapter:
    """OpenAI's library for Python, apart from our own packages. Raises UnavailableError."""
    home = PYTHON / f"openai-{OPENAI}"
    if not home.exists():
        options = ["--disable-pip-version-check", "--quiet", "--only-binary", ":all:"]
        fill([sys.executable, "-m", "pip", "install", *options, f"openai=={OPENAI}", "--target"], home, 300)
    environment = {**os.environ, "PYTHONPATH": str(home)}
    return Adapter([sys.executable, str(ADAPTERS / "openai_python.py"), *arguments], environment=environment)


def ai_sdk() -> Adapter:
    """The Vercel AI SDK; Node.js finds its packages beside the adapter. Raises UnavailableError."""
    home = home_of("ai", AI, others=PROVIDERS)
    adapter = shutil.copy(ADAPTERS / "ai_sdk.mjs", home)
    return Adapter([str(node()), str(adapter)])


@dataclass
class Column:
    """A client, and what it made of all cases."""

    hello: Hello
    outcomes: Sequence[Outcome]


HEAD = """\
# What clients read right

Made by `make corpus`. A cell has how many cases a client reads right, how many wrong, and how many are about
something that it does not offer; [the README](README.md#verdicts) says what these words mean.

"""


def results(columns: Sequence[Column]) -> Iterator[str]:
    """The page."""
    yield HEAD
    names = [f"{one.hello.client}<br>{one.hello.version}" for one in columns]
    yield f"| kind | cases | {' | '.join(names)} |\n|---|---|{'---|' * len(columns)}\n"
    for title, counts in rows([one.outcomes for one in columns]):
        cells = [" / ".join(str(row[verdict]) for verdict in VERDICTS) for row in counts]
        yield f"| {title} | {sum(counts[0].values())} | {' | '.join(cells)} |\n"
    for one in columns:
        wrong = [outcome for outcome in one.outcomes if outcome.verdict == "wrong"]
        if wrong:
            yield f"\n## What {one.hello.client} reads otherwise\n\n"
            yield "Each case with the fields that differ.\n\n"
            yield from (f"- `{outcome.case.name}`: {differing(outcome)}\n" for outcome in wrong)


def rows(columns: Sequence[Sequence[Outcome]]) -> Iterator[tuple[str, list[Mapping[str, int]]]]:
    """The rows of the table: each kind, then the cases that keep to the documents, the others, and all."""
    tables = [by_kind(outcomes) for outcomes in columns]
    for kind in tables[0]:
        yield kind, [table[kind] for table in tables]
    for title, wanted in (("as documented", (False,)), ("deviating", (True,)), ("**all**", (False, True))):
        yield title, [counted(outcomes, wanted) for outcomes in columns]


def counted(outcomes: Sequence[Outcome], wanted: Sequence[bool]) -> Mapping[str, int]:
    """How many of the cases that deviate, or do not, have which verdict."""
    verdicts = [outcome.verdict for outcome in outcomes if outcome.case.data["deviates"] in wanted]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def differing(outcome: Outcome) -> str:
    """The fields that differ, or why there is no reading."""
    return outcome.problem or ", ".join(f"`{difference.field}`" for difference in outcome.differences)


def main() -> None:
    """Run all clients, and write the page."""
    cases: list[Case] = load_cases()
    columns = []
    for adapter in (ours(), openai_python(), openai_python("--helper"), ai_sdk(), raw()):
        columns.append(Column(adapter.hello, run(cases, adapter)))
        columns[-1].hello = adapter.hello
        print(adapter.hello.client, adapter.hello.version)
    RESULTS.write_text("".join(results(columns)), encoding="utf-8", newline="\n")
    print(RESULTS)


if __name__ == "__main__":
    main()
