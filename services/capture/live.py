"""Live capture: an interface as a source that goes on until somebody stops it.

`LiveSource` opens a device, and opens it again when the interface went down or away and came back,
which is tried at growing intervals. What the system dropped is kept as
totals over all of that.
"""

import logging
import math
import time

import numpy as np

from services.capture.bpf import CaptureFilter
from services.capture.device import Device, Seen
from services.capture.interfaces import check_interface
from services.capture.live_pcap import open_pcap
from services.capture.live_ring import NoRingError, open_ring
from services.capture.source import EMPTY_BATCH, Batch, SourceState
from shared.errors import UserError
from shared.settings import Settings

log = logging.getLogger(__name__)

RETRY_S, RETRY_MAX_S = 0.25, 5.0
COUNT_S = 0.2  # between two looks at what was dropped
SPARE_S = 0.1  # after the read timeout, for the last packets of a device that went down


def open_interfaces(settings: Settings, index: int) -> list["LiveSource"]:
    """A source for every interface. UserError: there is none of that name, no permission, or the
    filter is none."""
    if settings.iface and settings.capture_filter:
        CaptureFilter(settings.capture_filter)  # says what is wrong with it, and where
    found = []
    for number, name in enumerate(dict.fromkeys(settings.iface)):
        check_interface(name)
        source = LiveSource(name, index + number, settings)
        source.open()
        found.append(source)
    return found


class LiveSource:
    """A PacketSource over one interface."""

    def __init__(self, name: str, index: int, settings: Settings) -> None:
        self.state = SourceState(name, "live", is_open_ended=True, is_live=True)
        self._index, self._settings = index, settings
        self._told = ""  # why there is no ring
        self._device: Device | None = None
        self._ended = False
        self._taken = 0  # packets of this device
        self._before = Seen(0, 0, 0)  # on devices before this one
        self._retry_s, self._retry_at = RETRY_S, math.inf
        self._count_at = 0.0
        self._close_at = math.inf  # when what a lost device still holds has been read

    def open(self) -> None:
        """Begin to capture. UserError if that is not allowed, OSError if it is not there now."""
        self._device = self._open_device()
        self._taken = 0
        self._count_at, self._close_at, self._retry_at = 0.0, math.inf, math.inf
        self._retry_s = RETRY_S
        self.state.trouble = ""

    def read(self) -> Batch | None:
        """The next batch; one without records if nothing is there now; None once closed."""
        if self._ended:
            return None
        now = time.monotonic()
        if self._device is None:
            if now >= self._retry_at:
                self._retry(now)
            return EMPTY_BATCH
        if now >= self._count_at:
            self._count(now)
        if now >= self._close_at:
            self._let_go()
            return EMPTY_BATCH
        try:
            batch = self._device.read()
        except OSError as error:
            self._lose(error, now)
            return EMPTY_BATCH
        if math.isinf(self._close_at):
            self.state.status = "reading"
        self._taken += batch.records.size
        self.state.packets += batch.records.size
        self.state.bytes += int(batch.records["caplen"].sum(dtype=np.int64))
        return batch

    def descriptors(self) -> list[int]:
        return [self._device.fileno()] if self._device and math.isinf(self._close_at) else []

    def due(self) -> float:
        """When to try again, or to look at what was dropped."""
        if self._device is None:
            return self._retry_at
        return 0.0 if self._device.has_more() else min(self._count_at, self._close_at)

    def held(self) -> bool:
        """Whether the system has packets that came and were not read."""
        if self._device is None or not math.isinf(self._close_at):
            return False
        seen = self._device.seen()
        return seen.passed - seen.dropped_kernel > self._taken

    def close(self) -> None:
        """End for good."""
        self._ended = True
        if self._device is not None:
            self._let_go()
        if self.state.status in ("waiting", "reading"):
            self.state.status = "done"
        self._retry_at = math.inf

    # ------------------------------------------------------------------------ inside
    def _open_device(self) -> Device:
        """As `--capture-backend` says."""
        name, backend = self.state.name, self._settings.capture_backend
        if backend == "pcap":
            return open_pcap(name, self._index, self._settings)
        try:
            device = open_ring(name, self._index, self._settings)
        except NoRingError as error:
            if backend == "ring":
                raise UserError(
                    f"--capture-backend ring, --iface {name}: {error}; pcap can read it"
                ) from None
            if self._told != str(error):
                self._told = str(error)
                log.warning("%s: read by libpcap: there is no ring, %s", name, error)
            return open_pcap(name, self._index, self._settings)
        self.state.format = "ring"
        return device

    def _lose(self, error: OSError, now: float) -> None:
        """It went down or away; what was captured before is still to be read."""
        if math.isinf(self._close_at):
            self._close_at = now + self._settings.capture_read_timeout_ms / 1000 + SPARE_S
            self._wait(error.strerror or str(error), now)

    def _wait(self, reason: str, now: float) -> None:
        if self.state.trouble != reason:
            log.warning("%s: %s; waiting for it", self.state.name, reason)
        self.state.status, self.state.trouble = "waiting", reason
        self._retry_at = max(now + self._retry_s, self._close_at if self._device else now)
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)

    def _retry(self, now: float) -> None:
        try:
            self.open()
        except OSError as error:
            self._wait(error.strerror or str(error), now)
        else:
            log.warning("%s: is back", self.state.name)

    def _count(self, now: float) -> None:
        """Take over what the system counted."""
        assert self._device is not None
        self._count_at = now + COUNT_S
        seen, before = self._device.seen(), self._before
        self.state.drop(
            before.dropped_kernel + seen.dropped_kernel,
            before.dropped_interface + seen.dropped_interface,
        )

    def _let_go(self) -> None:
        assert self._device is not None
        self._count(time.monotonic())
        seen, before = self._device.seen(), self._before
        if not self._settings.max_packets:
            self.state.dropped_ours += max(0, seen.passed - seen.dropped_kernel - self._taken)
        self._before = Seen(*(old + new for old, new in zip(before, seen, strict=True)))
        self._device.close()
        self._device = None
