"""The stand-in for Azure, as Microsoft's own client sees it, without any of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm

from services.azure import AzureStandIn
from services.azure_answers import Fault
from services.certificates import Certificates

OAEP = EncryptionAlgorithm.rsa_oaep_256


class Sdk:
    """Makes clients of the SDK, and closes them when the test is over."""

    def __init__(self, azure: AzureStandIn, stack: ExitStack) -> None:
        self._stack = stack
        self._azure = azure
        self.credential = self.sign_in(azure.application.secret)

    def sign_in(self, secret: str) -> ClientSecretCredential:
        azure = self._azure
        credential = ClientSecretCredential(azure.tenant, azure.application.client_id, secret, retry_total=0)
        return self._stack.enter_context(credential)

    def keys(self) -> KeyClient:
        client = KeyClient(f"https://{self._azure.vault}", self.credential, retry_total=0)
        self._stack.callback(client.close)
        return client

    def crypto(self, key_id: str, credential: ClientSecretCredential | None = None) -> CryptographyClient:
        client = CryptographyClient(key_id, credential or self.credential, retry_total=0)
        self._stack.callback(client.close)
        return client


@pytest.fixture
def sdk(azure: AzureStandIn) -> Iterator[Sdk]:
    azure.application.may = {"get", "encrypt", "decrypt"}
    with ExitStack() as stack:
        yield Sdk(azure, stack)


def test_the_sdk_encrypts_by_the_public_key_and_the_stand_in_decrypts(azure: AzureStandIn, sdk: Sdk) -> None:
    client = sdk.crypto(azure.make_key())
    sealed = client.encrypt(OAEP, b"text")
    assert sealed.key_id == f"https://{azure.vault}/keys/kek/{azure.version(client.key_id or '').id}"
    assert client.decrypt(OAEP, sealed.ciphertext).plaintext == b"text"
    assert azure.count("/encrypt$") == 0
    assert azure.count("/decrypt$") == 1


def test_without_the_right_to_get_the_key_the_sdk_lets_it_be_encrypted(azure: AzureStandIn, sdk: Sdk) -> None:
    azure.application.may = {"encrypt", "decrypt"}
    client = sdk.crypto(azure.make_key())
    assert client.decrypt(OAEP, client.encrypt(OAEP, b"text").ciphertext).plaintext == b"text"
    assert azure.count("/encrypt$") == 1


def test_versions(azure: AzureStandIn, sdk: Sdk) -> None:
    key = azure.make_key()
    first = sdk.keys().get_key("kek")
    azure.rotate(key)
    second = sdk.keys().get_key("kek")
    assert first.properties.version != second.properties.version == azure.version(key).id
    assert sdk.keys().get_key("kek", first.properties.version).id == first.id
    sealed = sdk.crypto(first.id or "").encrypt(OAEP, b"text").ciphertext
    assert sdk.crypto(first.id or "").decrypt(OAEP, sealed).plaintext == b"text"
    with pytest.raises(HttpResponseError, match="BadParameter"):
        sdk.crypto(second.id or "").decrypt(OAEP, sealed)


def test_refusals(azure: AzureStandIn, sdk: Sdk) -> None:
    key = azure.make_key()
    client = sdk.crypto(key)
    sealed = client.encrypt(OAEP, b"text").ciphertext
    with pytest.raises(ResourceNotFoundError, match="KeyNotFound"):
        sdk.keys().get_key("other")
    azure.version(key).enabled = False
    assert sdk.keys().get_key("kek").properties.enabled is False
    with pytest.raises(HttpResponseError, match="KeyDisabled"):
        client.decrypt(OAEP, sealed)
    azure.application.may.remove("decrypt")
    with pytest.raises(HttpResponseError, match="ForbiddenByRbac") as caught:
        client.decrypt(OAEP, sealed)
    assert caught.value.status_code == 403
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        sdk.sign_in("wrong").get_token(f"{azure.resource}/.default")


def test_a_token_ends(azure: AzureStandIn, sdk: Sdk) -> None:
    azure.make_key()
    azure.token_seconds = -1
    with pytest.raises(ClientAuthenticationError, match="AKV10000"):
        sdk.keys().get_key("kek")


def test_faults_come_as_often_as_they_should(azure: AzureStandIn, sdk: Sdk) -> None:
    azure.make_key()
    azure.faults = [
        Fault("/keys/kek/$", 429, "Throttled", headers={"Retry-After": "3"}, times=1),
        Fault("/keys/kek/$", 503, times=2),
    ]
    client = sdk.keys()
    for status in (429, 503, 503):
        with pytest.raises(HttpResponseError) as caught:
            client.get_key("kek")
        assert caught.value.status_code == status
    assert client.get_key("kek").name == "kek"


def test_nothing_else_can_be_reached(azure: AzureStandIn, sdk: Sdk) -> None:
    with pytest.raises(ServiceRequestError, match="403 Forbidden"):
        sdk.crypto("https://kv.example.net/keys/kek").decrypt(OAEP, b"x" * 256)
    assert set(azure.proxy.refused) == {"kv.example.net:443"}


def test_it_ends_though_an_answer_is_held_back(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    with ExitStack() as clients:
        with AzureStandIn(certificates) as azure:
            azure.lead_clients(monkeypatch)
            azure.faults.append(Fault("/keys/", 0))
            client = Sdk(azure, clients).keys()
            waiting = threading.Thread(target=pytest.raises, args=(Exception, client.get_key, "kek"))
            waiting.start()
            while not azure.requests and waiting.is_alive():
                time.sleep(0.01)
            start = time.monotonic()
        assert time.monotonic() - start < 10
        waiting.join()
    assert threading.active_count() == before
