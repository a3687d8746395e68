"""All that a registry holds, and the HTTP routes over it."""

from __future__ import annotations

from fastapi import APIRouter

from csfle_fast.dev.association_routes import association_routes
from csfle_fast.dev.associations import AssociationStore
from csfle_fast.dev.clock import Clock
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.key_routes import key_routes
from csfle_fast.dev.key_tables import KeyTables
from csfle_fast.dev.policies import Policies
from csfle_fast.dev.policy_routes import policy_routes
from csfle_fast.dev.schema_routes import schema_routes
from csfle_fast.dev.schemas import SchemaStore
from csfle_fast.dev.sharing import Sharing
from csfle_fast.dev.state import State

__all__ = ["Stores"]


class Stores:
    """The stores of one registry, with what their state remembers.

    Args:
        clock: gives the ``ts`` of KEKs and DEKs.
        sharing: the KMS of shared KEKs.
        state: where it is kept.

    Raises:
        ConfigError: the state cannot be read.
    """

    def __init__(self, clock: Clock, sharing: Sharing, state: State) -> None:
        self.policies = Policies(state)
        self.schemas = SchemaStore(self.policies.effective_config, state)
        self.associations = AssociationStore(state)
        tables = KeyTables(clock, sharing, state)
        self.keks = KekStore(tables)
        self.deks = DekStore(tables)

    def routers(self) -> list[APIRouter]:
        """Every route of the interface."""
        return [
            schema_routes(self.schemas, self.policies),
            policy_routes(self.schemas, self.policies),
            association_routes(self.associations, self.schemas),
            key_routes(self.keks, self.deks),
        ]
