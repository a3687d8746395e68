from __future__ import annotations

import pickle

from csfle_fast.dev.refusal import Refusal
from csfle_fast.errors import RegistryError


def test_says_what_and_survives_a_pickle() -> None:
    refusal = Refusal(404, 40401, "Subject 's' not found.")
    assert isinstance(refusal, RegistryError)
    assert str(refusal) == "Subject 's' not found. [registry_refused]"
    copy = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - our own bytes
    assert (copy.status, copy.error_code, copy.message) == (404, 40401, "Subject 's' not found.")
