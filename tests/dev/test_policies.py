from __future__ import annotations

from csfle_fast.dev.models import ConfigUpdate
from csfle_fast.dev.policies import GLOBAL, Policies
from dev.refused import refused


def test_config_of_a_subject_a_context_and_all() -> None:
    policies = Policies()
    assert policies.config(GLOBAL) == {"compatibilityLevel": "NONE"}
    assert refused(lambda: policies.config("s")) == (404, 40408)
    assert policies.put_config(GLOBAL, ConfigUpdate(compatibility="FULL")) == {"compatibility": "FULL"}
    assert policies.config("s", default_to_global=True) == {"compatibilityLevel": "FULL"}
    policies.put_config(":.ctx:", ConfigUpdate(compatibility_level="BACKWARD"))
    assert policies.config(":.ctx:s", default_to_global=True) == {"compatibilityLevel": "BACKWARD"}
    policies.put_config(":.ctx:s", ConfigUpdate(normalize=True))
    assert policies.config(":.ctx:s") == {"normalize": True}
    assert policies.effective_config(":.ctx:s").normalize is True
    assert policies.delete_config(":.ctx:s") == {"normalize": True}
    assert refused(lambda: policies.delete_config(":.ctx:s")) == (404, 40408)
    assert refused(lambda: policies.put_config("s", ConfigUpdate(compatibility="SOME"))) == (422, 42203)


def test_updates_add_up() -> None:
    policies = Policies()
    policies.put_config("s", ConfigUpdate(compatibility="FULL"))
    sent = ConfigUpdate.model_validate({"overrideMetadata": {"properties": {"a": "b"}}})
    assert policies.put_config("s", sent) == {"overrideMetadata": {"properties": {"a": "b"}}}
    assert policies.config("s") == {
        "compatibilityLevel": "FULL",
        "overrideMetadata": {"properties": {"a": "b"}},
    }


def test_modes() -> None:
    policies = Policies()
    assert policies.mode(GLOBAL) == "READWRITE"
    assert refused(lambda: policies.mode("s")) == (404, 40409)
    assert refused(lambda: policies.put_mode("s", "NOPE")) == (422, 42204)
    policies.put_mode("s", "READONLY")
    assert policies.mode("s") == "READONLY"
    assert policies.delete_mode("s") == "READONLY"
    assert policies.mode("s", default_to_global=True) == "READWRITE"


def test_who_may_write() -> None:
    policies = Policies()
    policies.check_writable("s")
    policies.check_registrable("s", chooses_id=False)
    assert refused(lambda: policies.check_registrable("s", chooses_id=True)) == (422, 42205)
    policies.put_mode("s", "IMPORT")
    policies.check_writable("s")
    policies.check_registrable("s", chooses_id=True)
    assert refused(lambda: policies.check_registrable("s", chooses_id=False)) == (422, 42205)
    for mode in ("READONLY", "READONLY_OVERRIDE"):
        policies.put_mode("s", mode)
        assert refused(lambda: policies.check_writable("s")) == (422, 42205)
        assert refused(lambda: policies.check_registrable("s", chooses_id=True)) == (422, 42205)
    policies.check_writable("other")
