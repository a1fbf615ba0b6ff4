"""The web application: pages, what they ask, and what is refused."""

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pytorch_lightning import Trainer
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from src.explain.report import template
from src.mistake import Mistake
from src.serve.listener import Answer, Listener
from src.serve.upload import MOST_BYTES, MOST_SECONDS, TOO_LARGE, BadUpload, decode
from src.training import hush

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; media-src data:"
    " blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}


def serve(config: dict[str, Any]) -> None:
    """Serves the page that a checked configuration describes, until it is interrupted.

    Raises:
        Mistake: the checkpoint cannot be read or asked, or nobody can be served there.
    """
    hush()
    trainer = Trainer(**config["trainer"], devices=1, logger=False, enable_checkpointing=False)
    device = trainer.strategy.root_device
    listener = Listener(config["checkpoint"], config["attributions"], config["domains"], device)
    host, port = config["host"], config["port"]
    try:
        door = socket.create_server((host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Mistake(f"host={host} port={port} cannot be served ({reason}); choose others.") from error
    log.info("Listening at http://%s:%d (Ctrl-C ends it)", host, door.getsockname()[1])
    uvicorn.Server(uvicorn.Config(application(listener, host), log_level="warning")).run([door])


def application(listener: Listener, host: str = LOOPBACK[0]) -> FastAPI:
    """The application.

    Args:
        listener: that answers.
        host: it is bound to. Of this machine alone, nobody can be led to it by another name.
    """
    app = FastAPI(openapi_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.middleware("http")(guarded)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK) if host in LOOPBACK else ["*"])
    page = template("live.html.j2", HERE)
    task = listener.trained["task"]["name"]

    @app.get("/")
    def live() -> HTMLResponse:
        return HTMLResponse(
            page.render(
                network=listener.trained["model"]["name"], task=task, corpus=listener.trained["data"]["name"],
                attributions=list(listener.attributions), domains=list(listener.domains), classes=listener.classes,
                seconds=MOST_SECONDS, megabytes=MOST_BYTES // 10**6,
            )
        )  # fmt: skip

    @app.post("/explain")
    async def explain(request: Request, attribution: str, domain: str, target: str) -> JSONResponse:
        """The recording is the whole body: no name and no form comes with it."""
        try:
            check_choice("attribution", attribution, listener.attributions)
            check_choice("domain", domain, listener.domains)
            check_choice("target", target, ["predicted", *listener.classes])
            content = await body_of(request)
            answer = await run_in_threadpool(lambda: listener(*decode(content), attribution, domain, target))
        except BadUpload as reason:
            return JSONResponse({"error": str(reason)}, 413 if str(reason) == TOO_LARGE else 422)
        return JSONResponse(as_json(answer))

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


def check_choice(name: str, value: str, choices: Any) -> None:
    if value not in choices:
        raise BadUpload(f"{name.capitalize()} is to be one of {', '.join(choices)}.")


def as_json(answer: Answer) -> dict[str, Any]:
    """What the page is told."""
    return {
        "prediction": answer.prediction,
        "target": answer.target,
        "probabilities": list(answer.probabilities.items()),
        "picture": {
            "uri": answer.picture.uri,
            "size": answer.picture.size,
            "alt": answer.picture.alt,
            "time_axis": answer.picture.time_axis,
        },
        "sounds": [{"name": sound.name, "uri": sound.uri} for sound in answer.sounds],
        "cut": answer.cut,
        "seconds": answer.seconds,
    }
