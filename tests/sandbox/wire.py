"""What the tests of the sandbox share: requests, and the reading of streams."""

import json
from typing import Any

import httpx2

JSON = dict[str, Any]

IMAGE = "data:image/png;base64,iVBORw0KGgo="

WEATHER: JSON = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}


def function(name: str) -> JSON:
    return {"type": "function", "function": {"name": name, "parameters": WEATHER}}


def flat_function(name: str) -> JSON:
    return {"type": "function", "name": name, "parameters": WEATHER}


class Endpoint:
    """The sandbox, seen from a client."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client

    def send_chat(self, prompt: object = "Hello", fault: str = "", **fields: Any) -> httpx2.Response:
        body = {"model": f"grok-4.7!{fault}", "messages": [{"role": "user", "content": prompt}], **fields}
        return self.client.post("chat/completions", json=body)

    def send_responses(self, prompt: object = "Hello", fault: str = "", **fields: Any) -> httpx2.Response:
        body = {"model": f"grok-4.7!{fault}", "input": prompt, **fields}
        return self.client.post("responses", json=body)

    def chat(self, prompt: object = "Hello", **fields: Any) -> JSON:
        return read_body(self.send_chat(prompt, **fields))

    def responses(self, prompt: object = "Hello", **fields: Any) -> JSON:
        return read_body(self.send_responses(prompt, **fields))

    def chat_events(self, prompt: object = "Hello", **fields: Any) -> list[JSON]:
        usage = {"include_usage": True}
        return read_events(self.send_chat(prompt, **{"stream": True, "stream_options": usage, **fields}))

    def responses_events(self, prompt: object = "Hello", **fields: Any) -> list[JSON]:
        return read_events(self.send_responses(prompt, **{"stream": True, **fields}))


def read_body(response: httpx2.Response) -> JSON:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    body: JSON = response.json()
    return body


def read_events(response: httpx2.Response) -> list[JSON]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream"
    return parse(response.text)


def parse(text: str) -> list[JSON]:
    data = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [json.loads(one) for one in data if one.strip() != "[DONE]"]


def joined(events: list[JSON], field: str = "content", index: int = 0) -> str:
    """The text of a chat stream."""
    choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get(field, "") for choice in choices)


def items(body: JSON, kind: str) -> list[JSON]:
    return [item for item in body["output"] if item["type"] == kind]


def text_of(body: JSON) -> str:
    text: str = items(body, "message")[0]["content"][0]["text"]
    return text


def notes_of(body: JSON) -> list[JSON]:
    notes: list[JSON] = items(body, "message")[0]["content"][0]["annotations"]
    return notes
