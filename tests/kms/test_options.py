"""Options of drivers: from the configuration, else from the environment, checked."""

from __future__ import annotations

import pytest

from csfle_fast.errors import KmsError
from csfle_fast.kms.options import attempts, flag, text, timeout_sec


def test_the_configuration_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "environment")
    assert text({"token": "given"}, "token", "SOME_TOKEN") == "given"
    assert text({}, "token", "SOME_TOKEN") == "environment"
    assert text({}, "token") is None


def test_an_empty_text_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "")
    assert text({}, "token", "SOME_TOKEN") is None
    assert text({"token": ""}, "token", "SOME_TOKEN") is None


@pytest.mark.parametrize(
    ("given", "meant"), [(None, False), (True, True), ("true", True), (" False ", False)]
)
def test_flags(given: object, meant: bool) -> None:
    assert flag({} if given is None else {"save": given}, "save") is meant


@pytest.mark.parametrize(("given", "meant"), [(2, 2.0), ("0.5", 0.5), (300, 300.0)])
def test_time_outs(given: object, meant: float) -> None:
    assert timeout_sec({"kms.timeout.sec": given}) == meant
    assert timeout_sec({}) == 5.0


@pytest.mark.parametrize("given", [0, -1, 301, "soon", None, [], float("nan"), float("inf"), True, 10**400])
def test_a_time_out_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(KmsError, match=r"kms\.timeout\.sec") as caught:
        timeout_sec({"kms.timeout.sec": given})
    assert caught.value.code == "bad_kms_option"


@pytest.mark.parametrize(("given", "meant"), [(1, 1), ("10", 10)])
def test_attempts(given: object, meant: int) -> None:
    assert attempts({"kms.max.attempts": given}) == meant
    assert attempts({}) == 4


@pytest.mark.parametrize("given", [0, 11, "many", None, 1.5, True, 10**400])
def test_attempts_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(KmsError, match=r"kms\.max\.attempts"):
        attempts({"kms.max.attempts": given})


@pytest.mark.parametrize("given", [7, b"bytes", ["list"]])
def test_what_is_no_text_is_refused_and_not_shown(given: object) -> None:
    with pytest.raises(KmsError) as caught:
        text({"token": given}, "token")
    assert str(caught.value) == "option token must be text [bad_kms_option]"
    with pytest.raises(KmsError):
        flag({"save": "yes"}, "save")
