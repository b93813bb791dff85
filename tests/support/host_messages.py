"""The messages that ComfyUI sends on its websocket about one prompt."""


def of_prompt(messages, prompt_id):
    """Yield kind and data of a prompt's messages up to its end; preview images have the kind ``image``."""
    for message in messages:
        if isinstance(message, bytes):
            yield "image", message
        elif message["data"].get("prompt_id") == prompt_id:
            yield message["type"], message["data"]
            if message["type"] in ("execution_success", "execution_interrupted", "execution_error"):
                return


def executed(host, prompt):
    """Run a prompt and return the ids of the nodes that ran, without those whose results were cached."""
    with host.listen() as messages:
        received = list(of_prompt(messages, host.queue(prompt)))
    assert received[-1][0] == "execution_success", received[-1]
    return {data["node"] for kind, data in received if kind == "executing" and data["node"] is not None}
