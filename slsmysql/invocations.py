"""``invocation``: what a function's handler is wrapped in, as decorator or context manager.

Not needed for anything to work.  With it, waits for a connection end when the function's time
does, and what a handler leaves open is rolled back before the container is frozen.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from slsmysql import connections, manager

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

F = TypeVar("F", bound="Callable[..., Any]")


class Context(Protocol):
    """What AWS Lambda hands to a handler beside the event, as far as it matters here."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""


class Invocation:
    """One invocation of a function; see ``invocation``."""

    def __init__(self, context: Context | None = None) -> None:
        """Begin nothing yet.

        :param context: the platform's context object; one that has
            ``get_remaining_time_in_millis()`` (AWS Lambda) gives the deadline.
        """
        self._remaining = getattr(context, "get_remaining_time_in_millis", None)
        self._deadline: Any = None
        self._begun: Any = None

    def __enter__(self) -> Self:
        """Take the deadline."""
        remaining = self._remaining
        self._begun = manager.begin_invocation(self)
        if remaining is not None:
            self._deadline = manager.set_deadline(lambda: float(remaining()) / 1000.0)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Roll back what the invocation left open on any connection, and run the boundaries."""
        if self._deadline is not None:
            manager.reset_deadline(self._deadline)
            self._deadline = None
        manager.finish_invocation(self._begun)
        connections.end_invocations(self)

    def __call__(self, handler: F) -> F:
        """Return ``handler`` wrapped; its second argument is taken for the context."""
        return _wrap(handler)


_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


def _wrap(handler: F) -> F:
    code = getattr(handler, "__code__", None)
    if code is not None and code.co_flags & _COROUTINE:

        @functools.wraps(handler)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with Invocation(_context(args, kwargs)):
                return await handler(*args, **kwargs)

        return cast("F", awaited)

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with Invocation(_context(args, kwargs)):
            return handler(*args, **kwargs)

    return cast("F", wrapped)


def _context(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[1] if len(args) > 1 else kwargs.get("context")


@overload
def invocation(handler_or_context: F) -> F: ...
@overload
def invocation(handler_or_context: Context | None = None) -> Invocation: ...
def invocation(handler_or_context: Any = None) -> Any:
    """Wrap a function's handler, or a block.

    ::

        @slsmysql.invocation
        def handler(event, context): ...

        with slsmysql.invocation(context): ...

    At the end, whether or not by an exception, every connection that was last used in the
    invocation is rolled back where a transaction was left open (the event ``rolled_back`` tells),
    the boundary is run, and no session is closed that policy lets live.  During it no wait for a
    connection lasts longer than ``context.get_remaining_time_in_millis()``.

    :param handler_or_context: the handler to decorate, or the platform's context object, or
        nothing.
    :return: the wrapped handler, or an ``Invocation``.
    """
    if callable(handler_or_context):
        return _wrap(handler_or_context)
    return Invocation(handler_or_context)
