"""What all pages share: their headers, whom they refuse, their static files, and how they are served."""

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auscult.explain.report.html import STATIC
from auscult.mistake import Mistake
from auscult.serve.limited_server import LimitedServer
from auscult.serve.options import LOOPBACK
from auscult.serve.reception import Reception
from auscult.serve.upload import BadUpload, Busy, TooLarge

log = logging.getLogger(__name__)

UPLOADS = max(2, min(4, os.cpu_count() or 1))  # that are worked on at once
HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
    " data:; media-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}


def serve(app: FastAPI, host: str, port: int) -> NoReturn:
    """Serves an application until it is told to end.

    Raises:
        Mistake: nothing can be served there.
        Interrupted: see `LimitedServer.serve_at`.
    """
    try:
        door = socket.create_server((host, port))
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise Mistake(f"host={host} port={port} cannot be served ({reason}); choose others.") from error
    log.info("Listening at http://%s:%d (Ctrl-C ends it)", host, door.getsockname()[1])
    LimitedServer(app).serve_at(door)


def site(names: Sequence[str] = LOOPBACK) -> FastAPI:
    """An application without pages yet. A `BadUpload` that a page raises becomes {"error": sentence}.

    Args:
        names: by which browsers may call it, "*" for any. By other names, a foreign site could lead browsers to it.
    """
    app = FastAPI(openapi_url=None)
    app.state.reception = Reception(UPLOADS)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.mount("/shared", StaticFiles(directory=STATIC))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(names))
    app.add_middleware(Guarded)
    app.state.is_behind_proxy = set(names) - {*LOOPBACK, "*"} != set()

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "The server failed at this; its log says why."}, 500, HEADERS)

    @app.exception_handler(BadUpload)
    def refuse(request: Request, reason: Exception) -> JSONResponse:
        status = {TooLarge: 413, Busy: 503}.get(type(reason), 422)
        return JSONResponse({"error": str(reason)}, status, {"Connection": "close"} if status == 413 else None)

    return app


class Guarded:
    """Refuses what another site asks for, and tells browsers to run and load nothing that is not ours.

    It is bare ASGI: behind Starlette's own middleware, a function never hears that a visitor has gone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["method"] != "GET" and is_foreign(Headers(scope=scope)):
            refusal = JSONResponse({"error": "Another site asked for this; only pages of this one may."}, 403, HEADERS)
            return await refusal(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_guarded)


def is_foreign(headers: Headers) -> bool:
    """Whether a page of another site asks."""
    origin = headers.get("origin")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    return origin is not None and origin.split("://")[-1] != headers.get("host")
