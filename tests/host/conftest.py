"""A real ComfyUI on the CPU, started once, with the pack linked into its custom_nodes folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium
from host_page import open_host_page
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
PACK = "stag4d-pack"
CLIENT = "stag4d-tests"  # progress and pictures go to the client that queued the prompt
START_SECONDS, RUN_SECONDS = 180, 900


@dataclass(frozen=True)
class Host:
    """A running server: its address, base folder and log, and the checkout and Python that it runs from."""

    url: str
    base: Path
    log: Path
    folder: Path
    python: Path
    process_id: int

    def get(self, path: str) -> bytes:
        """Return what the server answers; raises urllib.error.HTTPError for anything but success."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read()

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt and return its id."""
        body = json.dumps({"prompt": prompt, "client_id": CLIENT}).encode()
        request = urllib.request.Request(f"{self.url}/prompt", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["prompt_id"]

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Queue a prompt and return its entry in the history once it is done."""
        return self.entry(self.queue(prompt))

    def entry(self, prompt_id: str) -> dict[str, Any]:
        """Return a prompt's entry in the history once it is done."""
        end = time.monotonic() + RUN_SECONDS
        while time.monotonic() < end:
            entry = json.loads(self.get(f"/history/{prompt_id}")).get(prompt_id)
            if entry and entry["status"]["status_str"] in ("success", "error"):
                return entry
            time.sleep(0.2)
        raise TimeoutError(f"prompt {prompt_id} did not end within {RUN_SECONDS} seconds")

    def interrupt(self) -> None:
        """Press cancel."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/interrupt", b""), timeout=30):
            pass

    def resident_mb(self) -> float:
        """Return the server's resident memory."""
        status = Path(f"/proc/{self.process_id}/status")
        if not status.is_file():
            pytest.skip("memory is read from /proc; run this on Linux")
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    @contextmanager
    def listen(self) -> Iterator[Iterator[dict[str, Any] | bytes]]:
        """Yield the messages of the host's websocket from now on: JSON as dicts, pictures as bytes."""
        with connect(f"{self.url.replace('http', 'ws')}/ws?clientId={CLIENT}", max_size=None) as channel:
            yield (
                message if isinstance(message, bytes) else json.loads(message)
                for message in iter(lambda: channel.recv(timeout=RUN_SECONDS), None)
            )


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = Path(os.environ.get("COMFYUI_PATH") or "~/ComfyUI").expanduser()
    python = Path(os.environ.get("COMFYUI_PYTHON") or "~/ComfyUI-venv/bin/python").expanduser()
    if not (folder / "main.py").is_file() or not python.exists():
        pytest.skip(f"no ComfyUI at {folder} with {python}; python3 tasks.py host-test says how to get one")
    base = tmp_path_factory.mktemp("host")
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (base / name).mkdir()
    (base / "custom_nodes" / PACK).symlink_to(ROOT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        python,
        "main.py",
        "--cpu",
        "--listen",
        "127.0.0.1",
        "--port",
        str(port),
        "--base-directory",
        base,
    ]
    command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
    log = base / "host.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, stdout=output, stderr=output) as process,
    ):
        server = Host(f"http://127.0.0.1:{port}", base, log, folder, python, process.pid)
        try:
            wait_until_ready(server, process)
            yield server
        finally:
            process.terminate()


def wait_until_ready(server: Host, process: subprocess.Popen) -> None:
    """Return when the server answers; raises RuntimeError with its log when it does not come up."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            server.get("/system_stats")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise RuntimeError(f"ComfyUI did not start:\n{server.log.read_text(encoding='utf-8')[-4000:]}")


@pytest.fixture(scope="module")  # no longer: while it is open, no other test can run an event loop
def browser():
    """Chromium that draws WebGL in software."""
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def page(host, browser, request):
    """The host's page, with nodes of either kind."""
    with open_host_page(browser, host.url, vue_nodes=request.param) as page:
        yield page


@pytest.fixture
def graph(page):
    """A workflow with a scene in STAG4D Preview, loaded and run; see ``HostPage.build_and_run``."""
    return page.build_and_run()
