"""Nothing but our entry changes in a host's file, and what was there comes back to the byte."""

import difflib
import json
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from grok_mcp.hosts import HOSTS, EntrySpec, build_entry, plan_install, plan_uninstall
from grok_mcp.hosts.files import backup_of
from grok_mcp.hosts.hostfile import HostFile
from tests.install.documents import json_documents, toml_documents, yaml_documents
from tests.install.shell import KEY, Home

CODEX, CURSOR, VSCODE, CLAUDE, GOOSE = (
    HOSTS[name] for name in ("codex", "cursor", "vscode", "claude-code", "goose")
)
PROFILE = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

CURSOR_FILE = """\
// Servers of everybody here.
{
    "mcpServers": { // two
        /* the first one */
        "files": {
            "command": "npx",
            "args": ["-y", "files"], // no scope
        },
        // "old": {"command": "gone"},
        "db": {"command": "db", "env": {"PASSWORD": "hunter2"}},
    },
    "version": 1.50,
}
"""

CODEX_FILE = """\
# my settings
model = "gpt-5"   # the big one
notes = \"\"\"
[mcp_servers.grok]
\"\"\"

[mcp_servers.files]
command = "npx"
args = [
  "-y",
  "files",
]

# trusted
[projects."/home/ann/shop"]
trust_level = "trusted"
"""


CODEX_LISTS = """\
[[profiles]]
name = "careful"

# my servers
[mcp_servers.files]
command = "npx"

[[profiles.rules]]
allow = "git status"
"""
"""A table between the parts of a list of tables; tomlkit moves it."""


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [one[2:] for one in lines if one.startswith("- ")], [
        one[2:] for one in lines if one.startswith("+ ")
    ]


def inserted(before: str, after: str) -> str:
    """What was put in, in one place; fails where anything else has changed."""
    start = 0
    while start < len(before) and before[start] == after[start]:
        start += 1
    for at in range(start, -1, -1):
        if after.endswith(before[at:]) and len(after) - len(before[at:]) >= at:
            return after[at : len(after) - len(before[at:])]
    raise AssertionError("more than one place has changed")


def test_in_a_file_with_comments_and_other_servers_only_our_lines_are_new(home: Home) -> None:
    file = home.put("cursor", CURSOR_FILE)
    home.run("install", "cursor")
    gone, new = changed_lines(CURSOR_FILE, file.read_text(encoding="utf-8"))
    assert gone == []
    assert new == [
        '        "grok": {',
        '            "type": "stdio",',
        '            "command": "uvx",',
        '            "args": ["grok-mcp-server"],',
        '            "env": {',
        '                "XAI_API_KEY": "${env:XAI_API_KEY}"',
        "            }",
        "        },",
    ]


def test_in_a_toml_file_only_our_lines_are_new(home: Home) -> None:
    file = home.put("codex", CODEX_FILE)
    home.run("install", "codex")
    text = file.read_text(encoding="utf-8")
    assert text.startswith(CODEX_FILE)
    assert text[len(CODEX_FILE) :] == (
        '\n[mcp_servers.grok]\ncommand = "uvx"\nargs = ["grok-mcp-server"]\nenv_vars = ["XAI_API_KEY"]\n'
        "startup_timeout_sec = 60\ntool_timeout_sec = 600\n"
    )


@pytest.mark.parametrize(("host", "content"), [("cursor", CURSOR_FILE), ("codex", CODEX_FILE)])
def test_uninstall_brings_the_file_back_to_the_byte_and_takes_the_backup_away(
    host: str, content: str, home: Home
) -> None:
    file = home.put(host, content)
    home.run("install", host)
    assert home.backup(host).read_bytes() == content.encode()
    home.run("uninstall", host)
    assert file.read_bytes() == content.encode()
    assert not home.backup(host).exists()


