"""How visitors share what is scarce. When it runs out, the address that has the most of it makes room.

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
    """One name for all addresses that one visitor can have: those of this machine, or of a network of IPv6."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return address
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return "this machine"
    return str(ip) if ip.version == 4 else str(ip_network(f"{ip}/64", strict=False))


class Guest(Protocol):
    """Something of a visitor's that takes room.

    Args:
        address: the visitor's.
    """

    address: str

    def may_leave(self) -> bool:
        """Whether it can make room for others now."""

    def leave(self) -> None:
        """Makes room soon."""


class Room:
    """Something scarce, such as memory, that guests take until there is no more.

    Args:
        most: how much all guests may have together.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.totals: dict[str, int] = {}
        self.guests: dict[str, dict[Guest, int]] = {}  # by address; the longest silent guest comes first

    def take(self, guest: Guest, amount: int) -> None:
        """Gives a guest more. If that is too much, the longest silent guests of the fullest address leave."""
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
    """Places to work at. Addresses take turns; visitors of one address do so, too, if the page can tell them apart.

    Args:
        places: how many may work at once.
        most: how many may wait.
    """

    def __init__(self, places: int, most: int) -> None:
        self.free, self.most = places, most
        # address -> visitor -> places that are waited for; whose turn it is comes first
        self.waiting: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}

    @asynccontextmanager
    async def turn(self, address: str, visitor: str = "") -> AsyncIterator[None]:
        """Waits for a place, and holds it.

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
            self._turn_away()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pass_on()
            raise

    def _turn_away(self) -> None:
        """Refuses the last place of the visitor who waits for most, at the address that does; of equals, the newest."""
        address = max(reversed(self.waiting), key=self._count)
        visitors = self.waiting[address]
        visitor = max(reversed(visitors), key=lambda name: len(visitors[name]))
        visitors[visitor].pop().set_exception(Busy())
        if not visitors[visitor]:
            del visitors[visitor]
        if not visitors:
            del self.waiting[address]

    def _count(self, address: str) -> int:
        return sum(map(len, self.waiting[address].values()))

    def _pass_on(self) -> None:
        while self.waiting:
            place = self._next()
            if not place.done():  # else it was cancelled
                return place.set_result(None)
        self.free += 1

    def _next(self) -> "asyncio.Future[None]":
        """Takes the place whose turn it is out of the line. Others of its visitor and its address go to the end."""
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
