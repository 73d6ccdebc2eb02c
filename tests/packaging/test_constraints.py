"""`constraints.txt`: exact versions and hashes of everything that the gate installs, and no address."""

import re
from collections.abc import Iterator

from project import ROOT

from tests.support.pages import PROJECT

TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PIN = re.compile(r"([a-z0-9-]+)==([\w.+!]+)( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")


def entries() -> list[str]:
    """The requirements, each with the lines of its hashes."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    return re.split(r"\n(?! )", "\n".join(lines))


def direct() -> Iterator[str]:
    """The names of what `pyproject.toml` asks for, in the spelling that indexes compare."""
    groups = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    for line in [one for group in [*groups, PROJECT["dependency-groups"]["dev"]] for one in group]:
        yield re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", line)[0]).lower()


def test_every_entry_is_one_exact_version_with_its_hashes() -> None:
    assert [entry for entry in entries() if not PIN.fullmatch(entry)] == []


def test_every_direct_dependency_has_an_entry() -> None:
    assert set(direct()) - {entry.partition("==")[0] for entry in entries()} == set()


def test_the_file_names_no_address_and_no_path() -> None:
    assert not re.search(r"://|@|/|\\[^\n]|^-", TEXT, re.MULTILINE)
