"""Wraps with our driver for Google Cloud KMS and with confluent-kafka's, and opens each with the other.

A process of its own, because gRPC reads whom to trust from the environment once. Standard input is
``{"conf": ..., "key": ..., "plaintext": hex}``. Prints what each opened of the other's, in hex.
"""

from __future__ import annotations

import json
import sys

from confluent_kafka.schema_registry.rules.encryption.gcpkms.gcp_driver import (
    GcpKmsDriver as ConfluentGcpKmsDriver,
)

from csfle_fast.kms.gcp import GcpKmsDriver


def main() -> None:
    """See the module."""
    order = json.load(sys.stdin)
    uri = f"gcp-kms://{order['key']}"
    plaintext = bytes.fromhex(order["plaintext"])
    theirs = ConfluentGcpKmsDriver().new_kms_client(order["conf"], uri).get_aead(uri)
    ours = GcpKmsDriver().client(uri, order["conf"])
    opened = {
        "ours": ours.unwrap(theirs.encrypt(plaintext, b"")).hex(),
        "theirs": theirs.decrypt(ours.wrap(plaintext), b"").hex(),
    }
    ours.close()
    json.dump(opened, sys.stdout)


if __name__ == "__main__":
    main()
