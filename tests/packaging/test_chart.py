"""The Helm chart, rendered by Helm, and the compose file, both held against the schemas of their users."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
from project import ROOT, Project
from ruamel.yaml import YAML

from grok_mcp.environment import VARIABLES
from grok_mcp.settings import Settings
from tests.packaging.outside import script

CHART = ROOT / "packaging" / "chart"
HELM = script("helm")
KUBERNETES = "1.33"
NEEDED = {"publicUrl": "https://grok.example.org/mcp", "secret": "grok"}
ALL = {
    **NEEDED,
    "image.digest": "sha256:" + "0" * 64,
    "limits": '[default]\nmodels = ["grok-4.7"]\n',
    "metrics.enabled": True,
    "metrics.serviceMonitor.enabled": True,
    "autoscaling.enabled": True,
    "audit": True,
    "callerKeys": "allowed",
    "ingress.enabled": True,
    "ingress.tlsSecret": "tls",
    "settings.GROK_MCP_MODEL": "grok-4.7",
}
FORMS: dict[str, dict[str, Any]] = {
    "the least": NEEDED,
    "all parts": ALL,
    "one pod alone": {
        **NEEDED,
        "replicas": 1,
        "redis.enabled": False,
        "postgres.enabled": False,
        "safetyKey": False,
        "networkPolicy.enabled": False,
        "podDisruptionBudget.enabled": False,
    },
    "tried out": {**NEEDED, "sandbox": True},
    "OAuth, and keys of callers": {
        **NEEDED,
        "oauth.issuer": "https://login.example.org",
        "oauth.audience": "grok",
        "oauth.scopes": "grok",
        "callerKeys": "required",
    },
}
REFUSED = {
    "no address": ({"secret": "grok"}, "publicUrl: the address"),
    "no secret": ({"publicUrl": "https://grok.example.org/mcp"}, "secret: the name"),
    "pods that share nothing": ({**NEEDED, "redis.enabled": False}, "replicas: several pods"),
    "a word that is none": ({**NEEDED, "callerKeys": "maybe"}, "callerKeys"),
    "a misspelt value": ({**NEEDED, "replica": 2}, "replica"),
    "nothing to scrape": ({**NEEDED, "metrics.serviceMonitor.enabled": True}, "metrics.serviceMonitor"),
    "a setting that is none": ({**NEEDED, "settings.PATH": "/"}, "PATH"),
}

needs_helm = pytest.mark.skipif(not Path(HELM).exists(), reason="PyPI has Helm for Linux on x86-64 only")


def helm(*arguments: str, values: dict[str, Any], check: bool = True) -> subprocess.CompletedProcess[str]:
    flags = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    command = [HELM, *arguments, *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=check)


def rendered(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects of a release, by their kind: each has one of a kind at most."""
    text = helm("template", "team", str(CHART), values=values).stdout
    objects = [one for one in YAML(typ="safe", pure=True).load_all(text) if one]
    assert len({one["kind"] for one in objects}) == len(objects)
    return {one["kind"]: one for one in objects}


def variables(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


@needs_helm
def test_helm_finds_nothing_to_complain_of() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), values=NEEDED).stdout


@needs_helm
def test_where_no_file_of_the_secret_is_needed_none_is_mounted() -> None:
    pod = rendered(FORMS["OAuth, and keys of callers"])["Deployment"]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == [
        "state",
        "tmp",
    ]  # no `items` would be all of them
    (container,) = pod["containers"]
    assert [mount["name"] for mount in container["volumeMounts"]] == ["state", "tmp"]


@needs_helm
@pytest.mark.parametrize("values", FORMS.values(), ids=list(FORMS))
def test_what_is_rendered_is_valid_and_names_settings_that_exist(values: dict[str, Any]) -> None:
    objects = rendered(values)
    for kind, one in objects.items():
        if kind != "ServiceMonitor":  # of the Prometheus operator, whose schema is not Kubernetes' own
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    assert set(variables(objects)) <= set(VARIABLES)
    plain = {name: value for name, value in variables(objects).items() if isinstance(value, str)}
    fields: dict[str, Any] = {name.removeprefix("GROK_MCP_").lower(): value for name, value in plain.items()}
    assert Settings(**{name: value for name, value in fields.items() if name in Settings.model_fields})


@needs_helm
def test_a_pod_is_confined_and_has_time_to_leave() -> None:
    objects = rendered(ALL)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    own = variables(objects)
    assert pod["terminationGracePeriodSeconds"] > int(own["GROK_MCP_LEAVE"]) + int(own["GROK_MCP_GRACE"])
    assert objects["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", (
        "a missing key is no reason to restart"
    )
    (secrets,) = (one for one in pod["volumes"] if "secret" in one)
    mounts = [one for one in container["volumeMounts"] if one["name"] == secrets["name"]]
    assert mounts and all("subPath" not in one for one in mounts), "which would never be read again"
    assert "replicas" not in objects["Deployment"]["spec"], "the autoscaler counts them"


@needs_helm
def test_secrets_come_by_reference_only() -> None:
    text = helm("template", "team", str(CHART), values=ALL).stdout
    wanted = {"GROK_MCP_REDIS_URL", "GROK_MCP_LEDGER_URL", "GROK_MCP_METRICS_TOKEN", "GROK_MCP_SAFETY_KEY"}
    own = variables(rendered(ALL))
    assert {name for name, value in own.items() if isinstance(value, dict)} == wanted
    assert all(own[name]["secretKeyRef"]["name"] == "grok" for name in wanted)
    assert "kind: Secret" not in text


@needs_helm
@pytest.mark.parametrize(("values", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_values_that_would_serve_wrongly_are_refused_in_words(values: dict[str, Any], reason: str) -> None:
    done = helm("template", "team", str(CHART), values=values, check=False)
    assert done.returncode != 0 and reason in done.stderr


def test_the_chart_has_the_version_of_the_package(project: Project) -> None:
    chart = YAML(typ="safe", pure=True).load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == project.version
    assert chart["home"] == project.repository


def composed() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "packaging" / "compose.yaml")
    return loaded


def test_the_compose_file_is_valid_and_names_settings_that_exist() -> None:
    schema = json.loads(
        files("check_jsonschema")
        .joinpath("builtin_schemas", "vendor", "compose-spec.json")
        .read_text("utf-8")
    )
    document = composed()
    jsonschema_rs.validator_for(schema).validate(document)
    assert set(document["services"]["server"]["environment"]) <= set(VARIABLES)
    mentioned = set(re.findall(r"\$\{(\w+)", str(document)))
    head = (ROOT / "packaging" / "compose.yaml").read_text(encoding="utf-8").partition("name:")[0]
    assert {name for name in mentioned if f"${{{name}:?" in str(document)} <= set(
        re.findall(r"[A-Z_]{5,}", head)
    )


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_its_configuration() -> None:
    done = subprocess.run(
        ["nginx", "-t", "-c", str(ROOT / "packaging" / "nginx.conf"), "-e", "stderr"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "test is successful" in done.stderr, done.stderr
