"""The official conformance suite against our HTTP application, in both protocol eras.

`fixtures` is the application around tools, prompts and resources that the scenarios call: there, everything
that applies has to pass. `product` is the application around the product's own server: there, everything that
needs no fixture. What does not apply stands here by its reason, a whole `scenario` or one `scenario:check`.
An entry that passes after all, or that the suite no longer has, fails.
"""

from collections.abc import Mapping

import pytest

from tests.conformance.suite import (
    EXTENSION,
    TABLE,
    VERSIONS,
    Check,
    Report,
    Results,
    Suite,
)
from tests.support.packages import available

Reasons = Mapping[str, tuple[str, ...]]

NOWHERE: Reasons = {
    "answers are not kept for a client that has gone, so no stream says how to resume it": (
        "server-sse-polling",
    ),
    "a task of ours asks its caller nothing": ("tasks-mrtr-input", "tasks-mrtr-composition"),
    "no tool of ours needs a host that has tasks": ("tasks-required-task-error",),
    "folders of skills can't be read: each skill lists all its files": ("sep-2640-skills-directory",),
}

NOT_IN_THE_FIXTURES: Reasons = {
    "tasks are the product's": (
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-status-notifications",
    ),
    "the skills are the product's": ("sep-2640-skills-enumeration", "sep-2640-skills-manifest"),
}

NOT_IN_THE_PRODUCT: Reasons = {
    "a fixture tool is called": (
        "tools-call-simple-text",
        "tools-call-image",
        "tools-call-audio",
        "tools-call-embedded-resource",
        "tools-call-mixed-content",
        "tools-call-error",
        "tools-call-with-progress",
        "tools-call-sampling",
        "tools-call-elicitation",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "json-schema-2020-12",
        "http-custom-header-server-validation",
        "input-required-result-basic-elicitation",
        "input-required-result-basic-sampling",
        "input-required-result-basic-list-roots",
        "input-required-result-request-state",
        "input-required-result-multiple-input-requests",
        "input-required-result-multi-round",
        "input-required-result-missing-input-response",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
        "input-required-result-capability-check",
        "input-required-result-ignore-extra-params",
        "server-stateless:sep-2575-server-rejects-undeclared-capability",
        "server-stateless:sep-2575-missing-capability-http-400",
        "server-stateless:sep-2575-http-server-no-independent-requests-on-stream",
        "server-stateless:sep-2575-server-no-log-without-loglevel",
    ),
    "a fixture resource is read": ("resources-read-text", "resources-read-binary"),
    "what fails here is the result of the tool, never an error of JSON-RPC": (
        "tasks-lifecycle:sep-2663-tasks-get-status-failed",
    ),
    "a tool is called that asks its user something": (
        "tasks-dispatch-and-envelope:tasks-result-type-complete-on-non-task-responses",
    ),
    "the text is compared to the letter, and ours ends with a line of facts": (
        "tasks-request-headers:tasks-headers-tolerate-mcp-method-on-tools-call",
    ),
    "the suite does not listen where notes on tasks come": ("tasks-status-notifications",),
    "another template than ours is read": ("resources-templates-read",),
    "a fixture prompt is asked for, or one of its arguments completed": (
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-embedded-resource",
        "prompts-get-with-image",
        "completion-complete",
        "input-required-result-non-tool-request",
    ),
    "its lists and resources do not change, so there is nothing to subscribe to": (
        "resources-subscribe",
        "resources-unsubscribe",
        "server-stateless:sep-2575-server-sends-subscription-ack",
        "server-stateless:sep-2575-server-tags-subscription-id",
        "server-stateless:sep-2575-server-honors-notification-filter",
        "server-stateless:sep-2575-server-sends-prompts-list-changed-on-subscription",
        "server-stateless:sep-2575-server-sends-tools-list-changed-on-subscription",
    ),
    "its skills stand in no list of resources, where their names and descriptions would be looked for": (
        "sep-2640-skills-manifest:sep-2640-skillmd-metadata-name",
        "sep-2640-skills-manifest:sep-2640-skillmd-metadata-description",
    ),
    "it logs to stderr and nothing to clients": ("logging-set-level", "tools-call-with-logging"),
}


def entries(*reasons: Reasons) -> set[str]:
    return {name for each in reasons for names in each.values() for name in names}


NOT_APPLICABLE = {
    "fixtures": entries(NOWHERE, NOT_IN_THE_FIXTURES),
    "product": entries(NOWHERE, NOT_IN_THE_PRODUCT),
}


def failed(checks: list[Check]) -> list[Check]:
    """What did not pass; a scenario fails as well where it checked no more than the form of the messages."""
    nothing = Check("nothing", "FAILURE", "the scenario checked nothing")
    substance = [one for one in checks if one.status != "INFO" and not one.id.startswith("wire-schema")]
    return [one for one in checks if not one.passed] if substance else [nothing]


def complaints(results: Results, expected: set[str], not_applicable: set[str]) -> list[str]:
    """What is wrong with the results, or with the list of what does not apply."""
    found = [f"{name}: was not run, or not to its end" for name in sorted(expected - set(results))]
    fails = {name: failed(checks) for name, checks in results.items()}
    failing = {name for name, checks in fails.items() if checks}
    failing |= {f"{name}:{check.id}" for name, checks in fails.items() for check in checks}
    found += [f"{name}: passes or is gone, so it does apply" for name in sorted(not_applicable - failing)]
    for name in sorted(set(results) - not_applicable):
        found += [
            f"{name}:{check.id}: {check.status} {check.message}"
            for check in fails[name]
            if f"{name}:{check.id}" not in not_applicable
        ]
    return found


def cells(results: Results, not_applicable: set[str]) -> dict[str, str]:
    """Passed and failed checks of each scenario, for the table."""
    column = {}
    for name, checks in results.items():
        passed = sum(one.status == "SUCCESS" for one in checks)
        wrong = [one for one in failed(checks) if f"{name}:{one.id}" not in not_applicable]
        column[name] = "n/a" if name in not_applicable else f"{passed}/{len(wrong)}"
    return column


@pytest.fixture(scope="module")
def suite() -> Suite:
    return available(Suite)


@pytest.fixture(scope="module", params=NOT_APPLICABLE)
def what(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def report(suite: Suite, what: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return suite.examine(what, tmp_path_factory.mktemp(what))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_scenario_that_applies_passes(
    suite: Suite, report: Report, what: str, version: str, request: pytest.FixtureRequest
) -> None:
    results = report.results[version]
    of_this = {version, EXTENSION} if version == VERSIONS[-1] else {version}
    expected = {name for name, versions in suite.scenarios.items() if versions & of_this}
    not_applicable = {name for name in NOT_APPLICABLE[what] if name.partition(":")[0] in expected}
    table = request.config.stash.setdefault(TABLE, {})
    table[f"{what} {version}"] = cells(results, not_applicable)
    assert len(expected) > 30
    wrong = complaints(results, expected, not_applicable)
    assert not wrong, "\n".join(wrong)


def test_the_server_wants_a_token_and_comes_through_unharmed(report: Report) -> None:
    assert report.status_of_a_wrong_token == 401
    assert "Traceback" not in report.log
    assert report.exit_status == 0


def test_what_does_not_apply_names_scenarios_of_these_versions(suite: Suite) -> None:
    known = {name for name, versions in suite.scenarios.items() if versions & {*VERSIONS, EXTENSION}}
    named = {name.partition(":")[0] for names in NOT_APPLICABLE.values() for name in names}
    assert named - known == set()
