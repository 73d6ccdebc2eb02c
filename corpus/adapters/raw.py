"""The smallest adapter: a naive client that believes each word of the documentation. Standard library only."""

import json
import sys
import urllib.request
from typing import Any

OFFERS = ["text", "tool_calls", "finish_reason", "complete", "error", "usage.input_tokens", "usage.output_tokens"]


def read(base_url: str, request: dict[str, Any]) -> dict[str, Any]:
    body = {"model": request["model"], "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {request['api_key']}"}
    asked = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    text, calls, finish, usage = "", {}, None, {}
    with urllib.request.urlopen(asked, timeout=request.get("timeout_s", 10)) as reply:
        for line in reply:
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                finish = choice.get("finish_reason") or finish
                for piece in choice["delta"].get("tool_calls") or ():
                    call = calls.setdefault(piece["index"], {"id": piece.get("id"), "name": "", "arguments": ""})
                    for name in ("name", "arguments"):
                        call[name] += piece["function"].get(name) or ""
    counts = {"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")}
    done = {"complete": finish is not None, "usage": counts}
    return {"text": text, "tool_calls": list(calls.values()), "finish_reason": finish, **done}


print(json.dumps({"client": "raw", "version": "1", "offers": {"chat": OFFERS}}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    try:
        reading = read(task["base_url"], task["request"])
    except Exception as error:
        status = getattr(error, "code", None)
        reading = {"complete": False, "error": {"status": status, "message": str(error)}}
    print(json.dumps(reading), flush=True)
