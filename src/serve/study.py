"""`page=study`: people see and hear explanations, and say what they think the network heard."""

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool

from auscult.explain.report.html import template
from auscult.run.training import hush
from auscult.serve.options import LOOPBACK
from auscult.serve.reception import form_of
from auscult.serve.server import HERE, site
from auscult.serve.upload import BadUpload
from auscult.study.materials import Materials, prepared
from auscult.study.plan import SCALE, Condition, Plan, Trial
from auscult.study.store import Answer, Store
from auscult.study.subjects import subjects_of

PARTS = ("signal", "picture", "sound")


def page(config: dict[str, Any]) -> FastAPI:
    """The application that a checked configuration describes.

    Raises:
        Mistake: the study cannot be prepared.
    """
    hush()
    settings = config["study"]
    folder = Path(settings["root"]) / settings["name"]
    conditions = [Condition.of(name) for name in settings["conditions"]]
    options = {name: settings[name] for name in ("clips", "training", "attention", "seed", "primary", "smoothing")}
    materials = prepared(folder, subjects_of(config), conditions, options, config["data"], config["input"])
    study = Study(materials, conditions, options["training"], options["attention"], options["seed"])
    return application(study, config["names"])


class Study:
    """A study's materials, plan and answers.

    Args:
        materials: the clips; the first `training` are for training.
        conditions: those that are compared.
        training, attention: how many clips for practice, and how many attention checks.
        seed: for the orders of the clips.
    """

    def __init__(
        self, materials: Materials, conditions: list[Condition], training: int, attention: int, seed: int
    ) -> None:
        self.materials = materials
        self.plan = Plan(materials.clips, conditions, materials.classes, training, attention, seed)
        self.store = Store(materials.folder / "answers.sqlite")
        self.store.require_conditions([condition.name for condition in conditions])

    @property
    def length(self) -> int:
        """How many trials a participant has."""
        return len(self.plan.trials(0, 0))

    def trials(self, participant: int, answered: int) -> list[Trial]:
        """The trials of a participant. Their turn is only decided when they have answered those for practice."""
        is_practising = answered < self.plan.training
        turn = 0 if is_practising else self.store.turn(participant, len(self.plan.conditions))
        return self.plan.trials(participant, turn)

    def file(self, trial: Trial, part: str) -> Path | None:
        """What a part of a trial shows or plays; None where its condition has no such part."""
        form, attribution = trial.condition.form, trial.condition.attribution
        if part == "picture" and form in ("visual", "both"):
            return self.materials.picture(trial.clip, attribution)
        if part == "sound" and form in ("audible", "both"):
            return self.materials.sound(trial.clip, attribution)
        return self.materials.signal(trial.clip) if part == "signal" else None


def application(study: Study, names: Sequence[str] = LOOPBACK) -> FastAPI:
    """The application; see `site`. Only in the training block it says, after an answer, what the network predicted."""
    app = site(names)
    shown = template("study.html.j2", HERE)
    about = {"classes": study.materials.classes, "scale": SCALE, "trials": study.length}

    @app.exception_handler(sqlite3.OperationalError)
    def full(request: Request, reason: Exception) -> JSONResponse:
        return JSONResponse(
            {"error": "Your answer could not be saved; try again later. Your earlier answers are safe."}, 507
        )

    @app.get("/")
    def welcome() -> HTMLResponse:
        return HTMLResponse(shown.render(part="welcome", **about))

    @app.post("/participants")
    def join() -> JSONResponse:
        _, token = study.store.join()
        return JSONResponse({"link": f"/participant/{token}"}, 201)

    @app.get("/participant/{token}")
    def session(token: str) -> HTMLResponse:
        if study.store.participant(token) is None:
            return HTMLResponse(shown.render(part="lost", **about), 404)
        return HTMLResponse(shown.render(part="session", **about))

    @app.get("/participant/{token}/trial")
    def trial(token: str) -> JSONResponse:
        participant, trials, number = whose(study, token)
        return JSONResponse(handed_out(study, participant, trials, number))

    @app.get("/participant/{token}/trial/{number}/{part}")
    def material(token: str, number: int, part: str) -> Response:
        _, trials, current = whose(study, token)
        file = study.file(trials[number], part) if number == current < len(trials) and part in PARTS else None
        if file is None:
            raise HTTPException(404)
        # without the file's name and date, which might tell what it shows
        return Response(file.read_bytes(), media_type="image/png" if part == "picture" else "audio/wav")

    @app.post("/participant/{token}/answer")
    async def answer(request: Request, token: str) -> JSONResponse:
        form = await form_of(request)
        return JSONResponse(await run_in_threadpool(told_of, study, token, form))

    return app


def whose(study: Study, token: str) -> tuple[int, list[Trial], int]:
    """The participant with a token, their trials, and which is next."""
    participant = study.store.participant(token)
    if participant is None:
        raise HTTPException(404)
    answered = study.store.answered(participant)
    return participant, study.trials(participant, answered), answered


def told_of(study: Study, token: str, form: dict[str, Any]) -> dict[str, Any]:
    """Keeps an answer, unless its trial has one, and returns what the page is told next.

    Raises:
        BadUpload: the form is no answer, or answers a trial that is still to come.
    """
    participant, trials, current = whose(study, token)
    answer = answer_in(form, study.materials.classes)
    if answer.trial > current or answer.trial >= len(trials):
        raise BadUpload("This is not the trial whose turn it is; load the page again.")
    trial = trials[answer.trial]
    if (answer.rating is None) != (trial.condition.form == "none"):
        raise BadUpload("An explanation is to be rated, and nothing else; load the page again.")
    study.store.hand_out(participant, answer.trial)  # if it was not yet: then its answer took no time
    study.store.answer(participant, trial, answer)
    following = max(current, answer.trial + 1)
    told = handed_out(study, participant, study.trials(participant, following), following)
    if trial.block == "training":
        told["feedback"] = study.materials.clips[trial.clip].prediction
    return told


def handed_out(study: Study, participant: int, trials: list[Trial], number: int) -> dict[str, Any]:
    """What the page is told of the next trial. The time of the trial begins."""
    if number < len(trials):
        study.store.hand_out(participant, number)
    return as_json(study, trials, number)


def as_json(study: Study, trials: list[Trial], number: int) -> dict[str, Any]:
    """What the page is told of the next trial. Of the clip, it is only told which parts there are."""
    if number >= len(trials):
        return {"number": number, "trials": len(trials), "finished": True}
    trial = trials[number]
    parts = [part for part in PARTS if study.file(trial, part) is not None]
    axes = study.materials.clips[trial.clip].time_axes
    return {
        "number": number,
        "trials": len(trials),
        "finished": False,
        "block": trial.block,
        "wanted": trial.wanted,
        "parts": parts,
        "time_axis": axes[trial.condition.attribution] if "picture" in parts else [],
    }


def answer_in(form: dict[str, Any], classes: list[str]) -> Answer:
    """The answer in a form that the page sent.

    Raises:
        BadUpload: there is none, or it has values that cannot be.
    """
    try:
        rating = None if form["rating"] is None else int(form["rating"])
        answer = Answer(int(form["trial"]), str(form["guess"]), rating, float(form["seconds"]))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadUpload("This is not an answer.") from error
    if answer.guess not in classes:
        raise BadUpload(f"Name one of {', '.join(classes)}.")
    if not (rating is None or 1 <= rating <= SCALE):
        raise BadUpload(f"Rate the explanation from 1 to {SCALE}.")
    if answer.trial < 0 or not 0 <= answer.seconds < math.inf:
        raise BadUpload("This is not an answer.")
    return answer