@pytest.mark.parametrize("host", HOSTS)
def test_a_file_that_install_made_goes_with_uninstall(host: str, home: Home) -> None:
    home.run("install", host)
    home.run("uninstall", host)
    assert [path for path in home.path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("host", HOSTS)
def test_the_second_install_touches_nothing(host: str, home: Home) -> None:
    home.run("install", host)
    before = home.file(host).stat()
    assert "already in" in home.run("install", host)
    after = home.file(host).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert not home.backup(host).exists()


def test_printing_writes_nothing_and_hides_the_secrets_of_others(home: Home) -> None:
    secret = "sk-abcdefgh12345678"
    content = '{\n  "mcpServers": {\n    "a": {"env": {"API_KEY": "' + secret + '"}}\n  }\n}\n'
    file = home.put("claude-code", content)
    shown = home.run("install", "claude-code", "--print")
    assert str(file) in shown and '+    "grok": {' in shown and secret not in shown
    assert file.read_text(encoding="utf-8") == content
    assert list(home.path.iterdir()) == [file]
    file.write_text(" ".join(content.split()), encoding="utf-8")  # all in one line, which changes as a whole
    shown = home.run("install", "claude-code", "--print")
    assert '"grok": {' in shown and secret not in shown


def test_an_entry_with_other_values_is_replaced_only_where_the_user_says_so(home: Home) -> None:
    content = '{"mcpServers": {"a": {}, "grok": {"command": "mine"}, "b": {}}}'
    file = home.put("cursor", content)
    said = home.run("install", "cursor", status=1)
    assert "starts mine" in said and "--replace" in said
    assert file.read_text(encoding="utf-8") == content
    home.run("install", "cursor", "--replace")
    assert list(json.loads(file.read_bytes())["mcpServers"]) == ["a", "grok", "b"]
    assert json.loads(file.read_bytes())["mcpServers"]["grok"]["command"] == "uvx"
    assert home.backup("cursor").read_text(encoding="utf-8") == content


@pytest.mark.parametrize("host", ["cursor", "codex", "vscode"])
@pytest.mark.parametrize("content", ["", None])
def test_after_a_replacement_uninstall_still_goes_back_to_the_beginning(
    host: str, content: str | None, home: Home
) -> None:
    if content is not None:
        home.put(host, content)
    home.run("install", host)
    home.run("install", host, "--model", "grok-4.3", "--replace")
    home.run("uninstall", host)
    assert home.file(host).exists() == (content is not None)
    assert not home.backup(host).exists()


def test_two_entries_come_and_go_without_each_other(home: Home) -> None:
    file = home.put("cursor", CURSOR_FILE)
    home.run("install", "cursor")
    home.run("install", "cursor", "--name", "grok-fast", "--model", "grok-4-fast")
    home.run("uninstall", "cursor")
    home.run("uninstall", "cursor", "--name", "grok-fast")
    assert file.read_text(encoding="utf-8") == CURSOR_FILE


def test_what_others_have_written_since_stays(home: Home) -> None:
    file = home.put("cursor", CURSOR_FILE)
    home.run("install", "cursor")
    later = ('"version": 1.50', '"version": 2, // newer\n    "more": []')
    file.write_text(file.read_text(encoding="utf-8").replace(*later), encoding="utf-8")
    home.run("uninstall", "cursor")
    assert file.read_text(encoding="utf-8") == CURSOR_FILE.replace(*later)


def test_a_table_that_install_made_goes_also_where_others_have_written_since(home: Home) -> None:
    file = home.put("vscode", '{\n\t"a": 1\n}\n')
    home.run("install", "vscode")
    file.write_text(file.read_text(encoding="utf-8").replace('"a": 1', '"a": 2'), encoding="utf-8")
    home.run("uninstall", "vscode")
    assert file.read_text(encoding="utf-8") == '{\n\t"a": 2\n}\n'


def test_an_input_that_another_server_uses_stays(home: Home) -> None:
    file = home.put("vscode", "{}")
    home.run("install", "vscode")
    text = file.read_text(encoding="utf-8")
    other = '"servers": {"b": {"env": {"K": "${input:grok-xai-api-key}"}},'
    file.write_text(text.replace('"servers": {', other), encoding="utf-8")
    home.run("uninstall", "vscode")
    data = json.loads(file.read_bytes())
    assert list(data["servers"]) == ["b"]
    assert [one["id"] for one in data["inputs"]] == ["grok-xai-api-key"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '[mcp_servers]\ngrok = { command = "x" }\nb = { command = "y" }\n',
            '[mcp_servers]\nb = { command = "y" }\n',
        ),
        ('mcp_servers.grok.command = "x"\n# kept\nmodel = "m"\n', '# kept\nmodel = "m"\n'),
        (
            '[mcp_servers.grok]\ncommand = "x"\n\n[mcp_servers.grok.env]\nA = "b"\n\n# next\n[other]\n',
            "\n# next\n[other]\n",
        ),
    ],
)
def test_an_entry_that_somebody_wrote_in_another_form_is_taken_out_alone(
    before: str, after: str, home: Home
) -> None:
    file = home.put("codex", before)
    home.run("uninstall", "codex", "--force")
    assert file.read_text(encoding="utf-8") == after


