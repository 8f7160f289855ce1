"""An emulator of Entra ID and managed identity for the whole test session."""

import json
import os
import pathlib
import subprocess
import time

import pytest


@pytest.fixture(scope="session")
def entrant(tmp_path_factory):
    """Starts the emulator; gives the facts of its ready file: URLs, ids, people, the path of its CA."""
    ready = pathlib.Path(tmp_path_factory.mktemp("entrant")) / "ready.json"
    binary = os.environ.get("ENTRANT_BIN", "entrant")
    command = [binary, "emulator", "--ports", "auto", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            if ready.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            pytest.fail("the emulator is not ready after 30 s")
        yield json.loads(ready.read_text())
        process.terminate()


@pytest.fixture
def app_service(entrant, monkeypatch):
    """The environment of App Service, for one test."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", entrant["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", entrant["identity_header"])
    return entrant
