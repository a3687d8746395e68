"""What an error must not carry: the marker that stands for plaintext, and keys."""

from __future__ import annotations

import base64
import pickle
import traceback
from collections.abc import Iterator

#: Stands in every value of a hostile row or frame.
MARK = "marker4711"


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that hang on it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def assert_silent(error: BaseException, *keys: bytes) -> None:
    """Fails where an error, or what hangs on it, shows the marker or one of the keys in any guise."""
    forbidden = [MARK, MARK.encode().hex(), base64.b64encode(MARK.encode()).decode()[:12]]
    for key in keys:
        forbidden += [repr(key)[2:-1], key.hex(), base64.b64encode(key).decode()]
    for one in chain(error):
        shown = [str(one), repr(one), repr(one.args), repr(getattr(one, "__notes__", None)), repr(vars(one))]
        shown.append("".join(traceback.format_exception_only(one)))
        shown.append(pickle.dumps(one).decode("latin-1"))
        for text in shown:
            for secret in forbidden:
                assert secret not in text, f"{type(one).__name__} shows {secret!r}"
