"""Files of other programs stay whole: mode, links, what can't be read, and who else writes."""

import json
import stat
from pathlib import Path

import pytest

from grok_mcp.hosts import (
    HOSTS,
    Change,
    EntrySpec,
    HostError,
    build_entry,
    carry_out,
    plan_install,
    plan_uninstall,
)
from tests.install.shell import KEY, Home

CONTENT = '{"mcpServers": {"a": {"command": "b"}}}\n'
CURSOR = HOSTS["cursor"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("bits", [0o600, 0o644, 0o660])
def test_the_mode_stays_and_the_backup_has_the_same(bits: int, home: Home) -> None:
    file = home.put("cursor", CONTENT)
    file.chmod(bits)
    home.run("install", "cursor")
    assert (mode(file), mode(home.backup("cursor"))) == (bits, bits)
    home.run("uninstall", "cursor")
    assert mode(file) == bits


def test_others_who_may_read_a_file_with_the_key_in_it_are_told_of(home: Home) -> None:
    home.put("cursor", CONTENT).chmod(0o644)
    said = home.setting(XAI_API_KEY=KEY).run("install", "cursor", "--write-key")
    assert "other users of this machine can read" in said


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_one_and_its_target_is_written(there: bool, home: Home) -> None:
    target = home.path / "dotfiles" / "cursor.json"
    target.parent.mkdir()
    if there:
        target.write_text(CONTENT, encoding="utf-8")
    link = home.file("cursor")
    link.parent.mkdir()
    link.symlink_to(target)
    home.run("install", "cursor")
    assert link.is_symlink() and '"grok"' in target.read_text(encoding="utf-8")
    home.run("uninstall", "cursor")
    assert link.is_symlink()
    assert (target.read_text(encoding="utf-8") if target.exists() else None) == (CONTENT if there else None)


@pytest.mark.parametrize(
    ("host", "content", "reason"),
    [
        ("cursor", b'{\n  "mcpServers": {,}\n}', "(line 2, column 18)"),
        ("cursor", b'{"a": 1} x', "extra data (line 1, column 10)"),
        ("cursor", b'{"a": [1,,]}', "expecting value"),
        ("cursor", b'{"a": [,]}', "expecting value"),
        ("cursor", b'{"a": 1 /* never closed }', "expecting ',' delimiter"),
        ("cursor", b'{"a": NaN}', "NaN is not JSON"),
        ("cursor", b"[]", "its root is not an object (line 1, column 1)"),
        ("cursor", b'// all\n"x"', "its root is not an object (line 2, column 1)"),
        ("cursor", b'{"mcpServers": {"a": 1,\n "a": 2}}', "the key 'a' appears twice (line 2, column 2)"),
        ("cursor", b'{"mcpServers": []}', "is not a table of servers"),
        ("cursor", b'{"mcpServers": null}', "is not a table of servers"),
        ("cursor", b'{"a": "\xff"}', "it is not UTF-8 (byte 8)"),
        ("cursor", b"[" * 100_000, "nested too deeply"),
        ("claude-code", b'{"a": 1} // no', "extra data"),
        ("claude-code", b'{"a": 1,}', "(line 1, column"),
        ("vscode", b'{"inputs": {}}', "'inputs' is not a list"),
        ("codex", b"a = 1\na = 2\n", "(line 2, column"),
        ("codex", b"a = " + b"[" * 100_000, "nested too deeply"),
        ("codex", b"a = \n", "invalid value (line 1, column 5)"),
        ("codex", b"mcp_servers = 1\n", "is not a table of servers"),
        ("goose", b"extensions: [\n", "(line 2, column 1)"),
        ("goose", b"\ta: 1\n", "(line 1, column 1)"),
        ("goose", b"extensions: 1\n", "is not a table of servers"),
        ("goose", b"a: 1\nb: 2\na: 3\n", "the key 'a' appears twice (line 3)"),
        ("goose", b"a: &x [1]\nb: *x\n", "it uses aliases"),
        ("goose", b"? [a]\n: 1\n", "a key that is not text"),
        ("goose", b"- 1\n", "its root is not a mapping"),
        ("goose", b"a: " + b"[" * 10_000, "nested too deeply"),
        ("goose", b"#" * 200_000, "larger than 128 KiB"),
        ("goose", b"a: 1\n---\nb: 2\n", "another document"),
    ],
)
def test_a_file_that_can_t_be_read_is_left_as_it_is_with_the_place_of_the_fault(
    host: str, content: bytes, reason: str, home: Home
) -> None:
    file = home.put(host, content)
    said = home.run("install", host, status=1)
    assert f"{file} can't be read: " in said and reason in said
    assert said.count("\n") == 1
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


def test_what_another_program_writes_meanwhile_is_not_lost(home: Home) -> None:
    file = home.put("cursor", CONTENT)
    install = plan_install(CURSOR, file, build_entry(CURSOR, EntrySpec()), replace=False)
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(HostError, match="changed by another program"):
        install.apply()
    assert file.read_text(encoding="utf-8") == "{}"
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_change_is_planned_again_on_what_the_other_program_wrote_but_not_for_ever(
    times: int, home: Home
) -> None:
    file = home.put("cursor", CONTENT)
    others = iter(range(times))

    def plan() -> Change:
        change = plan_install(CURSOR, file, build_entry(CURSOR, EntrySpec()), replace=False)
        if (number := next(others, None)) is not None:
            file.write_text(json.dumps({"theirs": number}), encoding="utf-8")
        return change

    if times == 3:
        with pytest.raises(HostError, match="changed by another program"):
            carry_out(plan)
    else:
        carry_out(plan)
    data = json.loads(file.read_bytes())
    assert (data["theirs"], "mcpServers" in data) == (times - 1, times < 3)


def test_a_file_that_appears_meanwhile_is_not_lost(home: Home) -> None:
    file = home.file("cursor")
    install = plan_install(CURSOR, file, build_entry(CURSOR, EntrySpec()), replace=False)
    home.put("cursor", CONTENT)
    with pytest.raises(HostError, match="changed by another program"):
        install.apply()
    assert file.read_text(encoding="utf-8") == CONTENT


def test_a_file_that_is_written_before_its_removal_is_not_lost(home: Home) -> None:
    file = home.file("cursor")
    home.run("install", "cursor")
    uninstall = plan_uninstall(CURSOR, file, "grok")
    file.write_text(CONTENT, encoding="utf-8")
    with pytest.raises(HostError, match="changed by another program"):
        uninstall.apply()
    assert file.read_text(encoding="utf-8") == CONTENT


def test_a_read_only_file_is_left_as_it_is(home: Home) -> None:
    file = home.put("cursor", CONTENT)
    file.chmod(0o444)
    assert "read-only" in home.run("install", "cursor", status=1)
    assert file.read_text(encoding="utf-8") == CONTENT


def test_a_folder_in_place_of_the_file_is_told_in_a_sentence(home: Home) -> None:
    home.file("cursor").mkdir(parents=True)
    assert "can't be read" in home.run("install", "cursor", status=1)


def test_a_file_in_place_of_a_folder_is_told_in_a_sentence(home: Home) -> None:
    (home.path / ".cursor").touch()
    assert "can't be" in home.run("install", "cursor", status=1)


def test_uninstall_without_an_entry_touches_nothing(home: Home) -> None:
    assert "not in" in home.run("uninstall", "cursor")
    assert list(home.path.iterdir()) == []
    file = home.put("cursor", CONTENT)
    assert "not in" in home.run("uninstall", "cursor")
    assert file.read_text(encoding="utf-8") == CONTENT


def test_the_real_command_installs_once_and_goes_without_a_trace(home: Home) -> None:
    file = home.put("claude-code", CONTENT)
    first = home.shell("install", "claude-code", XAI_API_KEY=KEY)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith(f"Claude Code: grok was added to {file}\n")
    for said in (
        "backup",
        "600 s for a call (timeout in milliseconds)",
        "XAI_API_KEY",
        "start a new session",
    ):
        assert said in first.stdout
    assert KEY not in first.stdout + file.read_text(encoding="utf-8")
    again = home.shell("install", "claude-code")
    assert again.returncode == 0 and "nothing changed" in again.stdout
    last = home.shell("uninstall", "claude-code")
    assert (last.returncode, last.stderr) == (0, "")
    assert file.read_text(encoding="utf-8") == CONTENT
    assert [path for path in home.path.rglob("*") if path.is_file()] == [file]


def test_the_real_command_writes_into_a_project(home: Home) -> None:
    done = home.shell("install", "vscode", "--project")
    assert done.returncode == 0
    assert "-m grok_mcp uninstall vscode --project" in done.stdout  # as it was started
    assert (home.path / ".vscode" / "mcp.json").exists()
    assert home.shell("uninstall", "vscode", "--project").returncode == 0
    assert not (home.path / ".vscode" / "mcp.json").exists()


def test_the_real_command_ends_with_status_1_and_one_line_where_it_fails(home: Home) -> None:
    home.put("cursor", "{")
    done = home.shell("install", "cursor")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("grok-mcp-server: ") and done.stderr.count("\n") == 1


def test_uninstall_from_a_file_that_can_t_be_read_leaves_it_as_it_is(home: Home) -> None:
    file = home.put("codex", "a = [")
    assert "can't be read" in home.run("uninstall", "codex", status=1)
    assert file.read_text(encoding="utf-8") == "a = ["


def test_what_utf_8_has_no_form_for_is_not_written(home: Home) -> None:
    said = home.run("install", "cursor", "--command", "x", "--", "\udcff", status=1)
    assert "UTF-8" in said
    assert not home.file("cursor").exists()


def test_a_backup_that_can_t_be_read_is_no_hindrance(home: Home) -> None:
    file = home.put("cursor", CONTENT)
    home.run("install", "cursor")
    home.backup("cursor").write_text("{", encoding="utf-8")
    home.run("uninstall", "cursor")
    assert file.read_text(encoding="utf-8") == CONTENT
