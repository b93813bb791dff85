"""Adapters between the nodes and ComfyUI: files, models, memory, progress, previews and sockets."""
