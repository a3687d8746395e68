"""Who may ask: users with a password (basic authentication) and programs with a token (bearer)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from csfle_fast.dev.answers import RegistryResponse
from csfle_fast.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PRINCIPAL", "Accounts", "AccountsMiddleware"]

#: Where a request's scope tells who sent it: a name, or None where nobody has to say.
PRINCIPAL = "csfle_fast.dev.principal"
_BASIC = "basic"
_BEARER = "bearer"


class Accounts:
    """Names and what proves them; of passwords and tokens only digests are kept.

    Args:
        users: passwords by user.
        tokens: tokens by the name that their bearer has.

    Raises:
        ConfigError: a name or a secret is empty, or a user's name has a colon.
    """

    def __init__(
        self, users: Mapping[str, str] | None = None, tokens: Mapping[str, str] | None = None
    ) -> None:
        users, tokens = users or {}, tokens or {}
        for name, secret in (*users.items(), *tokens.items()):
            if not name or not secret:
                raise ConfigError("a user needs a name and a password, and a bearer a name and a token")
        if any(":" in name for name in users):
            raise ConfigError("a user's name has no colon: basic authentication could not tell its end")
        self._proofs = [
            *((_BASIC, _digest(f"{name}:{password}".encode()), name) for name, password in users.items()),
            *((_BEARER, _digest(token.encode()), name) for name, token in tokens.items()),
        ]

    @property
    def required(self) -> bool:
        """Whether a request has to say who sends it; without any account it has not."""
        return bool(self._proofs)

    @property
    def challenge(self) -> str:
        """What would be accepted, as the header WWW-Authenticate says it."""
        schemes = sorted({scheme for scheme, _, _ in self._proofs})
        return ", ".join(f'{scheme.capitalize()} realm="development registry"' for scheme in schemes)

    def principal(self, authorization: bytes) -> str | None:
        """Who sent a request with this header Authorization; None if it proves nothing."""
        word, _, credentials = authorization.strip().partition(b" ")
        scheme = word.decode("latin-1").lower()
        given = credentials.strip()
        if scheme == _BASIC:
            try:
                given = base64.b64decode(given, validate=True)
            except ValueError:
                return None
        digest = _digest(given)
        found: str | None = None
        # All are compared, so that the time tells nothing of which came close.
        for kind, proof, name in self._proofs:
            if hmac.compare_digest(digest, proof) and kind == scheme:
                found = name
        return found


def _digest(secret: bytes) -> bytes:
    return sha256(secret).digest()


class AccountsMiddleware:
    """Lets nobody pass who does not say, and prove, who they are; adds to the scope who it is."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 401, or pass the request on."""
        if scope["type"] == "http":
            principal = None
            if self._accounts.required:
                given = [value for name, value in scope["headers"] if name == b"authorization"]
                principal = self._accounts.principal(given[0]) if len(given) == 1 else None
                if principal is None:
                    answer = RegistryResponse(
                        {"error_code": 401, "message": "Unauthorized"},
                        status_code=401,
                        headers={"WWW-Authenticate": self._accounts.challenge},
                    )
                    await answer(scope, receive, send)
                    return
            scope = {**scope, PRINCIPAL: principal}
        await self._app(scope, receive, send)
