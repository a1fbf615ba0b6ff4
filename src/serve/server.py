"""What all pages share: their headers, whom they refuse, their static files, and how they are served."""

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from src.mistake import Mistake
from src.serve.upload import MOST_BYTES, TOO_LARGE, BadUpload

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
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


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serves an application until it is interrupted.

    Raises:
        Mistake: nobody can be served there.
    """
    try:
        door = socket.create_server((host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Mistake(f"host={host} port={port} cannot be served ({reason}); choose others.") from error
    log.info("Listening at http://%s:%d (Ctrl-C ends it)", host, door.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([door])


def site(host: str = LOOPBACK[0]) -> FastAPI:
    """An application without pages yet; a `BadUpload` that one raises becomes {"error": sentence}.

    Args:
        host: it is bound to. Of this machine alone, nobody can be led to it by another name.
    """
    app = FastAPI(openapi_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.middleware("http")(guarded)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK) if host in LOOPBACK else ["*"])

    @app.exception_handler(BadUpload)
    def refuse(request: Request, reason: Exception) -> JSONResponse:
        return JSONResponse({"error": str(reason)}, 413 if str(reason) == TOO_LARGE else 422)

    return app


async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuses what another site asks for, and tells browsers to run and load nothing that is not ours."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    is_foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    is_foreign |= origin is not None and origin.split("://")[-1] != host
    if request.method != "GET" and is_foreign:
        return JSONResponse({"error": "This was asked by another site, which may not."}, 403, HEADERS)
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


async def body_of(request: Request) -> bytes:
    """What was sent, in memory.

    Raises:
        BadUpload: it is too large; the rest is not waited for.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise BadUpload(TOO_LARGE)
    return bytes(content)
