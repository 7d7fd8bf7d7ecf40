import asyncio
import os
import time
from pathlib import Path

import pytest
from manager import Manager, manager
from stage import on_loop

from supervisor.systemd.notify import MOST_WAITING, NotifySocket, address_of


def socket_to(address: str, warned: list[str]) -> NotifySocket:
    name = address_of(address)
    assert name is not None
    return NotifySocket(asyncio.get_running_loop(), name, warn=warned.append)


async def heard(unit: Manager, last: str) -> None:
    """Wait until a message has come, while the loop goes on."""
    give_up_at = time.monotonic() + 60
    while last not in unit.hear():
        assert time.monotonic() < give_up_at, unit.messages
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("kind", ["path", "abstract"])
@on_loop
async def test_says_lines_to_a_path_and_to_an_abstract_name(kind: str, tmp_path: Path) -> None:
    with manager(tmp_path, f"@jobvisor-test-{os.getpid()}" if kind == "abstract" else None) as unit:
        said = socket_to(unit.address, [])
        said.say("RELOADING=1", "MONOTONIC_USEC=7")
        said.say("READY=1")
        assert unit.hear() == ["RELOADING=1\nMONOTONIC_USEC=7", "READY=1"]
        said.close()


@pytest.mark.parametrize("variable", ["vsock:2:1234", "notify.sock", ""])
def test_knows_what_it_cannot_reach(variable: str) -> None:
    assert address_of(variable) is None


@on_loop
async def test_what_a_full_socket_does_not_take_is_said_when_there_is_room_the_newest_of_each_kind(
    tmp_path: Path,
) -> None:
    warned: list[str] = []
    with manager(tmp_path) as unit:
        said = socket_to(unit.address, warned)
        unit.fill()
        for number in range(500):
            said.say(f"STATUS={number}")
            said.say("WATCHDOG=1")
        said.say("READY=1")
        await heard(unit, "READY=1")
        assert [each for each in unit.messages if each != "FILL=1"] == ["STATUS=499", "WATCHDOG=1", "READY=1"]
        assert not warned
        said.close()


@on_loop
async def test_a_socket_that_is_missing_is_warned_of_once_and_told_all_when_it_is_there(tmp_path: Path) -> None:
    warned: list[str] = []
    said = socket_to(str(tmp_path / "notify.sock"), warned)
    said.say("READY=1")
    said.say("STATUS=ok")
    assert warned == ["the service manager cannot be told how we are: No such file or directory"]
    with manager(tmp_path) as unit:
        said.say("WATCHDOG=1")
        assert unit.hear() == ["READY=1", "STATUS=ok", "WATCHDOG=1"]
    said.say("WATCHDOG=1")
    assert len(warned) == 2
    said.close()


@on_loop
async def test_what_waits_is_bounded(tmp_path: Path) -> None:
    said = socket_to(str(tmp_path / "notify.sock"), [])
    for number in range(1000):
        said.say(f"X_{number}=1")
    with manager(tmp_path) as unit:
        said.say("READY=1")
        await heard(unit, "READY=1")
        assert len(unit.messages) == MOST_WAITING
    said.close()
