"""What all pages share: their headers, whom they refuse, their static files, and how they are served."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from src.mistake import Mistake
from src.serve.options import LOOPBACK
from src.serve.upload import MOST_BYTES, BadUpload, TooLarge

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
MOST_FORM_BYTES = 10**5
UPLOADS = 4  # that are received and worked on at once, as memory is finite
RECEIVING_SECONDS = 60.0  # at most: others wait
Made = TypeVar("Made")
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
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise Mistake(f"host={host} port={port} cannot be served ({reason}); choose others.") from error
    log.info("Listening at http://%s:%d (Ctrl-C ends it)", host, door.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([door])


def site(names: Sequence[str] = LOOPBACK) -> FastAPI:
    """An application without pages yet; a `BadUpload` that one raises becomes {"error": sentence}.

    Args:
        names: by which it may be called, "*" for any: a browser can be led to it by a foreign one.
    """
    app = FastAPI(openapi_url=None)
    app.state.uploads = asyncio.Semaphore(UPLOADS)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(names))
    app.middleware("http")(guarded)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "The server failed at this; where it runs, it says why."}, 500, HEADERS)

    @app.exception_handler(BadUpload)
    def refuse(request: Request, reason: Exception) -> JSONResponse:
        return JSONResponse({"error": str(reason)}, 413 if isinstance(reason, TooLarge) else 422)

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


async def made_of_upload(request: Request, make: Callable[[bytes], Made]) -> Made:
    """What a function makes of a recording that was sent, in a thread; a few at a time, the others wait.

    Raises:
        BadUpload: it is too large, or comes too slowly.
    """
    async with request.app.state.uploads:
        try:
            content = await asyncio.wait_for(body_of(request, MOST_BYTES), RECEIVING_SECONDS)
        except TimeoutError as error:
            raise BadUpload("The recording took too long to arrive; send a shorter one.") from error
        return await run_in_threadpool(make, content)


async def form_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        BadUpload: it is none.
    """
    try:
        form = json.loads(await body_of(request, MOST_FORM_BYTES))
    except (ValueError, RecursionError) as error:
        raise BadUpload("This is not a filled form.") from error
    if not isinstance(form, dict):
        raise BadUpload("This is not a filled form.")
    return form


async def body_of(request: Request, most: int) -> bytes:
    """What was sent, in memory.

    Raises:
        TooLarge: it has more than so many bytes; the rest is not waited for.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise TooLarge(most)
    return bytes(content)
