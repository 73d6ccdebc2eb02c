"""The README can be followed word for word: a clone, a home, and the commands of its own text."""

from tests.packaging.follow_readme import OURSELVES, ROOT, commands, follow

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_command_needs_no_key_and_the_second_runs_the_tests() -> None:
    first, second, *_ = commands(TEXT, all_tests=True)
    assert first.startswith("make demo") and second.startswith("make test")
    assert TEXT.count("<!-- skip: ") == 2 and f"<!-- skip: {OURSELVES} -->" in TEXT


def test_a_newcomer_who_types_what_the_readme_says_comes_to_the_end() -> None:
    done = follow()
    assert done.returncode == 0, done.stdout
    for sign in ("Sources:", '"status": "approved"', ".claude.json", "undo"):
        assert sign in done.stdout, done.stdout
