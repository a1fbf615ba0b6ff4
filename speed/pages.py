"""How long a browser needs to open a report, in headless Chromium.

    python -m speed.pages docs/example.html outputs/DATE/TIME/report.html

The time goes from the request to the second frame after everything was loaded: the clips' pictures are drawn then. In
each round an empty page is opened, too, which takes what the browser needs for itself.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.browser import CHROMIUM, Browser

FRAMES = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))));"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds is 1 or more")
    if CHROMIUM is None:
        parser.error("Chromium is not installed")
    table = Table("page", "MB", "seconds to open (least to most)", "an empty page", box=None)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser, empty = Browser(CHROMIUM, folder), Path(folder, "empty.html")
        empty.write_text("<!doctype html><title>empty</title>")
        try:
            for page in options.pages:
                rounds = [[seconds(browser, each.resolve()) for each in (page, empty)] for _ in shown(options.rounds)]
                ours, bare = zip(*rounds[1:], strict=True)  # the first round starts the browser's processes
                spread = f"{median(ours):.2f} ({min(ours):.2f} to {max(ours):.2f})"
                table.add_row(str(page), f"{page.stat().st_size / 1e6:.1f}", spread, f"{median(bare):.2f}")
        finally:
            browser.process.kill()
            browser.process.wait()
    Console().print(table)


def shown(rounds: int) -> Iterable[int]:
    return track(range(rounds + 1), console=Console(stderr=True), transient=True)


def seconds(browser: Browser, page: Path) -> float:
    """Seconds until a page is open."""
    started = time.perf_counter()
    browser.open(page)
    browser.run(FRAMES)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
