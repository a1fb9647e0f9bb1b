"""The state file: what a team decided, in SQLite, so that it outlives any process.

Rules. One table of documents, each with a kind and an id; a change replaces the whole document, so
a change that is written twice is harmless. A thread writes: changes that come while it does are
one transaction, the newest of a document wins. A transaction is on disk when it is done (write-
ahead log, synchronous), and nothing that ends the process takes it back. What cannot be written is
said once and tried again. A file that is damaged or somebody else's is set aside, never changed.
Without a path nothing is kept.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from shared.errors import UserError

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x666C6D74  # "flmt"
VERSION = 1  # of the tables and documents
RETRY_S = 1.0
BUSY_S = 2.0  # for a coordinator that is still ending
CLOSE_S = 5.0
TABLES = """
CREATE TABLE documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""
PUT = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)"
REMOVE = "DELETE FROM documents WHERE kind = ? AND id = ?"
OPENED = "opened", ""  # kind and id
DAMAGE = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_MISMATCH")

Body = dict[str, Any]
log = logging.getLogger("coordinator")


class StateFile:
    """Documents by kind and id. path: empty = nothing is kept."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.trouble = ""  # a sentence on why changes are not being written; empty while they are
        self._waiting: dict[tuple[str, str], bytes | None] = {}
        self._closing = False
        self._changed = threading.Condition()
        self._documents: dict[str, dict[str, Body]] = {}
        if path:
            self._connection, problem = open_database(path)
            self._documents = read_documents(self._connection)
            if problem:
                self._say(problem)
                self.put(*OPENED, opened())
            self._thread = threading.Thread(target=self._work, name="state", daemon=True)
            self._thread.start()

    def load(self, kind: str) -> dict[str, Body]:
        """The documents of a kind as they were at the start, by id. Once."""
        return self._documents.pop(kind, {})

    def put(self, kind: str, key: str, body: Body | None) -> None:
        """Keep a document, or None: forget it. Returns at once."""
        if not self.path:
            return
        packed = None if body is None else orjson.dumps(body)
        with self._changed:
            self._waiting[kind, key] = packed
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, then end."""
        if not self.path:
            return
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)
        if self._waiting or self._thread.is_alive():
            log.error("--state-file %s: %d changes are lost", self.path, len(self._waiting))
        if not self._thread.is_alive():
            self._connection.close()

    # ------------------------------------------------------------------------ the thread
    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                taken, self._waiting = self._waiting, {}
            if not self._write(taken):
                with self._changed:
                    self._waiting = taken | self._waiting
                    if self._closing:
                        return
                    self._changed.wait_for(lambda: self._closing, RETRY_S)

    def _write(self, documents: dict[tuple[str, str], bytes | None]) -> bool:
        """All of them, or none."""
        import sqlite3

        kept = [(*key, body) for key, body in documents.items() if body is not None]
        gone = [key for key, body in documents.items() if body is None]
        try:
            with self._connection:
                self._connection.executemany(PUT, kept)
                self._connection.executemany(REMOVE, gone)
        except sqlite3.Error as error:
            self._say(str(error))
            return False
        if self.trouble:
            self.trouble = ""
            log.warning("the state file %s can be written again", self.path)
        return True

    def _say(self, problem: str) -> None:
        """Once, that nothing can be written, and why."""
        if not self.trouble:
            self.trouble = f"the state file {self.path} cannot be written: {problem}"
            log.error("%s; it is tried again", self.trouble)


# ------------------------------------------------------------------------------------ opening
def open_database(path: str) -> tuple["sqlite3.Connection", str]:
    """A connection that holds the file alone, and why nothing can be written at the moment: what
    a full disk keeps can still be read. UserError where it cannot be written for another reason.
    """
    import sqlite3  # 2 MB that a run without a state file does not need

    try:
        connection = connect(path)
        if (reason := why_not_ours(connection)) is not None:
            connection.close()
            set_aside(path, reason)
            connection = connect(path)
        problem = prepare(connection)
    except sqlite3.Error as error:
        if error.sqlite_errorname == "SQLITE_BUSY":
            raise UserError(
                f"--state-file {path}: another run uses it; give another file"
            ) from None
        raise UserError(f"--state-file {path}: {error}; give a file that can be written") from None
    return connection, problem


def connect(path: str) -> "sqlite3.Connection":
    import sqlite3

    connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    # before anything is read: the index of the log is in memory then, and needs no room on the disk
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def why_not_ours(connection: "sqlite3.Connection") -> str | None:
    """Why the file is to be set aside; None when it is ours and whole, or empty."""
    import sqlite3

    def value(statement: str) -> Any:
        return connection.execute(statement).fetchone()[0]

    try:
        if value("SELECT count(*) FROM sqlite_master") == 0:
            return None
        if value("PRAGMA application_id") != APPLICATION_ID:
            return "is another program's"
        if (version := value("PRAGMA user_version")) > VERSION:
            raise UserError(
                f"--state-file: was written by a newer release (its version {version}, here"
                f" {VERSION}); use that release, or another file"
            )
        if (found := value("PRAGMA quick_check(1)")) != "ok":
            return f"is damaged: {found}"
        connection.execute("SELECT kind, id, body FROM documents LIMIT 1").fetchone()
    except sqlite3.Error as error:
        if not error.sqlite_errorname.startswith(DAMAGE):
            raise
        return f"is damaged: {error}"
    return None


def prepare(connection: "sqlite3.Connection") -> str:
    """Written ahead, with its table. Writes something, so that it fails early; why it could not,
    if that is a full disk and all is there that has to be."""
    import sqlite3

    is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if is_new:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(TABLES)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(PUT, (*OPENED, orjson.dumps(opened())))
    except sqlite3.OperationalError as error:
        if is_new or error.sqlite_errorname != "SQLITE_FULL":
            raise
        return str(error)
    return ""


def opened() -> Body:
    """The document that says when the file was opened last."""
    return {"ts_us": time.time_ns() // 1000}


def set_aside(path: str, reason: str) -> None:
    """Give the file another name, with what belongs to it, and say so."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside, count = f"{path}.damaged-{stamp}", 0
    while os.path.exists(aside):
        count += 1
        aside = f"{path}.damaged-{stamp}-{count}"
    try:
        os.rename(path, aside)
        for part in ("-wal", "-shm", "-journal"):
            if os.path.exists(path + part):
                os.rename(path + part, aside + part)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(f"--state-file {path}: {reason}, and cannot be renamed: {why}") from None
    log.error("--state-file %s %s; it is %s now, and a new one is begun", path, reason, aside)


def read_documents(connection: "sqlite3.Connection") -> dict[str, dict[str, Body]]:
    """All of them, by kind and id. One that is none is left out, and said."""
    found: dict[str, dict[str, Body]] = {}
    rows: Iterable[tuple[Any, Any, Any]] = connection.execute("SELECT * FROM documents")
    for kind, key, body in rows:
        try:
            document = orjson.loads(body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            found.setdefault(str(kind), {})[str(key)] = document
        else:
            log.error("the state file's %s %s is damaged and left out", kind, key)
    return found


def check_is_no_input(path: str, others: Iterable[str]) -> None:
    """UserError when the state file is a file that the run reads or writes."""
    for other in others if path else ():
        exist = os.path.exists(path) and os.path.exists(other)
        if (
            os.path.samefile(path, other)
            if exist
            else os.path.abspath(path) == os.path.abspath(other)
        ):
            raise UserError(f"--state-file {path}: is {other} itself; give another name")
