"""Calls a function as another user, to see what that user is refused.

As root such a test would prove nothing: root may do everything.
"""

import multiprocessing
import os
import pwd
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

from tests.support.needs import need_root

P = ParamSpec("P")
T = TypeVar("T")

LIMIT_S = 15.0


def second_user() -> pwd.struct_passwd:
    """Return the user that is not us."""
    return pwd.getpwnam("nobody")


def run_as_second_user(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what *function* returns, or raise what it raises, in a process of the second user.

    *function* is one of a module's top level; it, its arguments and its result must pickle. Its
    module and all that imports are loaded before the change of user, since the interpreter may
    lie where the second user cannot read: inside *function* nothing more can be imported.

    Raises:
        TimeoutError: It did not end within *LIMIT_S* seconds; its process was killed.
    """
    need_root()
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_call, args=(theirs, second_user(), function, args, kwargs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(LIMIT_S):
            raise TimeoutError(f"{function.__qualname__} did not end within {LIMIT_S} s")
        returned, outcome = ours.recv()
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
    if returned:
        result: T = outcome
        return result
    raise outcome


def _call(
    connection: Connection,
    user: pwd.struct_passwd,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    try:
        connection.send((True, function(*args, **kwargs)))
    except Exception as exc:  # noqa: BLE001 - whatever it is, the caller raises it
        connection.send((False, exc))
