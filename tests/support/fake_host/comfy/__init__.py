"""ComfyUI's library."""
