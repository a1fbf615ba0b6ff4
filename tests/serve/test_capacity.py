"""What visitors share, and who makes room."""

import asyncio
from dataclasses import dataclass, field

import pytest

from auscult.serve.capacity import Room, Turns, household
from auscult.serve.upload import Busy


@dataclass(eq=False)
class Visitor:
    address: str
    is_busy: bool = False
    has_left: bool = field(default=False, init=False)

    def may_leave(self) -> bool:
        return not self.is_busy

    def leave(self) -> None:
        self.has_left = True


def left(visitors: list[Visitor]) -> list[bool]:
    return [visitor.has_left for visitor in visitors]


def test_the_fullest_address_makes_room_for_others():
    room, crowd, guest = Room(10), [Visitor("a") for _ in range(10)], Visitor("b")
    for visitor in [*crowd, guest]:
        room.take(visitor, 1)
    assert left(crowd) == [True] + 9 * [False] and not guest.has_left and room.taken == 10


def test_all_of_one_address_may_take_all_and_the_longest_silent_leaves():
    room, crowd = Room(50), [Visitor("proxy") for _ in range(50)]
    for visitor in crowd:
        room.take(visitor, 1)
    assert not any(left(crowd))
    room.take(crowd[0], 0)  # it says something
    late = Visitor("proxy")
    room.take(late, 1)
    assert [crowd.index(visitor) for visitor in crowd if visitor.has_left] == [1] and not late.has_left


def test_who_is_answered_stays_and_if_all_are_the_newcomer_leaves():
    room, crowd, late = Room(3), [Visitor("a", is_busy=True) for _ in range(3)], Visitor("a")
    for visitor in [*crowd, late]:
        room.take(visitor, 1)
    assert not any(left(crowd)) and late.has_left and room.taken == 3


def test_room_is_given_back():
    room, one, other = Room(10), Visitor("a"), Visitor("b")
    for _ in range(100):
        room.take(one, 4)
        room.take(one, 4)
        room.take(other, 2)
        room.forget(one)
        room.forget(other)
        room.forget(other)
    assert room.taken == 0 and not room.guests and not room.totals and not one.has_left and not other.has_left


def test_turns_go_from_address_to_address():
    async def run() -> list[str]:
        turns, order = Turns(1, 100), []

        async def visit(address: str) -> None:
            async with turns.turn(address):
                order.append(address)
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(address) for address in [*5 * ["a"], "b", "c", "b"]))
        assert turns.free == 1 and not turns.waiting
        return order

    assert "".join(asyncio.run(run())) == "aabcabaa"


def test_turns_of_an_address_go_from_visitor_to_visitor():
    async def run() -> list[str]:
        turns, order = Turns(1, 100), []

        async def visit(address: str, visitor: str) -> None:
            async with turns.turn(address, visitor):
                order.append(address + visitor)
                await asyncio.sleep(0)

        guests = [*6 * [("a", "1")], ("a", "2"), *3 * [("b", "3")], ("a", "2")]
        await asyncio.gather(*(visit(*guest) for guest in guests))
        assert turns.free == 1 and not turns.waiting
        return order

    assert " ".join(asyncio.run(run())) == "a1 a1 b3 a2 b3 a1 b3 a2 a1 a1 a1"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.3.4.5", True), ("::1", "127.0.0.1", True), ("::ffff:127.0.0.9", "127.0.0.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("10.0.0.1", "10.0.0.2", False), ("10.0.0.1", "::ffff:10.0.0.1", True), ("fe80::1%eth0", "fe80::2", True),
        ("", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_who_has_many_addresses_is_one(one, other, same):
    assert (household(one) == household(other)) == same


@pytest.mark.parametrize(
    ("visits", "served"),
    [
        (["a", "a", "a", "a", "b"], ["a", "a", "a", Busy, "b"]),
        (["a", "b", "c", "d", "e", "f"], ["a", "b", "c", "d", Busy, Busy]),  # all wait for one each: the newest goes
        (["a1", "a2", "a3", "a4", "a5", "b1"], ["a1", "a2", "a3", Busy, Busy, "b1"]),
    ],
)
def test_where_too_many_wait_the_last_of_the_fullest_address_goes(visits, served):
    async def run() -> list[object]:
        turns = Turns(1, 3)

        async def visit(name: str) -> str:
            async with turns.turn(name[0], name[1:]):
                await asyncio.sleep(0)
                return name

        outcomes = await asyncio.wait_for(
            asyncio.gather(*(visit(name) for name in visits), return_exceptions=True), timeout=60
        )
        assert turns.free == 1 and not turns.waiting
        return outcomes

    outcomes = asyncio.run(run())
    assert [one if isinstance(one, str) else type(one) for one in outcomes] == served


def test_who_gives_up_takes_no_turn():
    async def run() -> None:
        turns = Turns(1, 10)
        async with turns.turn("a"):
            waiting = [asyncio.create_task(turns.turn(address).__aenter__()) for address in "ab"]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        await waiting[1]
        assert turns.free == 0 and not turns.waiting
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]

    asyncio.run(run())
