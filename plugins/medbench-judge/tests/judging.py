"""The replies of a loopback judge: right by the words, with slips where a question asks for them."""

from __future__ import annotations

import json
import re

BLOCK = re.compile(r"<<<(\w+) ([0-9a-f]{8})\n(.*?)\n\1 \2>>>", re.DOTALL)


def judge(body):
    prompt = "\n".join(part if isinstance(part, str) else part.get("text", "") for part in contents(body))
    blocks = {label: text for label, _, text in BLOCK.findall(prompt)}
    slip = None if "could not be used" in prompt else re.search(r"slip (\w+)", blocks.get("QUESTION", ""))
    right = blocks["REFERENCE"].split() == blocks["CANDIDATE"].split()
    said = {
        "out": '{"why": "x", "level": 7}',
        "verbose": "Well. The two say the same thing in every respect, I would think.",
        "cut": '{"why": "it is',
    }
    if slip and slip[1] in said:
        return {"text": said[slip[1]], "finish_reason": "length" if slip[1] == "cut" else "stop"}
    return json.dumps({"why": "compared", "level": int(right)})


def contents(body):
    for message in body["messages"]:
        yield from [message["content"]] if isinstance(message["content"], str) else message["content"]
