"""`page=study`: people say what they think a network heard, from what they see and hear of its reasons."""

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool

from src.explain.report import template
from src.serve.server import HERE, LOOPBACK, body_of, site
from src.serve.upload import BadUpload
from src.study.materials import Materials, prepared
from src.study.plan import Condition, Trial, trials_of
from src.study.store import Answer, Store
from src.training import hush

SCALE = 5  # ratings, from 1: not at all, to 5: very well
PARTS = ("signal", "picture", "sound")


def page(config: dict[str, Any]) -> FastAPI:
    """The application that a checked configuration describes.

    Raises:
        Mistake: the study cannot be prepared.
    """
    hush()
    asked = config["study"]
    folder = Path(asked["root"]) / asked["name"]
    conditions = [Condition.of(name) for name in asked["conditions"]]
    checkpoints = [path for path in (config["checkpoint"], config["checkpoint_2"]) if path]
    options = {name: asked[name] for name in ("clips", "training", "attention", "seed")}
    materials = prepared(folder, checkpoints, conditions, options, config["data"])
    study = Study(materials, conditions, options["training"], options["attention"], options["seed"])
    return application(study, config["host"])


class Study:
    """A study's materials, plan and answers.

    Args:
        materials: the clips; the first `training` are for training.
        conditions: to be compared.
        training, attention: how many clips and checks of each kind.
        seed: of the orders.
    """

    def __init__(
        self, materials: Materials, conditions: list[Condition], training: int, attention: int, seed: int
    ) -> None:
        self.materials, self.conditions = materials, conditions
        self.options = (materials.classes, training, attention, seed)
        self.store = Store(materials.folder / "answers.sqlite")

    def plan(self, participant: int) -> list[Trial]:
        is_right = [clip.is_right for clip in self.materials.clips]
        return trials_of(participant, is_right, self.conditions, *self.options)

    def file(self, trial: Trial, part: str) -> Path | None:
        """What a part of a trial shows or plays; None where its condition has no such part."""
        form, attribution = trial.condition.form, trial.condition.attribution
        if part == "picture" and form in ("visual", "both"):
            return self.materials.picture(trial.clip, attribution)
        if part == "sound" and form in ("audible", "both"):
            return self.materials.sound(trial.clip, attribution)
        return self.materials.signal(trial.clip) if part == "signal" else None


def application(study: Study, host: str = LOOPBACK[0]) -> FastAPI:
    """The application; see `site`. It tells nobody what a clip is or was taken for, but in the training block."""
    app = site(host)
    shown = template("study.html.j2", HERE)
    about = {"classes": study.materials.classes, "scale": SCALE}

    @app.exception_handler(sqlite3.OperationalError)
    def full(request: Request, reason: Exception) -> JSONResponse:
        return JSONResponse({"error": "Your answer could not be saved. All earlier ones are; try again later."}, 507)

    @app.get("/")
    def welcome() -> HTMLResponse:
        return HTMLResponse(shown.render(part="welcome", trials=len(study.plan(0)), **about))

    @app.post("/participants")
    def join() -> JSONResponse:
        _, token = study.store.join()
        return JSONResponse({"link": f"/participant/{token}"}, 201)

    @app.get("/participant/{token}")
    def session(token: str) -> HTMLResponse:
        if study.store.participant(token) is None:
            return HTMLResponse(shown.render(part="lost", trials=0, **about), 404)
        return HTMLResponse(shown.render(part="session", trials=0, **about))

    @app.get("/participant/{token}/trial")
    def trial(token: str) -> JSONResponse:
        _, plan, number = whose(study, token)
        return JSONResponse(as_json(study, plan, number))

    @app.get("/participant/{token}/trial/{number}/{part}")
    def material(token: str, number: int, part: str) -> FileResponse:
        _, plan, current = whose(study, token)
        file = study.file(plan[number], part) if number == current < len(plan) and part in PARTS else None
        if file is None:
            raise HTTPException(404)
        return FileResponse(file)

    @app.post("/participant/{token}/answer")
    async def answer(request: Request, token: str) -> JSONResponse:
        content = await body_of(request)
        return JSONResponse(await run_in_threadpool(lambda: told_of(study, token, content)))

    return app


def whose(study: Study, token: str) -> tuple[int, list[Trial], int]:
    """The participant with a token, their trials, and which is next."""
    participant = study.store.participant(token)
    if participant is None:
        raise HTTPException(404)
    return participant, study.plan(participant), study.store.answered(participant)


def told_of(study: Study, token: str, content: bytes) -> dict[str, Any]:
    """Keeps an answer, unless there is one, and says what comes next.

    Raises:
        BadUpload: it is no answer, or not to a trial whose turn it is or was.
    """
    participant, plan, current = whose(study, token)
    given = answer_in(content, study.materials.classes)
    if given.trial > current or given.trial >= len(plan):
        raise BadUpload("This is not the trial whose turn it is; load the page again.")
    trial = plan[given.trial]
    if (given.rating is None) != (trial.condition.form == "none"):
        raise BadUpload("An explanation is to be rated, and nothing else; load the page again.")
    study.store.answer(participant, trial, given)
    told = as_json(study, plan, max(current, given.trial + 1))
    if trial.block == "training":
        told["feedback"] = study.materials.clips[trial.clip].prediction
    return told


def as_json(study: Study, plan: list[Trial], number: int) -> dict[str, Any]:
    """What the page is told of the next trial: nothing of the clip but where its parts are to be had."""
    if number >= len(plan):
        return {"number": number, "trials": len(plan), "finished": True}
    trial = plan[number]
    parts = [part for part in PARTS if study.file(trial, part) is not None]
    return {
        "number": number,
        "trials": len(plan),
        "finished": False,
        "block": trial.block,
        "wanted": trial.wanted,
        "parts": parts,
        "time_axis": study.materials.clips[trial.clip].time_axes[trial.condition.attribution]
        if "picture" in parts
        else [],
    }


def answer_in(content: bytes, classes: list[str]) -> Answer:
    """An answer as the page sends it.

    Raises:
        BadUpload: it is none.
    """
    try:
        given = json.loads(content)
        rating = None if given["rating"] is None else int(given["rating"])
        answer = Answer(int(given["trial"]), str(given["guess"]), rating, float(given["seconds"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BadUpload("This is not an answer.") from error
    if answer.guess not in classes:
        raise BadUpload(f"Name one of {', '.join(classes)}.")
    if not (rating is None or 1 <= rating <= SCALE):
        raise BadUpload(f"Rate the explanation from 1 to {SCALE}.")
    if answer.trial < 0 or not 0 <= answer.seconds < math.inf:
        raise BadUpload("This is not an answer.")
    return answer
