"""Transactions on a SQLite file that several processes write."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@contextmanager
def transaction(db: "sqlite3.Connection") -> "Iterator[sqlite3.Connection]":
    """All of the block or nothing, alone among the writers; `db` begins none by itself."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # it has failed already
            db.execute("ROLLBACK")
        raise


@contextmanager
def one_moment(db: "sqlite3.Connection") -> "Iterator[sqlite3.Connection]":
    """All that the block reads is from one moment, whoever writes meanwhile; `db` begins none by itself."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        with suppress(Exception):  # there is nothing to keep
            db.execute("ROLLBACK")
