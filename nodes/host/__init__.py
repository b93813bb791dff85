"""Adapters to the host, for the nodes: its files, models, memory, progress, previews and sockets."""
