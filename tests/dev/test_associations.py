from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from csfle_fast.dev.associations import AssociationStore
from csfle_fast.dev.refusal import Refusal


def request(*subjects: tuple[str, str], name: str = "orders", **more: Any) -> dict[str, Any]:
    items = [{"subject": subject, "associationType": kind} for kind, subject in subjects]
    return {"resourceName": name, "resourceId": f"id-{name}", "associations": items, **more}


def subjects(store: AssociationStore, types: Sequence[str] = (), **wanted: str) -> list[str]:
    return [a.item.subject for a in store.find(types=types, **wanted)]


def test_found_by_what_is_asked_for() -> None:
    store = AssociationStore()
    store.create(request(("key", "k"), ("value", "v"), resourceNamespace="lkc-1"))
    store.create(request(("value", "p"), name="payments"), ".ctx")
    assert subjects(store) == ["k", "v", ":.ctx:p"]
    assert subjects(store, resource_name="orders") == ["k", "v"]
    assert subjects(store, ["value"], resource_name="orders") == ["v"]
    assert subjects(store, resource_name="orders", namespace="lkc-1") == ["k", "v"]
    assert subjects(store, resource_name="orders", namespace="lkc-2") == []
    assert subjects(store, resource_id="id-payments") == [":.ctx:p"]
    assert subjects(store, subject="v") == ["v"]
    assert subjects(store, resource_type="table") == []


def test_the_same_again_changes_nothing_and_another_subject_is_refused() -> None:
    store = AssociationStore()
    assert store.create(request(("value", "v"))) == store.create(request(("value", "v")))
    with pytest.raises(Refusal) as refused:
        store.create(request(("key", "k"), ("value", "other")))
    assert (refused.value.status, refused.value.error_code) == (409, 40903)
    assert subjects(store) == ["v"]


def test_deleted_by_type_or_whole() -> None:
    store = AssociationStore()
    store.create(request(("key", "k"), ("value", "v")))
    store.create(request(("value", "p"), name="payments"))
    store.delete("id-orders", types=["key"])
    assert subjects(store) == ["v", "p"]
    store.delete("id-orders", resource_type="table")
    assert subjects(store) == ["v", "p"]
    store.delete("id-orders")
    store.delete("id-orders")
    assert subjects(store) == ["p"]
