"""How visitors share what there is little of: when it runs out, the address that has the most of it makes room.

No address has a limit of its own. All visitors behind one proxy have its address, and they may take all that nobody
else needs; but one address cannot shut the others out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from typing import Protocol

from auscult.serve.upload import Busy


def household(address: str) -> str:
    """What one visitor can have any number of addresses of: this machine, or a network of IPv6."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:  # none, as of a socket of Unix
        return address
    known = getattr(known, "ipv4_mapped", None) or known
    if known.is_loopback:
        return "this machine"
    return str(known) if known.version == 4 else str(ip_network(f"{known}/64", strict=False))


class Guest(Protocol):
    """Something of a visitor's that takes room.

    Args:
        address: the visitor's.
    """

    address: str

    def may_leave(self) -> bool:
        """Whether it can make room for others now."""

    def leave(self) -> None:
        """Makes room, soon."""


class Room:
    """What guests take at will, such as memory, until there is no more.

    Args:
        most: that all of them have.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.totals: dict[str, int] = {}
        self.guests: dict[str, dict[Guest, int]] = {}  # of an address: the longest silent comes first

    def take(self, guest: Guest, amount: int) -> None:
        """Gives a guest more. Where that is too much, of the fullest address the longest silent guests leave."""
        own = self.guests.setdefault(guest.address, {})
        own[guest] = own.pop(guest, 0) + amount
        self.totals[guest.address] = self.totals.get(guest.address, 0) + amount
        self.taken += amount
        while self.taken > self.most:
            fullest = self.guests[max(self.totals, key=self.totals.__getitem__)]
            leaving = next((other for other in fullest if other.may_leave()), guest)
            self.forget(leaving)
            leaving.leave()

    def forget(self, guest: Guest) -> None:
        """Takes back what a guest had."""
        own = self.guests.get(guest.address, {})
        amount = own.pop(guest, 0)
        self.taken -= amount
        if own:
            self.totals[guest.address] -= amount
        else:
            self.guests.pop(guest.address, None)
            self.totals.pop(guest.address, None)


class Turns:
    """Places to work at. Who waits for one gets it in turns: an address after the other, and there a visitor after the
    other, where the page can tell them apart.

    Args:
        places: to work at once.
        most: who wait.
    """

    def __init__(self, places: int, most: int) -> None:
        self.free, self.most = places, most
        # by address and visitor: whose turn it is comes first
        self.waiting: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}

    @asynccontextmanager
    async def turn(self, address: str, visitor: str = "") -> AsyncIterator[None]:
        """Waits for a place, and has it.

        Raises:
            Busy: too many wait, and most of them for this visitor at this address.
        """
        if self.free:
            self.free -= 1
        else:
            await self._wait(address, visitor)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, address: str, visitor: str) -> None:
        place = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(address, {}).setdefault(visitor, deque()).append(place)
        if sum(map(self._count, self.waiting)) > self.most:
            own = self.waiting[max(self.waiting, key=self._count)]
            fullest = max(own, key=lambda name: len(own[name]))
            own[fullest].pop().set_exception(Busy())  # never the last one: so many wait that one has several
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pass_on()
            raise

    def _count(self, address: str) -> int:
        return sum(map(len, self.waiting[address].values()))

    def _pass_on(self) -> None:
        while self.waiting:
            place = self._next()
            if not place.done():  # else it was cancelled
                return place.set_result(None)
        self.free += 1

    def _next(self) -> "asyncio.Future[None]":
        """Takes whose turn it is out of the line; the others of the visitor and of the address go to its end."""
        address = next(iter(self.waiting))
        visitors = self.waiting.pop(address)
        visitor = next(iter(visitors))
        line = visitors.pop(visitor)
        place = line.popleft()
        if line:
            visitors[visitor] = line
        if visitors:
            self.waiting[address] = visitors
        return place
