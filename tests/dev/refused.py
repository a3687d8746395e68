"""What the registry's stores refuse, as tests compare it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from csfle_fast.dev.refusal import Refusal


def refused(call: Callable[[], object]) -> tuple[int, int]:
    """The HTTP status and the error code that a call is refused with."""
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.status, caught.value.error_code
