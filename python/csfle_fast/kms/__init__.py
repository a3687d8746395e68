"""Key management services: who wraps and unwraps DEKs.

A driver belongs to one URI scheme (``local-kms`` of ``local-kms://mykey``) and makes clients
for key URIs. Which driver serves a URI is decided in this order:

1. a driver registered here with ``register_driver``;
2. a driver that the user registered with confluent-kafka;
3. a built-in driver, then one of the entry point group ``csfle_fast.kms`` (name = scheme);
4. confluent-kafka's own driver, if it was registered with confluent-kafka.
"""

from csfle_fast.kms.driver import KmsClient, KmsDriver, driver_for, register_driver, unregister_driver

__all__ = ["KmsClient", "KmsDriver", "driver_for", "register_driver", "unregister_driver"]
