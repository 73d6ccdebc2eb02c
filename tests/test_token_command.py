"""`token`: makes, lists and revokes tokens in a file that a running server reads again by itself."""

import os
import re
from pathlib import Path

import pytest

from grok_mcp.serving.http.tokens import TokenFile
from tests.support.cli import run

TOKEN = re.compile(r"gmt_[\w-]{43}")
on_posix = pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")


def made(*arguments: str) -> str:
    """The token that the command prints."""
    done = run("token", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    (token,) = TOKEN.findall(done.stdout)
    return str(token)


def holder(file: TokenFile, token: str) -> str | None:
    found = file.holder(token)
    return found.client_id if found else None


def test_a_server_takes_in_and_shuts_out_callers_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    ann = made("ann", "--append", str(path))
    server = TokenFile(path)
    assert holder(server, ann) == "ann"
    bob = made("bob", "--append", str(path))
    assert (holder(server, ann), holder(server, bob)) == ("ann", "bob")
    newer = made("ann", "--append", str(path), "--replace")
    assert (holder(server, ann), holder(server, newer)) == (None, "ann")
    assert run("token", "--revoke", "ann", str(path)).stdout == f"1 token of ann revoked in {path}.\n"
    assert (holder(server, newer), holder(server, bob)) == (None, "bob")


@on_posix
def test_a_new_file_is_for_its_user_alone_and_other_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tokens"
    made("ann", "--append", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# the team\nodd line\n" + path.read_text().rstrip("\n"))
    before = path.read_text()
    made("bob", "--append", str(path))
    assert re.fullmatch(re.escape(before) + r"\nbob:[0-9a-f]{64}\n", path.read_text())
    run("token", "--revoke", "bob", str(path))
    assert path.read_text() == before + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["tokens"]


def test_a_name_has_one_line_unless_its_token_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    made("ann", "--append", str(path))
    before = path.read_bytes()
    done = run("token", "ann", "--append", str(path))
    assert (done.returncode, done.stdout, path.read_bytes()) == (1, "", before)
    assert "--replace ends it" in done.stderr and not TOKEN.search(done.stderr)


@on_posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_reach_is_refused_with_what_to_run(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "my tokens"
    made("ann", "--append", str(path))
    path.chmod(mode)
    before = path.read_bytes()
    done = run("token", "bob", "--append", str(path))
    assert (done.returncode, done.stdout, path.read_bytes()) == (1, "", before)
    assert f"chmod 600 '{path}'" in done.stderr
    assert run("token", "--revoke", "ann", str(path)).returncode == 0
    assert path.stat().st_mode & 0o777 == mode


def test_the_list_has_names_and_no_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    for name in ("ann", "bob"):
        made(name, "--append", str(path))
    path.write_text(path.read_text() + f"ann:{'0' * 64}\n\n# later\nann:short\n")
    done = run("token", "--list", str(path))
    assert (done.returncode, done.stdout) == (0, "ann (2 tokens)\nbob\n")
    assert "line 6 is ignored" in done.stderr
    assert run("token", "--revoke", "ann", str(path)).stdout.startswith("2 tokens of ann revoked")


def test_a_line_may_name_a_group_which_a_new_token_keeps_unless_another_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    made("ann", "--group", "research team", "--append", str(path))
    made("bob", "--append", str(path))
    assert run("token", "--list", str(path)).stdout == "ann, in research team\nbob\n"
    kept = made("ann", "--append", str(path), "--replace")
    found = TokenFile(path).holder(kept)
    assert found is not None and found.claims == {"group": "research team"}
    moved = made("ann", "--append", str(path), "--replace", "--group", "x:y")
    found = TokenFile(path).holder(moved)
    assert found is not None and (found.client_id, found.claims) == ("ann", {"group": "x:y"})
    assert run("token", "--revoke", "ann", str(path)).returncode == 0
    assert run("token", "--list", str(path)).stdout == "bob\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "give one of NAME"),
        (["ann", "--list", "x"], 2, "give one of NAME"),
        (["--append", "x"], 2, "give one of NAME"),
        (["ann", "--replace"], 2, "--replace needs --append"),
        (["--list", "x", "--append", "y"], 2, "--append needs NAME"),
        (["a:b", "--append", "x"], 2, "not a valid name"),
        (["--list", "x", "--group", "y"], 2, "--group needs NAME"),
        (["ann", "--group", "a\nb"], 2, "not a valid group"),
        (["--list", "nowhere"], 1, "nowhere does not exist"),
        (["--revoke", "bop", "{file}"], 1, "Did you mean bob?"),
        (["ann", "--append", "{folder}"], 1, "not a regular file"),
        (["ann", "--append", "{open folder}"], 1, "not a regular file"),
        (["ann", "--append", os.devnull], 1, "not a regular file"),
        (["--list", "{binary}"], 1, "not UTF-8"),
        (["--list", "{large}"], 1, "larger than 1 MiB"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else None,
)
def test_what_can_t_be_done_is_one_sentence(
    arguments: list[str], status: int, words: str, tmp_path: Path
) -> None:
    paths = {name: tmp_path / name for name in ("file", "folder", "binary", "large")}
    paths["file"].write_text(f"bob:{'0' * 64}\n")
    paths["folder"].mkdir()
    (tmp_path / "open folder").mkdir(mode=0o755)
    paths["binary"].write_bytes(b"\xff\xfe")
    paths["large"].write_bytes(b"#" * (1024 * 1024 + 1))
    for path in paths.values():
        path.chmod(0o700 if path.is_dir() else 0o600)
    paths["open folder"] = tmp_path / "open folder"
    done = run("token", *(word.format(**paths) for word in arguments))
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr and "Traceback" not in done.stderr and "chmod" not in done.stderr
