"""The server, which lets visitors in while there is room, and closes when the program is told to end."""

import asyncio
import logging
import resource
import signal
import socket
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from auscult.machine import interruption
from auscult.serve.bounded_log import BoundedLog
from auscult.serve.capacity import Room
from auscult.serve.connection import Connection

MOST_CONNECTIONS = 1000
WAITING_OUTSIDE = 2048  # visitors whom the operating system has not handed over yet
ENDING_SECONDS = 5  # for answers that are being made when the program is told to end


class LimitedServer(uvicorn.Server):
    """A server whose connections have limits, and which ends within seconds.

    Args:
        app: the application that is served.
    """

    def __init__(self, app: FastAPI) -> None:
        most = most_connections()
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=partial(Connection, Room(most)),  # type: ignore[arg-type]
            ws="none",
            proxy_headers=app.state.is_behind_proxy,  # without a proxy, anybody could pose as many visitors
            log_level="warning",
            backlog=max(1, most // 10),  # asyncio lets in so many before any of them is counted
            timeout_graceful_shutdown=ENDING_SECONDS,
        )
        super().__init__(config)
        self.signal: int | None = None  # the one that ended the server
        for name in ("uvicorn.error", "asyncio"):
            logging.getLogger(name).addFilter(BoundedLog())

    def serve_at(self, door: socket.socket) -> NoReturn:
        """Serves until it is told to end.

        Raises:
            Interrupted: a signal ended the server.
        """
        self.run([door])
        raise interruption.Interrupted(signal.Signals(self.signal or signal.SIGINT))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens. More visitors may wait outside than asyncio lets in at once; it has one number for both."""
        await super().startup(sockets)
        for door in sockets or []:
            door.listen(WAITING_OUTSIDE)

    async def on_tick(self, counter: int) -> bool:
        """Looks after the connections once a second."""
        if counter % 10 == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Notes the signal, and ends. uvicorn would raise the signal once more, in the middle of its event loop."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit, self.signal = True, sig

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends without threads that go on, such as one that explains. Python would wait for them."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # connections are now cut off on purpose
        await super().shutdown(sockets)
        await asyncio.sleep(0.1)  # until cancelled tasks have ended
        if any(not task.done() for task in self.server_state.tasks):
            interruption.end(signal.Signals(self.signal or signal.SIGINT))


def most_connections() -> int:
    """How many connections there may be, if every second descriptor is for files. Raises the limit of descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * MOST_CONNECTIONS
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MOST_CONNECTIONS, soft // 2)
