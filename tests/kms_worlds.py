"""Every KMS that the package reaches, each with two keys: what the contract of drivers is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from gcp_world import KEY, GcpWorld
from services.azure import AzureStandIn
from services.certificates import Certificates
from services.gcp import GcpKms
from services.moto import MotoServer
from services.openbao import OpenBaoServer
from vault_world import clear_environment, new_key
from vault_world import conf as vault_conf

__all__ = ["KMS_TYPES", "REMOTE_TYPES", "KmsWorld", "kms_world"]


@dataclass(frozen=True)
class KmsWorld:
    """One KMS, running.

    Attributes:
        kms_type: scheme of its key URIs.
        key_id: a key that may be used.
        other_key_id: another one.
        unknown_key_id: one that does not exist; None where the KMS has no such thing.
        conf: rule_conf that leads to it, with credentials that may do all.
        refuses_foreign: codes that another key's ciphertext may be refused with.
    """

    kms_type: str
    key_id: str
    other_key_id: str
    unknown_key_id: str | None
    conf: Mapping[str, object] = field(repr=False)
    refuses_foreign: frozenset[str] = frozenset({"unwrap_refused"})


def _local(_: pytest.FixtureRequest) -> KmsWorld:
    # Its key is the secret's: the key id plays no part.
    return KmsWorld("local-kms", "key", "key", None, {"secret": "the secret of the tests"})


def _aws(request: pytest.FixtureRequest) -> KmsWorld:
    request.getfixturevalue("aws_environment")
    moto: MotoServer = request.getfixturevalue("moto")
    arn = moto.create_key()
    conf = {
        "access.key.id": "testing",
        "secret.access.key": "testing",
        "kms.aws.endpoint": moto.endpoint_url,
    }
    unknown = arn.rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000"
    # Of another key's ciphertext AWS says IncorrectKeyException, and moto AccessDeniedException.
    codes = frozenset({"unwrap_refused", "kms_denied"})
    return KmsWorld("aws-kms", arn, moto.create_key(), unknown, conf, codes)


def _azure(request: pytest.FixtureRequest) -> KmsWorld:
    azure: AzureStandIn = request.getfixturevalue("azure")
    key_id = azure.make_key("one")
    unknown = key_id.rpartition("/")[0] + "/nobody"
    return KmsWorld("azure-kms", key_id, azure.make_key("other"), unknown, azure.settings())


def _gcp(request: pytest.FixtureRequest) -> KmsWorld:
    kms: GcpKms = request.getfixturevalue("gcp_kms")
    certificates: Certificates = request.getfixturevalue("certificates")
    world = GcpWorld(kms, certificates)
    kms.create_key(f"{KEY}-other")
    conf = {**world.account.settings(), **world.options()}
    return KmsWorld("gcp-kms", KEY, f"{KEY}-other", f"{KEY}-unknown", conf)


def _vault(request: pytest.FixtureRequest) -> KmsWorld:
    clear_environment(request.getfixturevalue("monkeypatch"))
    openbao: OpenBaoServer = request.getfixturevalue("openbao")
    # A key that is not there is made by who may: only unwrapping tells that there is none.
    key_id = new_key(openbao)
    return KmsWorld("hcvault", key_id, new_key(openbao), key_id + "-unknown", vault_conf(openbao))


_MAKERS: Mapping[str, Callable[[pytest.FixtureRequest], KmsWorld]] = {
    "local-kms": _local,
    "aws-kms": _aws,
    "azure-kms": _azure,
    "gcp-kms": _gcp,
    "hcvault": _vault,
}
KMS_TYPES = tuple(_MAKERS)
#: Those that are reached over a network, and have keys of their own.
REMOTE_TYPES = tuple(kms_type for kms_type in KMS_TYPES if kms_type != "local-kms")


@pytest.fixture(params=KMS_TYPES)
def kms_world(request: pytest.FixtureRequest) -> KmsWorld:
    """Each KMS in turn; servers as the suite has them, real or stand-ins."""
    return _MAKERS[request.param](request)