def test_a_form_that_can_t_be_changed_in_one_place_is_left_as_it_is(home: Home) -> None:
    file = home.put("codex", 'mcp_servers = { a = { command = "x" } }\n')
    assert "edit it by hand" in home.run("install", "codex", status=1)
    assert file.read_text(encoding="utf-8") == 'mcp_servers = { a = { command = "x" } }\n'


@pytest.mark.parametrize(
    ("host", "before", "after"),
    [
        ("cursor", '{"mcpServers":{"a":{}}}', '{"mcpServers":{"grok":{"url":"https://grok/mcp"},"a":{}}}'),
        ("cursor", '{"mcpServers": {}}', '{"mcpServers": {"grok": {"url": "https://grok/mcp"}}}'),
        ("cursor", '{ "a": 1 }', '{ "mcpServers": {"grok": {"url": "https://grok/mcp"}}, "a": 1 }'),
        (
            "cursor",
            '{\r\n\t"mcpServers": {}\r\n}',
            '{\r\n\t"mcpServers": {\r\n\t\t"grok": {\r\n\t\t\t"url": "https://grok/mcp"\r\n\t\t}\r\n\t}\r\n}',
        ),
        (
            "cursor",
            '{\n   "mcpServers": {\n   }\n}\n',
            '{\n   "mcpServers": {\n      "grok": {\n         "url": "https://grok/mcp"\n      }\n   }\n}\n',
        ),
        (
            "cursor",
            "\ufeff{}",
            '\ufeff{\n  "mcpServers": {\n    "grok": {\n      "url": "https://grok/mcp"\n    }\n  }\n}',
        ),
        ("codex", 'a = "b"', 'a = "b"\n\n[mcp_servers.grok]\nurl = "https://grok/mcp"'),
        ("codex", "\ufeffa = 1\r\n", '\ufeffa = 1\r\n\r\n[mcp_servers.grok]\r\nurl = "https://grok/mcp"\r\n'),
    ],
)
def test_form_line_ends_and_indentation_are_those_of_the_file(
    host: str, before: str, after: str, home: Home
) -> None:
    file = home.put(host, before)
    home.run("install", host, "--url", "https://grok/mcp")
    made = file.read_bytes().decode()
    limits = "".join(line for line in made.splitlines(keepends=True) if "timeout" in line)
    assert made.replace(limits, "").rstrip("\r\n") == after.rstrip("\r\n")
    assert made.endswith("\n") == before.endswith("\n")
    home.run("uninstall", host)
    assert file.read_bytes().decode() == before


