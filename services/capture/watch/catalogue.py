"""Which capture is which, from one look at the folder to the next.

Rules. The same device and inode that still begins as what was read of it is the same capture,
whatever it is called: it has grown, or was renamed. If it begins otherwise, other content was
written over it, and that is another capture. Another file that begins as one that is gone, and is
not shorter, is that one brought again (as rsync does), or moved there. A file that is shorter than
what was read, but no different so far, is waited for. A file with several names is read once. All
others are new.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.capture.watch.entry import Entry
from services.capture.watch.listing import FILES_MAX, Found

Heads = Callable[[Found], bytes | None]  # a file's first HEAD_BYTES; None = it cannot be read
# By so many first bytes captures are looked up that were moved: a file header and that of a record
# in a pcap file. Of those that have them in common only some are compared.
KEY_BYTES, COMPARED_MAX = 40, 64


@dataclass
class Changes:
    """What became of captures between two looks."""

    new: list[Entry] = field(default_factory=list)
    moved: list[Entry] = field(default_factory=list)  # they are another file now
    replaced: list[Entry] = field(default_factory=list)  # their content is no more
    gone: list[Entry] = field(default_factory=list)
    dropped: list[Entry] = field(default_factory=list)  # forgotten, to have room for new ones
    changed: list[Entry] = field(default_factory=list)  # in size or name
    left_out: int = 0  # new, but there is no room


class Catalogue:
    """All captures of a folder that are known, the oldest first."""

    def __init__(self, heads: Heads, files_max: int = FILES_MAX) -> None:
        self.entries: dict[str, Entry] = {}
        self._heads = heads
        self._files_max = files_max
        self._by_inode: dict[tuple[int, int], Entry] = {}

    def add(self, entry: Entry) -> None:
        self.entries[entry.id] = entry
        if entry.state != "gone" or entry.place.packets:  # else its inode may be any file's by now
            self._by_inode[entry.device, entry.inode] = entry

    def rename(self, entry: Entry, key: str) -> bool:
        """Give it another id; False if that is taken."""
        if key in self.entries:
            return key == entry.id
        del self.entries[entry.id]
        entry.id = key
        self.entries[key] = entry
        return True

    def found_again(self, entry: Entry, key: str) -> Entry | None:
        """The capture of this id, if it is not there any more and `entry` begins as it does."""
        known = self.entries.get(key)
        if known is None or known is entry or known.is_here or entry.size < known.offset:
            return None
        return None if begins_so(entry.head, known.head) is False else known

    def take_over(self, entry: Entry, known: Entry) -> None:
        """The file of `entry` is that of `known` from now on."""
        self._let_go(known)
        del self.entries[entry.id]
        known.device, known.inode, known.name = entry.device, entry.inode, entry.name
        known.size, known.changed_ns, known.is_here = entry.size, entry.changed_ns, True
        known.peeked_size, known.grown_at = entry.peeked_size, entry.grown_at
        known.state, known.reason = "reading" if known.unread else "done", known.fault
        self.add(known)

    def update(self, found: Iterable[Found], now: float, now_us: int) -> Changes:
        """Compare with what was there before. now: monotonic seconds; now_us: wall clock."""
        changes = Changes()
        seen: set[Entry] = set()
        replaced: set[Entry] = set()
        unknown = []
        for each in found:
            entry = self._by_inode.get((each.device, each.inode))
            if entry in seen:
                continue  # another name of it
            if entry is not None and self._is_same(entry, each):
                seen.add(entry)
                note(entry, each, now, changes)
                continue
            unknown.append(each)
            if entry is not None:
                replaced.add(entry)
        self._enter(unknown, seen, changes, now, now_us)
        for entry in self.entries.values():
            if entry.is_here and entry not in seen:
                entry.is_here = False
                (changes.replaced if entry in replaced else changes.gone).append(entry)
                if not entry.place.packets:  # its inode may be another file's any time
                    self._let_go(entry)
        return changes

    def _let_go(self, entry: Entry) -> None:
        """Of its inode, if that is not another one's already."""
        if self._by_inode.get((entry.device, entry.inode)) is entry:
            del self._by_inode[entry.device, entry.inode]

    def _is_same(self, entry: Entry, found: Found) -> bool:
        if found.stranger or entry.is_stranger:
            return bool(found.stranger) == entry.is_stranger
        is_untouched = (found.size, found.changed_ns) == (entry.size, entry.changed_ns)
        if not entry.head or (is_untouched and not entry.is_unclear):
            return True
        now = self._heads(found)
        answer = None if now is None else begins_so(now, entry.head)
        entry.is_unclear = answer is None
        return answer is not False

    def _enter(
        self, unknown: list[Found], seen: set[Entry], changes: Changes, now: float, now_us: int
    ) -> None:
        """Files whose inode says nothing: brought again, or new."""
        known = self.entries.values() if unknown else ()
        absent = Absent(each for each in known if each not in seen)
        for each in unknown:
            entry = self._brought_again(each, absent)
            if entry is not None:
                absent.remove(entry)
                self._let_go(entry)
                entry.device, entry.inode = each.device, each.inode
                self.add(entry)
                changes.moved.append(entry)
                note(entry, each, now, changes)
            elif self._make_room(changes):
                entry = new_entry(each, now, now_us)
                self.add(entry)
                changes.new.append(entry)
            else:
                changes.left_out += 1
                continue
            seen.add(entry)

    def _brought_again(self, found: Found, absent: "Absent") -> Entry | None:
        if found.stranger or not absent.any or (head := self._heads(found)) is None:
            return None
        for entry in absent.like(found.name, head):
            if found.size >= entry.offset and begins_so(head, entry.head):
                return entry
        return None

    def _make_room(self, changes: Changes) -> bool:
        """Forget one that is not there any more, if there are too many."""
        if len(self.entries) < self._files_max:
            return True
        for entry in self.entries.values():
            if not entry.is_here and entry.opened is None:
                del self.entries[entry.id]
                self._let_go(entry)
                changes.dropped.append(entry)
                return True
        return False


