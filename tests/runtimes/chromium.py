"""Chromium without a window, driven by the DevTools protocol over a pair of pipes."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
SECONDS = 120


class Tab:
    """A page in a running Chromium.

    Args:
        read: a file descriptor that Chromium's messages come from.
        write: one that it reads.
    """

    def __init__(self, read: int, write: int):
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self._session = None
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.command("Page.enable")
        self.command("Runtime.enable")

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        """Goes to an address, in a window of so many CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2, mobile=width < 600,
        )  # fmt: skip
        self.command("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """Returns the value of an expression of JavaScript, awaited if it is a promise."""
        result = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            thrown = result["exceptionDetails"]
            raise RuntimeError(thrown.get("exception", {}).get("description", thrown["text"]))
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Waits until an expression of JavaScript is true; fails with what the page then says."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError):  # the page may not be there yet
                if self.evaluate(condition):
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{condition} is not so; {self.evaluate('document.body.innerText')}")

    def choose(self, selector: str, path: Path) -> None:
        """Chooses a file in a file picker."""
        root = self.command("DOM.getDocument")["root"]["nodeId"]
        found = self.command("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.command("DOM.setFileInputFiles", nodeId=found, files=[str(path)])

    def type(self, text: str) -> None:
        """Types a text where the focus is."""
        self.command("Input.insertText", text=text)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses and lets go of a key, by its name and its code in Windows."""
        values = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **values)
        self.command("Input.dispatchKeyEvent", type="keyUp", **values)

    def dark(self, is_dark: bool) -> None:
        """Lets the user prefer a dark page."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """Writes the whole page as a PNG."""
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command of the protocol and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self):
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], SECONDS)[0]:
                raise TimeoutError("Chromium does not answer.")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise ConnectionError("Chromium has ended.")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def chromium(more: Sequence[str] = ()) -> Iterator[Tab]:
    """Runs Chromium with an empty profile, and more options if any are given."""
    from_chromium, to_us = os.pipe()
    to_chromium, from_us = os.pipe()
    options = ["--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", *more]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # which refuses to be set up by root
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # It reads from descriptor 3 and writes to 4.
        script = f'exec "$0" "$@" 3<&{to_chromium} 4>&{to_us}'
        command = ["bash", "-c", script, EXECUTABLE, *options, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            command, pass_fds=(to_chromium, to_us), stderr=subprocess.DEVNULL
        )
        os.close(to_chromium)
        os.close(to_us)
        try:
            yield Tab(from_chromium, from_us)
        finally:
            os.close(from_us)  # at which it ends
            process.wait(SECONDS)
            os.close(from_chromium)
