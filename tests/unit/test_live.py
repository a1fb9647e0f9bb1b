"""An interface as a source: what it says while its device comes and goes, without any interface."""

import errno
import math
from collections.abc import Sequence

import numpy as np
import pytest

from services.capture import interfaces, live
from services.capture.device import Growing, Seen
from services.capture.interfaces import check_interface, printable, table
from services.capture.live import RETRY_MAX_S, RETRY_S, SPARE_S, LiveSource
from services.capture.live_pcap import kernel_filter
from services.capture.live_ring import NoRingError, filter_of
from services.capture.source import EMPTY_BATCH, Batch
from shared.columns import RECORD
from shared.errors import UserError
from shared.settings import Settings

GONE = OSError(errno.ENODEV, "the interface is gone")


class Device:
    """Gives batches of so many records; an error is raised. What it counted is set by hand."""

    def __init__(self, *gives: int | OSError) -> None:
        self.gives = list(gives)
        self.count = Seen(0, 0, 0)
        self.closings = 0

    def read(self) -> Batch:
        give = self.gives.pop(0) if self.gives else 0
        if isinstance(give, OSError):
            raise give
        return EMPTY_BATCH._replace(records=np.zeros(give, RECORD))

    def fileno(self) -> int:
        return 77

    def has_more(self) -> bool:
        return False

    def seen(self) -> Seen:
        return self.count

    def close(self) -> None:
        self.closings += 1


class Now:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic(self) -> float:
        return self.s


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    hands = Now()
    monkeypatch.setattr(live, "time", hands)
    return hands


def source_of(
    monkeypatch: pytest.MonkeyPatch, opened: Sequence[Device | Exception], **given: object
) -> LiveSource:
    """A source whose devices are these, one after the other; an error is raised instead."""
    waiting = iter(opened)

    def open_next(name: str, index: int, settings: Settings) -> Device:
        device = next(waiting)
        if isinstance(device, Exception):
            raise device
        return device

    monkeypatch.setattr(live, "open_ring", open_next)
    monkeypatch.setattr(live, "open_pcap", open_next)
    return LiveSource("eth9", 0, Settings.model_validate({"iface": ["eth9"], **given}))


def test_it_waits_for_an_interface_that_went_away(
    now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First what the device still has, then attempts at growing intervals, then the new one."""
    first, second = Device(3, GONE, 2), Device(1)
    source = source_of(monkeypatch, [first, *[GONE] * 8, second])
    source.open()
    assert source.state.status == "waiting"
    sizes = [batch.records.size for batch in (source.read(), source.read()) if batch]
    assert (sizes, source.state.status, source.state.trouble) == (
        [3, 0],
        "waiting",
        "the interface is gone",
    )
    assert source.descriptors() == []
    last = source.read()
    assert last is not None
    assert last.records.size == 2
    assert first.closings == 0
    now.s += 0.1 + SPARE_S + 0.01
    source.read()
    assert first.closings == 1
    waits = []
    state = source.state
    while state.status == "waiting":
        waits.append(source.due() - now.s)
        now.s = source.due()
        source.read()
        if source.descriptors():
            source.read()
    assert len(waits) == 9
    assert all(wait <= RETRY_MAX_S for wait in waits)
    assert waits[1:5] == [2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S, 16 * RETRY_S]
    assert waits[-1] == RETRY_MAX_S
    assert [state.status, state.trouble, state.packets] == ["reading", "", 6]
    source.close()
    assert second.closings == 1
    assert (source.read(), source.state.status, source.due()) == (None, "done", math.inf)


def test_drops_are_totals_over_all_devices(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Device(4, 0, GONE), Device(5, 0)
    source = source_of(monkeypatch, [first, second])
    source.open()
    source.read()
    assert source.state.last_drop_us == 0
    first.count = Seen(7, 3, 1)
    now.s += 1
    source.read()
    assert (source.state.dropped_kernel, source.state.dropped_interface) == (3, 1)
    assert source.state.last_drop_us > 0
    for _ in range(3):
        source.read()
        now.s += 1
    second.count = Seen(15, 10, 0)
    source.read()
    source.read()
    source.close()
    state = source.state
    assert (state.packets, state.dropped_kernel, state.dropped_interface) == (9, 13, 1)
    assert state.dropped_ours == 0


def test_what_was_not_read_at_the_end_is_counted(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(4)
    source = source_of(monkeypatch, [device])
    source.open()
    device.count = Seen(10, 2, 0)
    assert source.held()
    source.read()
    assert source.held()
    device.count = Seen(6, 2, 0)
    assert not source.held()
    device.count = Seen(9, 2, 0)
    source.close()
    assert source.state.dropped_ours == 3


def test_without_a_ring_libpcap_reads(now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(monkeypatch, [NoRingError("not here"), Device(1)])
    source.open()
    assert source.read() is not None
    with pytest.raises(UserError, match="--capture-backend ring, --iface eth9: not here; pcap"):
        source_of(monkeypatch, [NoRingError("not here")], capture_backend="ring").open()


# ---------------------------------------------------------------------------------- filters
@pytest.mark.parametrize(
    ("expression", "link", "told"),
    [
        ("tcp", 1, "(tcp) or vlan"),
        ("vlan 5 and tcp", 1, "vlan 5 and tcp"),
        ("host vlan5.test", 1, "(host vlan5.test) or vlan"),
        ("tcp", 101, "tcp"),
    ],
)
def test_what_libpcap_is_told(expression: str, link: int, told: str) -> None:
    assert kernel_filter(expression, link) == told


def test_the_program_of_the_ring_is_the_filter_behind_what_the_kernel_knows() -> None:
    """Jumps stay inside, every way ends; without a filter only the length is cut."""
    plain = filter_of(Settings(capture_snaplen=100), 1, False)
    assert plain == [(6, 0, 0, 100)]
    told = Settings(capture_filter="udp port 53")
    for is_loopback in (False, True):
        program = filter_of(told, 1, is_loopback)
        for at, (code, jt, jf, _) in enumerate(program):
            if code & 7 == 5:
                assert at + 1 + max(jt, jf) < len(program)
        assert program[-1][0] & 7 == 6


# ------------------------------------------------------------------------------- interfaces
def test_counters_of_32_bits_do_not_wrap() -> None:
    counts = Growing(2)
    assert counts.take([5, (1 << 32) - 1]) == [5, (1 << 32) - 1]
    assert counts.take([7, 3]) == [7, (1 << 32) + 3]


def test_a_name_that_is_none() -> None:
    with pytest.raises(UserError, match=r"--iface \x5bno: no such interface; there are .*lo"):
        check_interface("[no")
    check_interface("lo")


def test_names_reach_no_terminal_unfiltered() -> None:
    assert printable("eth0\x1b[31m\n") == "eth01b[31m0a"
    assert printable("wlan\u00e9") == "wlan\u00e9"


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        interfaces,
        "interfaces",
        lambda: [
            interfaces.Interface("a", 0x41, ["10.0.0.1/8", "::1/128"], "Ethernet, x"),
            interfaces.Interface("longer\x1b", 0, [], ""),
        ],
    )
    assert table().splitlines() == [
        "NAME      FLAGS       ADDRESSES           DESCRIPTION",
        "a         up running  10.0.0.1/8 ::1/128  Ethernet, x",
        "longer1b  -           -",
    ]
