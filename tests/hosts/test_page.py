"""docs/hosts.md: speaks of the versions that are driven, and takes the rows of a run."""

from tests.hosts.hosts import HOSTS
from tests.hosts.table import HEAD, PAGE, kept, with_rows
from tests.support.pages import first_cells

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_has_rows_of_the_pinned_versions_and_of_no_others() -> None:
    versions = {(row["host"], row["version"]) for row in kept(TEXT).values()}
    assert versions == {(host.name, host.version) for host in HOSTS.values()}


def test_every_host_was_driven_on_stdio_and_http_and_nothing_failed() -> None:
    rows = kept(TEXT)
    assert {(name, server_on) for name in HOSTS for server_on in ("stdio", "http")} <= rows.keys()
    assert "FAILED" not in [cell for row in rows.values() for cell in row.values()]
    assert all("–" not in row.values() for (_, server_on), row in rows.items() if server_on == "stdio")


def test_every_host_has_its_limits_there() -> None:
    times = first_cells(TEXT, "host", "start of a server", "one call", "key and unit", "progress extends it")
    sizes = first_cells(TEXT, "host", "limit", "beyond it", "what to set")
    shown = first_cells(TEXT, "host", "result", "error")
    for name in HOSTS:
        assert name in sizes and name in shown and any(cell.startswith(name) for cell in times)


def test_a_run_replaces_what_it_saw_and_nothing_else() -> None:
    assert with_rows(TEXT, {}) == TEXT
    key = ("Codex", "stdio")
    found = with_rows(TEXT, {key: {"host": "Codex", "version": HOSTS["Codex"].version, "ask": "FAILED"}})
    assert kept(found) == {**kept(TEXT), key: {**kept(TEXT)[key], "ask": "FAILED"}}
    assert found.split(HEAD)[0] == TEXT.split(HEAD)[0]
    assert found.split("- *protocol*")[1] == TEXT.split("- *protocol*")[1]


def test_a_new_version_leaves_no_row_of_the_old_one() -> None:
    new = {"host": "Codex", "version": "1.0.0", "server on": "stdio", "ask": "text"}
    rows = kept(with_rows(TEXT, {("Codex", "stdio"): new}))
    assert [row["version"] for (name, _), row in rows.items() if name == "Codex"] == ["1.0.0"]
    assert rows["Codex", "stdio"]["structured"] == "–"
