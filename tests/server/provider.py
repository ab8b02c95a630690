"""A small OpenID Connect provider on a port of its own: discovery, authorize, token, keys, logout. It checks what a
strict provider checks (client, redirect, PKCE, one use per code), and can be told to answer wrongly."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "trendcast", "client-secret-of-the-tests"


class Provider:
    """``claims``: who signs in next. ``spoil``: what is wrong with the next token: signature, nonce, audience, issuer
    or expired. ``asks``: show a page with a button instead of coming straight back. ``refuses``: say no."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.spoil = ""
        self.asks = self.refuses = False
        self.seen: list[str] = []  # the steps that were asked for
        self.sent_away: list[dict[str, str]] = []  # the parameters of each sign-out
        self._codes: dict[str, dict[str, Any]] = {}
        self._key, self._wrong = (RSAKey.generate_key(2048, {"kid": "one"}) for _ in range(2))
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/logout", self._logout),
            ]
        )
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    def environment(self, **more: str) -> dict[str, str]:
        """The settings of a server that lets people in by this provider."""
        return {
            "TRENDCAST_AUTH": "oidc",
            "TRENDCAST_OIDC_METADATA_URL": self.metadata_url,
            "TRENDCAST_OIDC_CLIENT_ID": CLIENT,
            "TRENDCAST_OIDC_CLIENT_SECRET": SECRET,
            "TRENDCAST_PUBLIC_URL": "http://localhost:{port}",
            "TRENDCAST_PLANNER_GROUPS": "supply-chain",
            **more,
        }

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def person(self, name: str, *groups: str, **more: Any) -> None:
        """The next person to sign in."""
        self.claims = {"sub": f"id-of-{name}", "email": name, "email_verified": True, "groups": list(groups), **more}

    async def _discovery(self, _: Request) -> Response:
        self.seen.append("discovery")
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "end_session_endpoint": f"{self.url}/logout",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        self.seen.append("authorize")
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT or asked.get("response_type") != "code" or "openid" not in asked["scope"]:
            return Response("This client is not known.", 400)
        if asked.get("code_challenge_method") != "S256" or not asked.get("nonce") or not asked.get("state"):
            return Response("PKCE, nonce and state are asked for.", 400)
        if self.refuses:
            answer = {"error": "access_denied", "error_description": "no\nway", "state": asked["state"]}
            return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}")
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked | {"claims": dict(self.claims)}
        back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        if self.asks:
            return HTMLResponse(f"<h1>Provider</h1><a id='go' href='{back}'>Continue as {self.claims['email']}</a>")
        return RedirectResponse(back)

    async def _token(self, request: Request) -> Response:
        self.seen.append("token")
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        proof = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or request.headers.get("authorization") != proof
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge.decode().rstrip("=") != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": "https://elsewhere.example" if self.spoil == "issuer" else self.url,
            "aud": "another" if self.spoil == "audience" else CLIENT,
            "iat": now - 7200 if self.spoil == "expired" else now,
            "exp": now - 3600 if self.spoil == "expired" else now + 300,
            "nonce": "another" if self.spoil == "nonce" else asked["nonce"],
        }
        key = self._wrong if self.spoil == "signature" else self._key
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims | asked["claims"], key)
        return JSONResponse(
            {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 300, "id_token": token}
        )

    async def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def _logout(self, request: Request) -> Response:
        self.sent_away.append(dict(request.query_params))
        return RedirectResponse(request.query_params["post_logout_redirect_uri"])
