"""A request that the registry refuses: HTTP status, Confluent error code, message."""

from __future__ import annotations

from csfle_fast.errors import RegistryError

__all__ = ["Refusal"]


class Refusal(RegistryError):
    """Answered over HTTP as ``{"error_code": ..., "message": ...}``; raised as it is in Python.

    Attributes:
        status: HTTP status, for instance 404.
        error_code: the registry's number of the cause, for instance 40401.
    """

    def __init__(self, status: int, error_code: int, message: str) -> None:
        super().__init__("registry_refused", message)
        self.status = status
        self.error_code = error_code

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.status, self.error_code, self.message))
