"""Documents as people and programs write them: random JSON, JSON with comments, TOML and YAML."""

import json
import re
import tomllib
from typing import Any

from hypothesis import strategies as st

from grok_mcp.hosts import HostError
from grok_mcp.hosts.yaml import YamlText

KEYS = st.sampled_from(
    ["a", "b c", "théme", "mcpServers", "servers", "inputs", "x\\y", '"', "//", "/*", "grok"]
)
SCALARS = st.one_of(
    st.sampled_from(
        ["null", "true", "-0", "1.50", "6.02e23", '"// no comment"', '"/* nor this */"', '"}"', '"\\""']
    ),
    st.text(max_size=6).map(json.dumps),
    st.integers(-(10**20), 10**20).map(str),
)
PLAIN_SPACE = st.sampled_from(["", " ", "  ", "\t", "\n", "\n  ", "\r\n\t", " \n\n"])
COMMENTED_SPACE = st.one_of(
    PLAIN_SPACE,
    st.sampled_from([" // a { comment\n", "/* a ] comment */", " /* over\r\n two lines */ ", "//\n"]),
)


@st.composite
def _value(draw: Any, space: Any, comments: bool, depth: int) -> str:
    if depth == 0 or draw(st.booleans()):
        return str(draw(SCALARS))
    if draw(st.booleans()):
        return str(draw(_object(space, comments, depth - 1)))
    items = draw(st.lists(_value(space, comments, depth - 1), max_size=3))
    return _joined("[]", items, draw, space, comments)


def _joined(brackets: str, items: list[str], draw: Any, space: Any, comments: bool) -> str:
    rows = [draw(space) + item + draw(space) for item in items]
    trailing = "," if items and comments and draw(st.booleans()) else ""
    return f"{brackets[0]}{','.join(rows) or draw(space)}{trailing}{draw(space)}{brackets[1]}"


@st.composite
def _object(draw: Any, space: Any, comments: bool, depth: int, first: dict[str, Any] | None = None) -> str:
    keys = draw(st.lists(KEYS, max_size=3, unique=True))
    members = {
        json.dumps(key): draw(_value(space, comments, depth)) for key in keys if key not in (first or {})
    }
    for key, value in (first or {}).items():
        members[json.dumps(key)] = draw(value)
    names = draw(st.permutations(list(members)))
    rows = [f"{name}{draw(space)}:{draw(space)}{members[name]}" for name in names]
    return _joined("{}", rows, draw, space, comments)


@st.composite
def _servers(draw: Any, space: Any, comments: bool) -> str:
    """A table of servers without ours."""
    names = draw(st.lists(st.sampled_from(["one", "two", "Grok", "grok "]), max_size=3, unique=True))
    rows = [f"{json.dumps(name)}:{draw(space)}{draw(_object(space, comments, 1))}" for name in names]
    return _joined("{}", rows, draw, space, comments)


@st.composite
def json_documents(draw: Any, table: str, *, comments: bool) -> str:
    """A document whose table of servers, if it has one, is an object."""
    space = COMMENTED_SPACE if comments else PLAIN_SPACE
    first = {table: _servers(space, comments)} if draw(st.booleans()) else {table: st.just("{}")}
    text = draw(_object(space, comments, 2, first))
    if draw(st.integers(0, 3)) == 0:
        text = draw(_object(space, comments, 0, {"other": st.just("1")})).replace(f'"{table}"', '"none"')
    return str(draw(space) + text + draw(space))


STATEMENTS = st.sampled_from(
    [
        "",
        "# a comment",
        "# [mcp_servers.grok] in a comment",
        'text = """\n[mcp_servers.grok]\ncommand = "no" """',
        "raw = '''\n[[x]]\n# no comment'''",
        'quoted = "a # b [c] \\" {"',
        "literal = 'C:\\dir'",
        "matrix = [\n  [1, 2], # one\n  [\n    3,\n  ],\n]",
        "inline = { a = 1, b = { c = [1] } }",
        "when = 1979-05-27T07:32:00Z",
        "dotted.key = 1.50",
        "[other]",
        "  [ tools . web ] # indented",
        "[[list]]",
        "[[list.nested]]",
        '[mcp_servers.one]\ncommand = "npx"\nargs = [\n  "-y",\n]',
        '[mcp_servers.two.env]\nA = "b"',
        '[mcp_servers."grok "]\ncommand = "x"',
    ]
)


def _is_toml(text: str) -> bool:
    try:
        return isinstance(tomllib.loads(text).get("mcp_servers", {}), dict)
    except tomllib.TOMLDecodeError:
        return False


@st.composite
def _toml_text(draw: Any) -> str:
    rows = draw(st.lists(STATEMENTS, max_size=7, unique_by=lambda one: one or object()))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(row.replace("\n", newline) for row in rows)
    return f"{text}{newline * draw(st.integers(0, 2))}"


toml_documents = _toml_text().filter(_is_toml)


YAML_MEMBERS = st.sampled_from(
    [
        "GOOSE_MODEL: grok-4.7",
        "GOOSE_TEMPERATURE: 0.7  # warm",
        'quoted: "a # b: {c}\\n"',
        "'it''s': '# no comment'",
        'flow: {a: [1, {b: c}], "d": null}',
        "flow_over_lines: [\n  a,  # one\n  b\n  ]",
        "literal: |\n  extensions:\n    grok: no\n\n  end",
        "folded: >-\n  words\n  # and no comment",
        "kept: |+\n  text\n\n",
        "nothing:",
        "list:\n- one\n-   two: 2\n    three: 3",
        "plain over lines: one\n  two\n  three",
        "# a comment",
        "",
        "date: 2026-11-30",
        "!!str tagged: !mine x",
    ]
)
YAML_EXTENSIONS = st.sampled_from(
    [
        "extensions:",
        "extensions: {}",
        "extensions: { one: { cmd: npx, args: [-y, x] } }  # two",
        "extensions:  # mine\n  # the first\n  one:\n    cmd: npx\n    args:\n    - -y\n    - x\n\n"
        "  # the last\n  two: {}",
        "extensions:\n    one:\n          cmd: npx\n    text:\n      description: |\n        long\n",
        "\"extensions\":\n  'one': {cmd: npx}",
    ]
)


def _is_yaml(text: str) -> bool:
    try:
        YamlText(text)
    except HostError:
        return False
    return True


@st.composite
def _yaml_text(draw: Any) -> str:
    rows = draw(st.lists(YAML_MEMBERS, max_size=6, unique_by=lambda one: one or object()))
    if draw(st.booleans()):
        rows.insert(draw(st.integers(0, len(rows))), draw(YAML_EXTENSIONS))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(row.replace("\n", newline) for row in rows)
    # A block of text at the end, without a line end, means something else once there is one.
    least = 1 if rows and re.search(r": [|>]", rows[-1]) else 0
    return f"{text}{newline * draw(st.integers(least, 2))}"


yaml_documents = _yaml_text().filter(_is_yaml)
