"""Python's clients, driven by lines of JSON on stdin: each asks one question and is answered by lines on stdout."""
import functools
import json
import sys
import threading

import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

# Answers as a client wants them back, by the number of the ask that got them.
kept = {}
write_lock = threading.Lock()


def tell(line):
    with write_lock:
        print(json.dumps(line), flush=True)


@functools.cache
def openai_at(url, key):
    return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)


def client_of(ask):
    return openai_at(ask["url"], ask["key"])


class Chat:
    def arguments(self, ask):
        q = ask["question"]
        content = q["text"]
        if "image" in q:
            content = [{"type": "text", "text": q["text"]}, {"type": "image_url", "image_url": {"url": q["image"]}}]
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
        if "results" in q:
            messages.append(kept[q["results"]["of"]])
            for call, output in zip(q["results"]["calls"], q["results"]["outputs"]):
                messages.append({"role": "tool", "tool_call_id": call, "content": output})
        given = {"model": ask["model"], "messages": messages, "temperature": 0}
        if "tools" in q:
            given["tools"] = [{"type": "function", "function": tool} for tool in q["tools"]]
        if "force" in q:
            given["tool_choice"] = {"type": "function", "function": {"name": q["force"]}}
        if "schema" in q:
            given["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": q["schema"]}}
        if "maxTokens" in q:
            given["max_completion_tokens"] = q["maxTokens"]
        return given

    def ask(self, ask):
        return self.read(client_of(ask).chat.completions.create(**self.arguments(ask)), ask, 0)

    def stream(self, ask, leave):
        pieces, thought = 0, ""
        given = {**self.arguments(ask), "stream_options": {"include_usage": True}}
        with client_of(ask).chat.completions.stream(**given) as stream:
            for event in stream:
                # The chunk that names the role has text, too: none.
                if event.type == "content.delta" and event.delta:
                    pieces += 1
                    tell({"id": ask["id"], "piece": True})
                    if leave():
                        raise InterruptedError("left")
                if event.type == "chunk" and event.chunk.choices:
                    thought += getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
            try:
                whole = stream.get_final_completion()
            except openai.LengthFinishReasonError as cut:
                whole = cut.completion
            return {**self.read(whole, ask, pieces), "thought": thought}

    def read(self, answer, ask, pieces):
        choice = answer.choices[0]
        kept[ask["id"]] = choice.message.to_dict()
        return {
            "text": choice.message.content or "",
            "thought": getattr(choice.message, "reasoning_content", None) or "",
            "calls": [
                {"id": call.id, "name": call.function.name, "input": json.loads(call.function.arguments)}
                for call in choice.message.tool_calls or []
            ],
            "finish": {"stop": "stop", "tool_calls": "tools", "length": "length"}.get(choice.finish_reason, "other"),
            "usage": answer.usage and {"input": answer.usage.prompt_tokens, "output": answer.usage.completion_tokens},
            "pieces": pieces,
        }


class Responses:
    def arguments(self, ask):
        q = ask["question"]
        content = q["text"]
        if "image" in q:
            content = [{"type": "input_text", "text": q["text"]}, {"type": "input_image", "image_url": q["image"], "detail": "auto"}]
        items = [{"role": "user", "content": content}]
        if "results" in q:
            items += kept[q["results"]["of"]]
            for call, output in zip(q["results"]["calls"], q["results"]["outputs"]):
                items.append({"type": "function_call_output", "call_id": call, "output": output})
        given = {"model": ask["model"], "input": items, "instructions": "Be brief.", "temperature": 0}
        if "tools" in q:
            given["tools"] = [{"type": "function", "strict": False, **tool} for tool in q["tools"]]
        if "force" in q:
            given["tool_choice"] = {"type": "function", "name": q["force"]}
        if "schema" in q:
            given["text"] = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": q["schema"]}}
        if "maxTokens" in q:
            given["max_output_tokens"] = q["maxTokens"]
        return given

    def ask(self, ask):
        return self.read(client_of(ask).responses.create(**self.arguments(ask)), ask, 0)

    def stream(self, ask, leave):
        pieces, whole = 0, None
        with client_of(ask).responses.stream(**self.arguments(ask)) as stream:
            for event in stream:
                if event.type in ("response.completed", "response.incomplete"):
                    whole = event.response
                if event.type == "response.output_text.delta":
                    pieces += 1
                    tell({"id": ask["id"], "piece": True})
                    if leave():
                        raise InterruptedError("left")
            return self.read(whole, ask, pieces)

    def read(self, answer, ask, pieces):
        kept[ask["id"]] = [item.to_dict() for item in answer.output]
        calls = [
            {"id": item.call_id, "name": item.name, "input": json.loads(item.arguments)}
            for item in answer.output
            if item.type == "function_call"
        ]
        cut = answer.incomplete_details and answer.incomplete_details.reason == "max_output_tokens"
        done = ("tools" if calls else "stop") if answer.status == "completed" else "other"
        return {
            "text": answer.output_text,
            "thought": "".join(
                part.text for item in answer.output if item.type == "reasoning" for part in item.content or []
            ),
            "calls": calls,
            "finish": "length" if cut else done,
            "usage": answer.usage and {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens},
            "pieces": pieces,
        }