@pytest.mark.parametrize(
    ("host", "content"),
    [
        ("cursor", '{\r\n\t"mcpServers": {\r\n\t\t"a": {}\r\n\t}\r\n}\r\n'),
        ("cursor", '{"mcpServers": {"a": {}}}'),
        ("cursor", CURSOR_FILE),
        ("codex", CODEX_FILE),
        ("codex", CODEX_FILE.replace("\n", "\r\n")),
        ("codex", CODEX_FILE.rstrip("\n")),
        ("codex", CODEX_LISTS),
    ],
)
def test_the_file_comes_back_without_its_backup_as_well(host: str, content: str, home: Home) -> None:
    file = home.put(host, content)
    home.run("install", host)
    home.backup(host).unlink()
    home.run("uninstall", host)
    assert file.read_bytes() == content.encode()


def goes_round(host: Any, content: str) -> None:
    """Install and uninstall give back the bytes, with the backup and, but for empty tables, without it."""
    entry = build_entry(host, EntrySpec())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content.encode())
        plan_install(host, path, entry, replace=False).apply()
        made = path.read_bytes().decode()
        if not host.asks_user:
            assert "uvx" in inserted(content, made)
        plan_uninstall(host, path, "grok").apply()
        assert path.read_bytes() == content.encode()
        assert not backup_of(path).exists()

        path.write_bytes(made.encode())  # without a backup there is only the inverse
        change = plan_uninstall(host, path, "grok")
        old = HostFile(host, path, content.encode())
        if old.servers and not entry.inputs:
            assert change.after == content.encode()
        elif change.after is not None:
            left = HostFile(host, path, change.after).data
            assert {k: v for k, v in left.items() if v not in ({}, []) or k in old.data} == old.data


@given(json_documents("mcpServers", comments=False))
@PROFILE
def test_any_json_comes_back(content: str) -> None:
    goes_round(CLAUDE, content)


@given(json_documents("mcpServers", comments=True))
@PROFILE
def test_any_json_with_comments_comes_back(content: str) -> None:
    goes_round(CURSOR, content)


@given(toml_documents)
@PROFILE
def test_any_toml_comes_back(content: str) -> None:
    goes_round(CODEX, content)


@given(yaml_documents)
@PROFILE
def test_any_yaml_comes_back(content: str) -> None:
    goes_round(GOOSE, content)


@given(yaml_documents, yaml_documents)
@PROFILE
def test_what_others_write_into_yaml_since_stays(content: str, later: str) -> None:
    """They put members behind ours, in a file that has other line ends perhaps."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content.encode())
        plan_install(GOOSE, path, build_entry(GOOSE, EntrySpec()), replace=False).apply()
        made = path.read_bytes().decode()
        grown = f"{made}\nlater: theirs\n" if made.endswith("\n") else f"{made}\n\nlater: theirs\n"
        path.write_bytes(grown.encode())
        if "later" not in HostFile.read(GOOSE, path).data:  # it went into a text at the end
            return
        before = {**HostFile.read(GOOSE, path).data}
        plan_uninstall(GOOSE, path, "grok").apply()
        left = HostFile.read(GOOSE, path)
        assert left.data.get("extensions", {}) == {
            name: value for name, value in before["extensions"].items() if name != "grok"
        }
        assert {**left.data, "extensions": 0} == {**before, "extensions": 0} or "extensions" not in left.data
        assert left.text.endswith("later: theirs\n")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "GOOSE_MODEL: grok-4.7",
        "extensions:\n  developer:\n    enabled: true\n    type: builtin\n\n# end\nGOOSE_MODE: auto\n",
        "extensions: {}\nGOOSE_MODE: auto\n",
        "extensions:\nGOOSE_MODE: auto\n",
        "# only a comment\n",
        "\ufeffextensions:\r\n    developer: {enabled: true}\r\n",
        "{extensions: {a: {}}, b: 1}",
        "{}\n",
        "a: |\n  text\n",
    ],
)
def test_a_yaml_file_has_our_lines_and_then_its_own_bytes_again(content: str, home: Home) -> None:
    file = home.put("goose", content)
    home.run("install", "goose")
    made = file.read_bytes().decode()
    assert "grok-mcp-server" in inserted(content, made)
    home.backup("goose").unlink()
    home.run("uninstall", "goose")
    if "extensions" in content:
        assert file.read_bytes().decode() == content
    home.put("goose", made)
    home.backup("goose").write_bytes(content.encode())
    home.run("uninstall", "goose")
    assert file.read_bytes().decode() == content


@given(json_documents("mcpServers", comments=True), st.data())
@PROFILE
def test_whatever_others_do_to_the_file_only_our_entry_is_taken_out(content: str, data: Any) -> None:
    """They put a server before or behind ours, or change the white space around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content.encode())
        plan_install(CURSOR, path, build_entry(CURSOR, EntrySpec()), replace=False).apply()
        made = path.read_bytes().decode()
        edit = data.draw(
            st.sampled_from(
                [
                    ('"grok": {', '"new": {}, "grok": {'),
                    ('"grok": {', '/* ours */ "grok":\n{'),
                    ("\n", "\n\n"),
                ]
            )
        )
        path.write_bytes(made.replace(*edit).encode())
        expected = dict(HostFile.read(CURSOR, path).data)
        expected["mcpServers"] = {k: v for k, v in expected["mcpServers"].items() if k != "grok"}
        plan_uninstall(CURSOR, path, "grok").apply()
        left = dict(HostFile.read(CURSOR, path).data)
        left.setdefault("mcpServers", {})
        assert left == expected


