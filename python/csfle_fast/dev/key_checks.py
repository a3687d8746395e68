"""What a KEK or DEK must look like, and the refusals that the key stores share."""

from __future__ import annotations

import base64
import binascii
import re

from csfle_fast.dev.local_kms import ALGORITHMS
from csfle_fast.dev.names import subject_key
from csfle_fast.dev.refusal import Refusal

__all__ = [
    "already_exists",
    "check_algorithm",
    "check_kek_name",
    "check_material",
    "checked_kms_type",
    "checked_subject",
    "invalid_key",
    "key_not_found",
    "not_soft_deleted",
    "too_many_keys",
]

_NAME = re.compile(r"[^\W\d][\w-]*")
_KMS_TYPE_PREFIXES = {"aws": "aws-kms", "azure": "azure-kms", "gcp": "gcp-kms"}
_KEY_ID_PREFIXES = {
    "aws-kms": ("arn:aws:kms:",),
    "azure-kms": ("https://",),
    "gcp-kms": ("projects/",),
    "hcvault": ("http://", "https://"),
}


def check_kek_name(name: str) -> None:
    """A letter or ``_``, then letters, digits, ``_`` and ``-``."""
    if not _NAME.fullmatch(name):
        raise invalid_key("name")


def checked_kms_type(kms_type: str | None, kms_key_id: str | None) -> str:
    """The KMS type as it is stored (``aws`` becomes ``aws-kms``), its key id checked."""
    if not kms_key_id:
        raise invalid_key("kmsKeyId")
    if not kms_type:
        raise invalid_key("kmsType")
    for prefix, full in _KMS_TYPE_PREFIXES.items():
        if kms_type.lower().startswith(prefix):
            kms_type = full
    if not kms_key_id.startswith(_KEY_ID_PREFIXES.get(kms_type, ("",))):
        raise invalid_key("kmsKeyId")
    return kms_type


def checked_subject(subject: str | None) -> str:
    """The full name of a DEK's subject."""
    try:
        return subject_key(subject or "")
    except Refusal:
        raise invalid_key("subject") from None


def check_algorithm(algorithm: str) -> None:
    """One of the three DEK algorithms."""
    if algorithm not in ALGORITHMS:
        raise invalid_key("algorithm")


def check_material(material: str) -> None:
    """Wrapped key material is base64 and not empty."""
    try:
        wrapped = base64.b64decode(material, validate=True)
    except (binascii.Error, ValueError):
        wrapped = b""
    if not wrapped:
        raise invalid_key("encryptedKeyMaterial")


def invalid_key(member: str) -> Refusal:
    """A member of the request is missing or wrong."""
    return Refusal(422, 42271, f"Invalid or missing key information: '{member}'")


def key_not_found(name: str) -> Refusal:
    """No such KEK, or no DEK for such a subject."""
    return Refusal(404, 40470, f"Key '{name}' not found")


def not_soft_deleted(name: str) -> Refusal:
    """A permanent delete came before the soft one."""
    return Refusal(404, 40471, f"Key '{name}' was not deleted first before being permanently deleted")


def already_exists(name: str) -> Refusal:
    """There is a key with this identity."""
    return Refusal(409, 40971, f"Key '{name}' already exists; use a different value")


def too_many_keys(limit: int) -> Refusal:
    """The registry is full."""
    return Refusal(409, 40972, f"A maximum of {limit} keys already exist")
