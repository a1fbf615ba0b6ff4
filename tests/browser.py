import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import axe_core_python
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Headless Chromium, spoken to in the DevTools protocol over a pair of pipes."""

    def __init__(self, program: str, profile: Path | str, *more: str) -> None:
        commands, self.writer = os.pipe()
        reader, answers = os.pipe()
        options = f"--headless=new --no-sandbox --disable-gpu --mute-audio --user-data-dir={profile} {' '.join(more)}"
        command = f"exec {program} {options} --remote-debugging-pipe 3<&{commands} 4>&{answers}"
        pipes = (commands, answers)
        self.process = subprocess.Popen(["bash", "-c", command], pass_fds=pipes, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.reader, self.unread, self.sent = os.fdopen(reader, "rb"), b"", 0
        self.session: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        page = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> Any:
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters, **self.session}
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.sent:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def receive(self) -> dict[str, Any]:
        while b"\0" not in self.unread:
            self.unread += self.reader.read1() or pytest.fail("the browser has gone")
        message, _, self.unread = self.unread.partition(b"\0")
        return dict(json.loads(message))

    def open(self, place: Path | str) -> None:
        loaded = len(self.of("Page.loadEventFired"))
        self("Page.navigate", url=place if isinstance(place, str) else place.as_uri())
        while len(self.of("Page.loadEventFired")) == loaded:
            self.events.append(self.receive())

    def run(self, script: str) -> Any:
        """What an asynchronous function with this body returns, as if a person had started it."""
        how = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self("Runtime.evaluate", expression=f"(async () => {{ {script} }})()", **how)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def violations(self) -> list[list[str]]:
        """What axe-core finds to be wrong with the page for people who do not see, hear or click."""
        axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
        found = "const found = await axe.run(document, {resultTypes: ['violations']});"
        script = f"{axe}\n;{found} return found.violations.map((each) => [each.id, each.nodes[0].html]);"
        return list(self.run(script))

    def of(self, *methods: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event["method"] in methods]
