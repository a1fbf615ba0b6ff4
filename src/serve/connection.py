"""A visitor's connection, which has limits of time. uvicorn's own would wait for an idle visitor for ever."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from auscult.serve.capacity import Room, household

ASKING_SECONDS = 10.0  # for the head of a request; `reception` limits the time for its body
READING_SECONDS = 60.0  # for reading an answer
LAST_SECONDS = 2.0  # for reading an answer to a request that did not arrive as a whole


class Connection(H11Protocol):
    """A connection with limited time and a place in a room.

    Args:
        room: the places for connections.
        options: what uvicorn gives every connection.
    """

    def __init__(self, room: Room, **options: Any) -> None:
        super().__init__(**options)
        self.room, self.address = room, ""
        self.idle_since = self.read_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a place in the room."""
        super().connection_made(Line(transport, self))  # type: ignore[arg-type]
        self.address = household(self.client[0] if self.client else "")
        self.room.take(self, 1)

    def data_received(self, data: bytes) -> None:
        """Notes that the client is not silent, and reads on."""
        self.room.take(self, 0)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives the place in the room back."""
        self.room.forget(self)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Goes on with the next request. Closes if this one did not arrive as a whole: nobody wants its rest."""
        self.idle_since = self.loop.time()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def shutdown(self) -> None:
        """Ends at once, unless an answer is being made or read."""
        if self.is_answered():
            super().shutdown()
        else:
            self.transport.abort()

    def is_answered(self) -> bool:
        """Whether a request has arrived as a whole, and its answer is not complete."""
        is_made = self.cycle is not None and not self.cycle.response_complete
        return is_made and self.conn.their_state is not h11.SEND_BODY

    def may_leave(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self.is_answered()

    def leave(self) -> None:
        """Ends the connection at once, to make room for another one."""
        self.transport.abort()

    def check(self) -> None:
        """Ends the connection if the visitor asks nothing, or does not read the answer, for too long."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self.read_since = now
        is_idle = self.conn.their_state is h11.IDLE and now - self.idle_since > ASKING_SECONDS
        if is_idle or now - self.read_since > READING_SECONDS:
            self.transport.abort()


class Line:
    """A transport that sends what is left before it closes, and reads nothing more meanwhile.

    If a socket is closed while data comes in, the visitor gets an error at once, and may never read the answer.
    """

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self.transport, self.connection = transport, connection
        self.is_ending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def is_closing(self) -> bool:
        """Whether the transport is about to close."""
        return self.is_ending or self.transport.is_closing()

    def resume_reading(self) -> None:
        """Reads on, unless the transport is about to close."""
        if not self.is_ending:
            self.transport.resume_reading()

    def close(self) -> None:
        """Ends the connection once the answer is sent."""
        if self.is_closing():
            return
        if self.connection.conn.their_state not in (h11.SEND_BODY, h11.ERROR):
            return self.transport.close()
        self.is_ending = True
        self.transport.pause_reading()
        self.transport.write_eof()
        self.connection.loop.call_later(LAST_SECONDS, self.transport.abort)