class LangChain:
    def model(self, ask):
        q = ask["question"]
        chat = ChatOpenAI(
            model=ask["model"],
            base_url=ask["url"] + "/v1",
            api_key=ask["key"],
            max_retries=0,
            temperature=0,
            stream_usage=True,
            **({"max_tokens": q["maxTokens"]} if "maxTokens" in q else {}),
        )
        if "tools" in q:
            tools = [{"type": "function", "function": tool} for tool in q["tools"]]
            return chat.bind_tools(tools, **({"tool_choice": q["force"]} if "force" in q else {}))
        if "schema" in q:
            form = {"name": "answer", "strict": True, "schema": q["schema"]}
            return chat.bind(response_format={"type": "json_schema", "json_schema": form})
        return chat

    def messages(self, ask):
        q = ask["question"]
        content = q["text"]
        if "image" in q:
            content = [{"type": "text", "text": q["text"]}, {"type": "image_url", "image_url": {"url": q["image"]}}]
        messages = [SystemMessage("Be brief."), HumanMessage(content)]
        if "results" in q:
            messages.append(kept[q["results"]["of"]])
            for call, output in zip(q["results"]["calls"], q["results"]["outputs"]):
                messages.append(ToolMessage(content=output, tool_call_id=call))
        return messages

    def ask(self, ask):
        return self.read(self.model(ask).invoke(self.messages(ask)), ask, 0)

    def stream(self, ask, leave):
        whole, pieces = None, 0
        for chunk in self.model(ask).stream(self.messages(ask)):
            whole = chunk if whole is None else whole + chunk
            if chunk.text:
                pieces += 1
                tell({"id": ask["id"], "piece": True})
                if leave():
                    raise InterruptedError("left")
        return self.read(whole, ask, pieces)

    def read(self, message, ask, pieces):
        kept[ask["id"]] = message
        used = message.usage_metadata
        finish = message.response_metadata.get("finish_reason")
        return {
            "text": message.text,
            "thought": message.additional_kwargs.get("reasoning_content") or "",
            "calls": [{"id": call["id"], "name": call["name"], "input": call["args"]} for call in message.tool_calls],
            "finish": {"stop": "stop", "tool_calls": "tools", "length": "length"}.get(finish, "other"),
            "usage": used and {"input": used["input_tokens"], "output": used["output_tokens"]},
            "pieces": pieces,
        }


def openai_embeddings(ask):
    client = client_of(ask)
    packed = client.embeddings.create(model=ask["model"], input=ask["inputs"]).data
    plain = client.embeddings.create(model=ask["model"], input=ask["inputs"], encoding_format="float").data
    return {"packed": [one.embedding for one in packed], "plain": [one.embedding for one in plain]}


def langchain_embeddings(ask):
    # Else it sends tokens of OpenAI's own models, which mean something else to any other.
    embeddings = OpenAIEmbeddings(
        model=ask["model"], base_url=ask["url"] + "/v1", api_key=ask["key"], max_retries=0, check_embedding_ctx_length=False
    )
    vectors = embeddings.embed_documents(ask["inputs"])
    return {"packed": vectors, "plain": vectors}


def models(ask):
    client = client_of(ask)
    return {"list": [model.id for model in client.models.list()], "one": client.models.retrieve(ask["model"]).id}


speakers = {"chat": Chat(), "responses": Responses(), "langchain": LangChain()}
tasks = {"embeddings": openai_embeddings, "langchain-embeddings": langchain_embeddings, "models": models}
leaving = set()


def answer(ask):
    try:
        if ask["do"] == "ask":
            told = speakers[ask["speaker"]].ask(ask)
        elif ask["do"] == "stream":
            told = speakers[ask["speaker"]].stream(ask, lambda: ask["id"] in leaving)
        else:
            told = tasks[ask["do"]](ask)
        tell({"id": ask["id"], "told": told})
    except Exception as error:
        status = getattr(error, "status_code", None)
        tell({"id": ask["id"], "error": {"type": type(error).__name__, "status": status, "message": str(error)}})


for line in sys.stdin:
    ask = json.loads(line)
    if ask["do"] == "leave":
        leaving.add(ask["id"])
    else:
        threading.Thread(target=answer, args=(ask,), daemon=True).start()
