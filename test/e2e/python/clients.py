"""The official Python client against HOLDFAST_URL with HOLDFAST_KEY. Prints what it got as one line of JSON."""
import json
import os

import openai
from openai import OpenAI

base_url = os.environ["HOLDFAST_URL"] + "/v1"
client = OpenAI(base_url=base_url, api_key=os.environ["HOLDFAST_KEY"], max_retries=0)
question = [{"role": "user", "content": "What is the capital of France?"}]


def chat():
    answer = client.chat.completions.create(model="smoke", messages=question, temperature=0)
    return {"text": answer.choices[0].message.content, "finish": answer.choices[0].finish_reason, "tokens": answer.usage.total_tokens}


def stream():
    text, tokens, chunks = "", None, 0
    for chunk in client.chat.completions.create(
        model="smoke", messages=question, temperature=0, stream=True, stream_options={"include_usage": True}
    ):
        chunks += 1
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        tokens = chunk.usage.total_tokens if chunk.usage else tokens
    return {"text": text, "tokens": tokens, "chunks": chunks}


def schema():
    form = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"], "additionalProperties": False}
    answer = client.chat.completions.create(
        model="smoke", messages=question, temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": form}},
    )
    return json.loads(answer.choices[0].message.content)


def embeddings():
    # Without encoding_format this client asks for base64 and unpacks it.
    packed = client.embeddings.create(model="smoke", input=["cat", "dog"]).data
    plain = client.embeddings.create(model="smoke", input=["cat", "dog"], encoding_format="float").data
    distance = max(abs(a - b) for x, y in zip(packed, plain) for a, b in zip(x.embedding, y.embedding))
    return {"sizes": [len(each.embedding) for each in packed], "distance": distance}


def models():
    return {"list": [model.id for model in client.models.list()], "one": client.models.retrieve("smoke").id}


def refused(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"type": type(error).__name__, "status": error.status_code, "code": error.code, "message": error.message}
    return None


def errors():
    stranger = OpenAI(base_url=base_url, api_key="sk-stranger-stranger-stranger", max_retries=0)
    without = OpenAI(base_url=base_url, api_key=os.environ["HOLDFAST_KEY_WITHOUT_MODELS"], max_retries=0)
    create = client.chat.completions.create
    return [
        refused(lambda: stranger.models.list()),
        refused(lambda: create(model="gpt-4o", messages=question)),
        refused(lambda: create(model="smoke", messages=question, max_tokens=4000)),
        refused(lambda: without.chat.completions.create(model="smoke", messages=question)),
    ]


print(json.dumps({each.__name__: each() for each in (chat, stream, schema, embeddings, models, errors)}))
