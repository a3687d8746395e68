"""What the tests of the Azure driver share: clients, refusals, and confluent-kafka's own driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.schema_registry.rules.encryption.azurekms.azure_driver import (
    AzureKmsDriver as ConfluentAzureKmsDriver,
)

from csfle_fast.errors import KmsError
from csfle_fast.kms.azure import AzureKmsClient, AzureKmsDriver
from leaks import assert_silent, chain
from services.azure import AzureStandIn

PROTO = b"\x1a\x20" + bytes(range(100, 132))
SAVE_VERSION = "encrypt.azure.key.version.save"


def client(azure: AzureStandIn, key_id: str, **settings: object) -> AzureKmsClient:
    """A client with credentials that work, and other settings with ``__`` for the dots of their names."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return AzureKmsDriver().client(f"azure-kms://{key_id}", {**azure.settings(), **named})


def theirs(azure: AzureStandIn, key_id: str, **settings: object) -> Any:
    """confluent-kafka's AEAD for the key, whose driver has no options of ours."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    uri = f"azure-kms://{key_id}"
    return ConfluentAzureKmsDriver().new_kms_client({**azure.settings(), **named}, uri).get_aead(uri)


def refused(call: Callable[..., object], *given: object, secrets: tuple[str, ...] = ()) -> KmsError:
    """The error of a call, which shows no key and no secret and on which no other exception hangs."""
    with pytest.raises(KmsError) as caught:
        call(*given)
    error = caught.value
    assert list(chain(error)) == [error]
    assert_silent(error, PROTO)
    for secret in secrets:
        assert secret not in str(error)
    return error
