from typing import Any

import httpx2
import pytest

from .wire import Endpoint

JSON_TYPE = {"Content-Type": "application/json"}


def test_no_key_is_refused_as_401(base_url: str) -> None:
    response = httpx2.post(f"{base_url}/chat/completions", json={"model": "grok-4.7"})
    assert response.status_code == 401
    assert response.json() == {
        "code": "unauthenticated:no-credentials",
        "error": "No credentials provided",
    }
    assert httpx2.get(f"{base_url}/models").status_code == 401


@pytest.mark.parametrize("key", ["invalid", "xai-wrong-key"])
def test_a_wrong_key_is_refused_as_400(grok: Endpoint, key: str) -> None:
    response = grok.client.get("models", headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 400
    assert response.json()["error"].startswith("Incorrect API key provided: wr***ng.")


@pytest.mark.parametrize("model", ["grok-9", "grok-4-5", None])
def test_an_unknown_model_is_refused_as_404(grok: Endpoint, model: str | None) -> None:
    response = grok.send_chat(model=model)
    assert response.status_code == 404
    assert response.json()["code"] == "not-found"
    assert f"The model {model or ''} does not exist or your team" in response.json()["error"]


def test_a_body_that_is_empty_or_no_json_is_refused(grok: Endpoint) -> None:
    post = grok.client.post
    assert post("responses", headers=JSON_TYPE).status_code == 415
    assert post("responses", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert post("responses", content=b"{oops", headers=JSON_TYPE).status_code == 400
    assert post("responses", content=b"[]", headers=JSON_TYPE).status_code == 422


def test_unknown_paths_and_methods_are_refused_in_plain_text(grok: Endpoint) -> None:
    assert grok.client.get("nothing").text == "Not Found"
    assert grok.client.get("responses").status_code == 405


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"presence_penalty": 1}, "Argument not supported on this model: presencePenalty"),
        ({"frequency_penalty": 0}, "Argument not supported on this model: frequencyPenalty"),
        ({"stop": ["a"]}, "Argument not supported on this model: stop"),
        (
            {"model": "grok-4.20", "reasoning_effort": "low"},
            "Model grok-4.20-0309-reasoning does not support parameter reasoningEffort.",
        ),
        (
            {"model": "grok-build-0.1", "reasoning_effort": "low"},
            "Model grok-build-0.1 does not support parameter reasoningEffort.",
        ),
        ({"reasoning_effort": "none"}, "This model does not support 'reasoning_effort' value 'none'"),
        ({"messages": []}, "messages must not be empty."),
        ({"max_tokens": 0}, "max_tokens must be a positive whole number."),
        ({"n": True}, "n must be a positive whole number."),
    ],
)
def test_parameters_that_a_model_does_not_take_are_refused(
    grok: Endpoint, fields: dict[str, Any], words: str
) -> None:
    response = grok.send_chat(**fields)
    assert response.status_code == 400
    assert response.json() == {"code": "invalid-argument", "error": words}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ([], 400),
        (7, 422),
        (["text"], 422),
        ([{"type": "image_url", "image_url": {"url": "file:///etc/hosts"}}], 400),
        ([{"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0"}}], 400),
    ],
)
def test_wrong_contents_are_refused(grok: Endpoint, content: Any, status: int) -> None:
    assert grok.send_chat(content).status_code == status


def test_messages_and_input_must_be_there(grok: Endpoint) -> None:
    assert grok.send_chat(messages=None).status_code == 422
    assert grok.send_responses(None).status_code == 400
    assert grok.send_responses([]).status_code == 400


def test_stored_responses_are_not_known(grok: Endpoint) -> None:
    response = grok.send_responses("Hi", previous_response_id="abc")
    assert response.status_code == 404
    assert "abc" in response.json()["error"]


def test_the_model_lists_name_prices_and_abilities(grok: Endpoint) -> None:
    plain = grok.client.get("models").json()
    first = plain["data"][0]
    assert (plain["object"], first["id"], first["prompt_text_token_price"]) == ("list", "grok-4.7", 20_000)
    rich = {model["id"]: model for model in grok.client.get("language-models").json()["models"]}
    assert rich["grok-4.3"]["capabilities"]["reasoning_effort"] == ["none", "low", "medium", "high", "xhigh"]
    assert rich["grok-4.3"]["aliases"] == ["grok-4.3-latest"]
    assert rich["grok-4.6"]["aliases"] == ["grok-4.6-latest", "grok-latest"]
    assert rich["grok-4.3"]["context_length"] == 1_000_000


def test_the_key_can_be_looked_at(grok: Endpoint) -> None:
    assert grok.client.get("api-key").json()["api_key_disabled"] is False
