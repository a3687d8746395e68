"""Refusals of a registry: what is missing, on what, and who can give it."""

from __future__ import annotations

import pytest
from confluent_kafka.schema_registry.error import SchemaRegistryError

from csfle_fast import CsfleError
from csfle_fast.registry_errors import read_subject, registry_error, use_kek
from incumbent import KEK
from worlds import FLAT, World, flat, rule, world

__all__ = ["world"]  # a fixture


@pytest.mark.parametrize(("status", "number"), [(403, 403), (403, 40301)])
def test_forbidden_names_the_binding_and_who_grants_it(status: int, number: int) -> None:
    error = registry_error(SchemaRegistryError(status, number, "quoted"), "it", read_subject("t-value"))
    assert error.code == "forbidden"
    assert "lacks DeveloperRead on Subject:t-value" in error.message
    assert "administers access to the registry" in error.message
    assert "quoted" not in str(error)


def test_unauthorized_is_about_credentials() -> None:
    error = registry_error(SchemaRegistryError(401, 401, "quoted"), "it", use_kek("k1", writing=True))
    assert error.code == "unauthorized"
    assert "credentials were not accepted" in error.message
    assert "DeveloperWrite on Kek:k1" in error.message


def test_a_shared_keks_kms_has_another_administrator() -> None:
    error = registry_error(SchemaRegistryError(403, 40370, "quoted"), "it", use_kek("k1", writing=True))
    assert error.code == "dek_generation_forbidden"
    assert "Kek:k1" in error.message
    assert "who administers the key" in error.message
    assert "registry's own identity" in error.message


@pytest.mark.parametrize("status", [404, 409, 429, 500])
def test_other_refusals_speak_of_no_binding(status: int) -> None:
    error = registry_error(SchemaRegistryError(status, status, "quoted"), "it", read_subject("t-value"))
    assert "Developer" not in error.message


@pytest.mark.parametrize(
    ("method", "path", "role", "resource"),
    [
        ("GET", "^/subjects/", "DeveloperRead", "Subject:t-value"),
        ("GET", "/keks/", "DeveloperRead", f"Kek:{KEK}"),
        ("POST", "/keks$", "DeveloperWrite", f"Kek:{KEK}"),
        ("GET", "/deks/", "DeveloperRead", f"Kek:{KEK}"),
        ("POST", "/deks/", "DeveloperWrite", f"Kek:{KEK}"),
    ],
)
@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden")])
def test_every_request_of_a_writer_says_what_it_needs(
    world: World, method: str, path: str, role: str, resource: str, status: int, code: str
) -> None:
    world.put(FLAT, rule())
    world.http.faults.add(method, path, status=status)
    with pytest.raises(CsfleError, match=f"{role} on {resource}") as caught:
        world.engine().serialize("t", [flat(1)])
    assert caught.value.code == code


def test_a_reader_is_told_alike(world: World) -> None:
    world.put(FLAT, rule())
    frames = world.engine().serialize("t", [flat(1)]).values
    world.http.faults.add("GET", "/schemas/ids/", status=403)
    [error] = world.engine().deserialize("t", frames).errors
    assert error.code == "forbidden"
    assert "DeveloperRead on Subject:t-value" in error.message
    world.http.faults.clear()
    world.http.faults.add("GET", "/keks/", status=403)
    [error] = world.engine().deserialize("t", frames).errors
    assert f"DeveloperRead on Kek:{KEK}" in error.message