class Absent:
    """Captures whose file was not found, by name and by how they begin, the newest first."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.any: dict[str, Entry] = {}
        self._named: dict[str, Entry] = {}
        self._alike: dict[bytes, list[Entry]] = {}
        for entry in entries:
            if entry.head and not entry.is_stranger:
                self.any[entry.id] = self._named[entry.name] = entry
                self._alike.setdefault(entry.head[:KEY_BYTES], []).append(entry)

    def like(self, name: str, head: bytes) -> list[Entry]:
        """Those that a file of this name, which begins so, might be."""
        named = self._named.get(name)
        alike = self._alike.get(head[:KEY_BYTES], []) if len(head) >= KEY_BYTES else []
        found = [*([named] if named else []), *reversed(alike[-COMPARED_MAX:])]
        return [each for each in found if each.id in self.any]

    def remove(self, entry: Entry) -> None:
        del self.any[entry.id]


def begins_so(now: bytes, head: bytes) -> bool | None:
    """Whether what begins with `now` is what began with `head`; None = too short to tell."""
    if now.startswith(head):
        return True
    return None if head.startswith(now) else False


def note(entry: Entry, found: Found, now: float, changes: Changes) -> None:
    """What a look shows of a capture that is known."""
    if found.size != entry.size:
        entry.grown_at = now
    if found.name != entry.name:
        entry.is_renamed = entry.is_renamed or entry.offset > 0
    if (found.size, found.name) != (entry.size, entry.name) or not entry.is_here:
        changes.changed.append(entry)
    if found.changed_ns != entry.changed_ns:
        entry.retry_at = entry.retry_s = 0.0  # what it could not be read for may be over
    entry.name, entry.size, entry.changed_ns = found.name, found.size, found.changed_ns
    entry.is_here = True


def new_entry(found: Found, now: float, now_us: int) -> Entry:
    entry = Entry(
        id=f"{found.device:x}-{found.inode:x}-{now_us:x}",
        name=found.name,
        device=found.device,
        inode=found.inode,
        size=found.size,
        changed_ns=found.changed_ns,
        found_us=now_us,
        changed_us=now_us,
        grown_at=now,
    )
    if found.stranger:
        entry.state, entry.reason, entry.is_stranger = "rejected", found.stranger, True
    return entry
