"""The smallest adapter: a naive client that believes each word of the documentation."""

import json
import sys
import urllib.request
from typing import Any

OFFERS = [
    "text",
    "tool_calls",
    "finish_reason",
    "complete",
    "error.status",
    "usage.input_tokens",
    "usage.output_tokens",
]


def read(base_url: str, request: dict[str, Any]) -> dict[str, Any]:
    """The reading of one case; what goes wrong is raised."""
    body = {"model": request["model"], "messages": [{"role": "user", "content": request["prompt"]}]}
    data = json.dumps({**body, "stream": request["stream"]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {request['api_key']}"}
    asked = urllib.request.Request(f"{base_url}/chat/completions", data, headers)
    text, finish, usage = "", None, dict[str, Any]()
    calls = dict[int, dict[str, Any]]()
    with urllib.request.urlopen(asked, timeout=request.get("timeout_s", 10)) as reply:
        lines = (
            [line[6:] for line in reply if line.startswith(b"data: ")]
            if request["stream"]
            else [reply.read()]
        )
    for chunk in (json.loads(line) for line in lines if line.strip() != b"[DONE]"):
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            said = choice["delta" if request["stream"] else "message"]
            text += said.get("content") or ""
            finish = choice.get("finish_reason") or finish
            for number, piece in enumerate(said.get("tool_calls") or ()):
                call = calls.setdefault(
                    piece.get("index", number), {"id": piece.get("id"), "name": "", "arguments": ""}
                )
                for name in ("name", "arguments"):
                    call[name] += piece["function"].get(name) or ""
    counts = {"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")}
    done = {"complete": finish is not None, "usage": counts}
    return {"text": text, "tool_calls": list(calls.values()), "finish_reason": finish, **done}


print(json.dumps({"client": "raw", "version": "1", "offers": {"chat": OFFERS}}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    try:
        reading = (
            read(task["base_url"], task["request"]) if "n" not in task["request"] else {"not_offered": "n"}
        )
    except Exception as error:
        reading = {"complete": False, "error": {"status": getattr(error, "code", None)}}
    print(json.dumps(reading), flush=True)
