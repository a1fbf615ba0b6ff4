"""`page=record`: people read words aloud, one after the other, and a corpus grows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool

from auscult.explain.report.html import template
from auscult.explain.show.media import data_uri
from auscult.mistake import Mistake
from auscult.serve.options import LOOPBACK
from auscult.serve.reception import form_of, made_of_upload
from auscult.serve.record.corpus import OutOfTurn, RecordingFolder
from auscult.serve.record.links import NoSuchSession
from auscult.serve.record.series import pieces
from auscult.serve.record.session import MOST_LETTERS, OLDEST, Session
from auscult.serve.record.take import Take, take
from auscult.serve.server import site
from auscult.serve.upload import BadUpload, decode

SERIES = 10  # words that may be said in one go: they fit into the longest upload


def page(config: dict[str, Any]) -> FastAPI:
    """The application that a checked configuration describes.

    Raises:
        Mistake: see `RecordingFolder`.
    """
    record = config["record"]
    folder = RecordingFolder(Path(record["root"]), record["words"], record["repetitions"])
    return application(folder, config["names"])


def application(folder: RecordingFolder, names: Sequence[str] = LOOPBACK) -> FastAPI:
    """The application, which keeps recordings in a folder. For `names` see `site`.

    Nothing that a visitor sends becomes part of a path: the token is looked up, and words are the session's.
    """
    app = site(names)
    add_refusals(app)
    add_sessions(app, folder)
    add_recordings(app, folder)
    return app


def add_sessions(app: FastAPI, folder: RecordingFolder) -> None:
    """Adds the pages where speakers begin, go on, and delete."""
    shown = template("record.html.j2", Path(__file__).parent)

    @app.get("/")
    def form() -> HTMLResponse:
        prompts = len(folder.words) * folder.repetitions
        return HTMLResponse(shown.render(part="form", prompts=prompts, letters=MOST_LETTERS, oldest=OLDEST))

    @app.post("/sessions")
    async def begin(request: Request) -> JSONResponse:
        session = await run_in_threadpool(folder.begin, await form_of(request))
        return JSONResponse({"link": f"/session/{session.token}"}, 201)

    @app.get("/session/{token}")
    def stage(token: str) -> HTMLResponse:
        try:
            session = folder.session(token)
        except NoSuchSession as reason:
            return HTMLResponse(shown.render(part="lost", reason=str(reason)), 404)
        return HTMLResponse(shown.render(part="session", pseudonym=session.pseudonym))

    @app.get("/session/{token}/state")
    def state(token: str) -> JSONResponse:
        return JSONResponse(state_of(folder, folder.session(token)))

    @app.delete("/session/{token}")
    def delete(token: str) -> JSONResponse:
        folder.delete(token)
        return JSONResponse({})


def add_recordings(app: FastAPI, folder: RecordingFolder) -> None:
    """Adds the addresses to which speakers send recordings."""

    @app.post("/session/{token}/take")
    async def listen(request: Request, token: str) -> JSONResponse:
        """What would be kept of a recording, which is the whole body."""
        await run_in_threadpool(folder.session, token)
        return JSONResponse(await made_of_upload(request, lambda content: as_json(chosen(content, None)), token))

    @app.post("/session/{token}/series")
    async def cut(request: Request, token: str) -> JSONResponse:
        """What would be kept of a recording of several words."""
        await run_in_threadpool(folder.session, token)

        def cut_up(content: bytes) -> list[dict[str, Any]]:
            return [as_json(piece) for piece in pieces(*decode(content))]

        return JSONResponse(await made_of_upload(request, cut_up, token))

    @app.post("/session/{token}/keep")
    async def keep(request: Request, token: str, place: int, piece: int | None = None) -> JSONResponse:
        """Keeps a recording. The browser sends it once more, and has it until it is on the disk: no crash loses it."""

        def cut_and_kept(content: bytes) -> dict[str, Any]:
            folder.keep(token, place, chosen(content, piece).wav)
            return state_of(folder, folder.session(token))

        await run_in_threadpool(folder.session, token)
        return JSONResponse(await made_of_upload(request, cut_and_kept, token))


def add_refusals(app: FastAPI) -> None:
    """Answers errors with a sentence for the speaker."""
    for kind, status in ((NoSuchSession, 404), (OutOfTurn, 409), (Mistake, 500)):
        app.exception_handler(kind)(lambda request, reason, status=status: JSONResponse({"error": str(reason)}, status))

    @app.exception_handler(OSError)
    def no_room(request: Request, error: Exception) -> JSONResponse:
        reason = getattr(error, "strerror", None) or str(error)
        sentence = f"The disk did not take this ({reason}); what was kept before is safe, and you can try again."
        return JSONResponse({"error": sentence}, 507)


def state_of(folder: RecordingFolder, session: Session) -> dict[str, Any]:
    """Where a session stands: how many prompts are done, and the places and words of those that are next."""
    missing = folder.missing(session)
    return {
        "done": len(session.order) - len(missing),
        "total": len(session.order),
        "next": [{"place": place, "word": session.order[place][0]} for place in missing[:SERIES]],
    }


def chosen(content: bytes, piece: int | None) -> Take:
    """The word of a recording, or one of its several words, counted from 0."""
    if piece is None:
        return take(*decode(content))
    takes = pieces(*decode(content))
    if not 0 <= piece < len(takes):
        raise BadUpload(f"This recording has no piece {piece}.")
    return takes[piece]


def as_json(cut: Take) -> dict[str, Any]:
    """What the page shows of a recording."""
    return {
        "sound": data_uri("audio/wav", cut.wav),
        "envelope": cut.envelope,
        "start": cut.start,
        "stop": cut.stop,
        "seconds": cut.seconds,
        "advice": cut.advice,
    }
