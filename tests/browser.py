import json
import os
import shutil
import subprocess
from pathlib import Path

import axe_core_python
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Headless Chromium, spoken to in the DevTools protocol over a pair of pipes."""

    def __init__(self, program, profile, *more):
        commands, self.writer = os.pipe()
        reader, answers = os.pipe()
        options = f"--headless=new --no-sandbox --disable-gpu --mute-audio --user-data-dir={profile} {' '.join(more)}"
        command = f"exec {program} {options} --remote-debugging-pipe 3<&{commands} 4>&{answers}"
        inherited = {"pass_fds": (commands, answers), "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["bash", "-c", command], **inherited)
        os.close(commands)
        os.close(answers)
        self.reader, self.unread, self.sent, self.session, self.events = os.fdopen(reader, "rb"), b"", 0, {}, []
        page = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method, **parameters):
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters, **self.session}
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.sent:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def receive(self):
        while b"\0" not in self.unread:
            self.unread += self.reader.read1() or pytest.fail("the browser has gone")
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def open(self, place):
        loaded = len(self.of("Page.loadEventFired"))
        self("Page.navigate", url=place if isinstance(place, str) else place.as_uri())
        while len(self.of("Page.loadEventFired")) == loaded:
            self.events.append(self.receive())

    def run(self, script):
        """What an asynchronous function with this body returns, as if a person had started it."""
        how = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self("Runtime.evaluate", expression=f"(async () => {{ {script} }})()", **how)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def violations(self):
        """What axe-core finds to be wrong with the page for people who do not see, hear or click."""
        axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
        found = "const found = await axe.run(document, {resultTypes: ['violations']});"
        return self.run(f"{axe}\n;{found} return found.violations.map((each) => [each.id, each.nodes[0].html]);")

    def of(self, *methods):
        return [event["params"] for event in self.events if event["method"] in methods]
