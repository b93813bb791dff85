"""What a ComfyUI says on its websocket about one prompt."""


def of_prompt(messages, prompt_id):
    """Yield kind and data of a prompt's messages until it ends; pictures have the kind ``picture``."""
    for message in messages:
        if isinstance(message, bytes):
            yield "picture", message
        elif message["data"].get("prompt_id") == prompt_id:
            yield message["type"], message["data"]
            if message["type"] in ("execution_success", "execution_interrupted", "execution_error"):
                return


def executed(host, prompt):
    """Run a prompt and return the nodes that ran, less those that came from the cache."""
    with host.listen() as messages:
        steps = list(of_prompt(messages, host.queue(prompt)))
    assert steps[-1][0] == "execution_success", steps[-1]
    return {data["node"] for kind, data in steps if kind == "executing" and data["node"] is not None}
