"""Receives what visitors send. Only an upload that has arrived as a whole takes a place to be worked on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from auscult.serve.capacity import Room, Turns, household
from auscult.serve.upload import MOST_BYTES, BadUpload, Busy, TooLarge

MOST_FORM_BYTES = 10**5
MOST_BYTES_AT_ONCE = 10 * MOST_BYTES  # of all visitors together
MOST_WAITING = 200  # for a place
PATIENCE = 10.0  # seconds that any upload may take
LEAST_PACE = 4000  # bytes a second of uploads that take longer
LONGEST = 120.0  # seconds at any pace
Made = TypeVar("Made")


class Reception:
    """What the visitors of one site share.

    Args:
        places: how many uploads are worked on at once.
    """

    def __init__(self, places: int) -> None:
        self.memory = Room(MOST_BYTES_AT_ONCE)
        self.turns = Turns(places, MOST_WAITING)


class Arrival:
    """A request's body, while it arrives and until it has been worked on.

    Args:
        request: its body has not been read yet.
        memory: the room that holds the body.
    """

    def __init__(self, request: Request, memory: Room) -> None:
        self.request, self.memory, self.address = request, memory, address_of(request)
        self.is_complete = self.was_crowded_out = False
        self.deadline = asyncio.timeout(PATIENCE)

    def may_leave(self) -> bool:
        """Whether the upload is not complete yet."""
        return not self.is_complete

    def leave(self) -> None:
        """Ends the upload, to make room for another one."""
        self.was_crowded_out = True
        if not self.deadline.expired():
            self.deadline.reschedule(asyncio.get_running_loop().time())

    async def content(self, most: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: it has more than `most` bytes; the rest is not waited for.
            BadUpload: it comes too slowly, or does not come as a whole.
            Busy: others need the memory more.
        """
        if int(self.request.headers.get("content-length", 0)) > most:
            raise TooLarge(most)
        started, content = asyncio.get_running_loop().time(), bytearray()
        try:
            async with self.deadline:
                async for chunk in self.request.stream():
                    content += chunk
                    if len(content) > most:
                        raise TooLarge(most)
                    self.memory.take(self, len(chunk))
                    if not self.was_crowded_out:
                        self.deadline.reschedule(started + min(LONGEST, PATIENCE + len(content) / LEAST_PACE))
        except TimeoutError as error:
            if self.was_crowded_out:
                raise Busy() from error
            raise BadUpload("This took too long to arrive; send a shorter one, or try again.") from error
        except ClientDisconnect as error:
            raise BadUpload("This did not arrive as a whole; send it again.") from error
        self.is_complete = True
        return bytes(content)


@asynccontextmanager
async def received(request: Request, most: int) -> AsyncIterator[bytes]:
    """Yields the body of a request, and frees its memory after that; see `Arrival.content`."""
    memory = request.app.state.reception.memory
    arrival = Arrival(request, memory)
    try:
        yield await arrival.content(most)
    finally:
        memory.forget(arrival)


async def made_of_upload(request: Request, make: Callable[[bytes], Made], visitor: str = "") -> Made:
    """Calls a function with an uploaded recording, in a thread. A few are worked on at once; the others wait.

    Args:
        visitor: who sent it, where the page can tell visitors of one address apart.

    Raises:
        BadUpload: the recording is too large or comes too slowly, or too many wait.
    """
    async with received(request, MOST_BYTES) as content:
        return await made_in_turn(request, request.app.state.reception.turns, partial(make, content), visitor)


async def made_in_turn(request: Request, turns: Turns, make: Callable[[], Made], visitor: str = "") -> Made:
    """Calls a function in a thread, when it is this visitor's turn.

    Raises:
        BadUpload: the visitor has gone.
        Busy: too many wait.
    """
    async with turns.turn(address_of(request), visitor):
        if await request.is_disconnected():
            raise BadUpload("Nobody waits for an answer any more.")
        return await run_in_threadpool(make)


async def form_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        BadUpload: something else was sent.
    """
    async with received(request, MOST_FORM_BYTES) as content:
        try:
            form = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadUpload("This is not a filled form.") from error
    if not isinstance(form, dict):
        raise BadUpload("This is not a filled form.")
    return form


def address_of(request: Request) -> str:
    """The address that a request comes from, or that a proxy on this machine names; see `household`."""
    return household(request.client.host if request.client else "")