@given(toml_documents)
@PROFILE
def test_a_table_behind_ours_stays(content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content.encode())
        plan_install(CODEX, path, build_entry(CODEX, EntrySpec()), replace=False).apply()
        later = "\n# theirs\n[later]\na = 1\n"
        path.write_bytes(path.read_bytes() + later.encode())
        plan_uninstall(CODEX, path, "grok").apply()
        left = path.read_bytes().decode()
        assert left.endswith("# theirs\n[later]\na = 1\n")
        assert tomllib.loads(left) == {**tomllib.loads(content), "later": {"a": 1}}


@pytest.mark.parametrize(
    ("host", "content", "lines"),
    [
        (
            "codex",
            'mcp_servers = { a = { command = "x" } }\n',
            [
                "Paste this between the braces of mcp_servers:",
                'grok = { command = "uvx", args = ["grok-mcp-server"], env = { XAI_API_KEY = "***" }',
            ],
        ),
        (
            "goose",
            "extensions: ~\n",
            ["Paste this in place of the line extensions:", "extensions:", "  grok:"],
        ),
        ("goose", "extensions: null\n", ["    cmd: uvx", "      XAI_API_KEY: ***"]),
    ],
    ids=["inline table", "tilde", "null"],
)
def test_a_form_that_is_left_alone_gets_lines_to_paste(
    host: str, content: str, lines: list[str], home: Home
) -> None:
    file = home.put(host, content)
    said = home.setting(XAI_API_KEY=KEY).run("install", host, "--write-key", status=1)
    assert file.read_text() == content and KEY not in said
    assert all(any(line in shown for shown in said.splitlines()) for line in lines), said


def test_a_preview_shows_references_and_no_secret(home: Home) -> None:
    env = {"XAI_API_KEY": "${XAI_API_KEY}", "A_TOKEN": "${env:A_TOKEN}", "B_TOKEN": "${B:-hunter2hunter2}"}
    auth = {"headers": {"Authorization": "Bearer ${env:C_TOKEN}"}}
    env |= {"C_KEY": f"${{A}}{KEY}", "PASSWORD": "$ecret-word", "D_TOKEN": "{env:D}"}
    servers = {"grok": {"command": "x", "env": env}, "b": auth}
    home.put("cursor", json.dumps({"mcpServers": servers}))
    shown = home.run("install", "cursor", "--print", "--replace")
    for reference in ("${XAI_API_KEY}", "${env:A_TOKEN}", "Bearer ${env:C_TOKEN}", "{env:D}"):
        assert reference in shown
    assert not any(secret in shown for secret in (KEY, "hunter2", "ecret-word"))
