"""A real ComfyUI on the CPU, started once, with the pack linked into its custom_nodes folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
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
from waiting import wait_until
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
PACK = "stag4d-pack"
STAND_INS = ROOT / "tests" / "support" / "stand_in_models.py"  # small models for ComfyUI's own nodes
CLIENT = "stag4d-tests"  # progress and previews go to the client that queued the prompt
ANSWER_SECONDS, START_SECONDS, RUN_SECONDS = 240, 600, 900


@dataclass(frozen=True)
class Host:
    """A running server: address, base folder, log; checkout, interpreter and process that it runs in."""

    url: str
    base: Path
    log: Path
    folder: Path
    python: Path
    process_id: int

    def get(self, path: str) -> bytes:
        """Return the body of a GET request; raises urllib.error.HTTPError for any status but success."""
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_SECONDS) as answer:
            return answer.read()

    def post(self, path: str, body: dict[str, Any]) -> bytes:
        """Return the body of the answer to a POST request with JSON; raises as ``get`` does."""
        data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.read()

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt and return its id."""
        return json.loads(self.post("/prompt", {"prompt": prompt, "client_id": CLIENT}))["prompt_id"]

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        """Run a prompt and return its entry in the history."""
        return self.entry(self.queue(prompt))

    def entry(self, prompt_id: str) -> dict[str, Any]:
        """Wait until a prompt has ended and return its entry in the history."""

        def ended() -> dict[str, Any] | None:
            entry = json.loads(self.get(f"/history/{prompt_id}")).get(prompt_id)
            return entry if entry and entry["status"]["status_str"] in ("success", "error") else None

        return wait_until(ended, seconds=RUN_SECONDS, what=f"the end of prompt {prompt_id}")

    def interrupt(self) -> None:
        """Cancel the prompt that runs."""
        self.post("/interrupt", {})

    def resident_mb(self) -> float:
        """Return the server's resident memory in MiB."""
        status = Path(f"/proc/{self.process_id}/status")
        if not status.is_file():
            pytest.skip("memory is read from /proc; run this on Linux")
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    @contextmanager
    def listen(self) -> Iterator[Iterator[dict[str, Any] | bytes]]:
        """Yield the messages of the websocket from now on: JSON as dicts, preview images as bytes."""
        url = f"{self.url.replace('http', 'ws')}/ws?clientId={CLIENT}"
        # A busy server may be late with a pong, which is no reason to close the connection.
        with connect(url, max_size=None, open_timeout=ANSWER_SECONDS, ping_interval=None) as channel:
            yield (
                message if isinstance(message, bytes) else json.loads(message)
                for message in iter(lambda: channel.recv(timeout=RUN_SECONDS), None)
            )


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The server, with empty folders of its own."""
    folder = Path(os.environ.get("COMFYUI_PATH") or "~/ComfyUI").expanduser()
    python = Path(os.environ.get("COMFYUI_PYTHON") or "~/ComfyUI-venv/bin/python").expanduser()
    if not (folder / "main.py").is_file() or not python.exists():
        pytest.skip(f"no ComfyUI at {folder} with {python}; python3 tasks.py host-test says how to get one")
    base = tmp_path_factory.mktemp("host")
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (base / name).mkdir()
    (base / "custom_nodes" / PACK).symlink_to(ROOT)
    (base / "custom_nodes" / STAND_INS.name).symlink_to(STAND_INS)
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
    command += ["--cache-ram", "0"]  # or results leave the cache while the machine is short of memory
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
    """Wait until the server answers; raises RuntimeError with the end of its log if it ends or does not."""

    def has_ended_or_answers() -> bool:
        try:
            return process.poll() is not None or bool(server.get("/system_stats"))
        except (urllib.error.URLError, ConnectionError):
            return False

    try:
        wait_until(has_ended_or_answers, seconds=START_SECONDS, what="the start of ComfyUI")
        if process.poll() is None:
            return
    except TimeoutError:
        pass
    raise RuntimeError(f"ComfyUI did not start:\n{server.log.read_text(encoding='utf-8')[-4000:]}")


@pytest.fixture(scope="module")  # no longer: while it is open, no other test can run an event loop
def browser():
    """Chromium with WebGL rendered in software."""
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def page(host, browser, request):
    """ComfyUI's page, once with classic and once with Vue nodes."""
    with open_host_page(browser, host.url, vue_nodes=request.param) as page:
        yield page


@pytest.fixture
def graph(page):
    """A workflow with a scene in STAG4D Preview, loaded and run; see ``HostPage.build_and_run``."""
    return page.build_and_run()
