"""`page=live`: speak or drop a recording, see and hear why a network says what it says."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from auscult.explain.loading import TrainedModel
from auscult.explain.report.html import template
from auscult.pretrained.opening import opened
from auscult.program.conf import choices_of
from auscult.run.trainer import trainer_of
from auscult.run.training import hush
from auscult.serve.capacity import Turns
from auscult.serve.live_model import Answer, LiveModel
from auscult.serve.options import LOOPBACK
from auscult.serve.reception import MOST_WAITING, made_in_turn, made_of_upload
from auscult.serve.server import HERE, site
from auscult.serve.upload import MOST_BYTES, MOST_SECONDS, BadUpload, decode


def page(config: dict[str, Any]) -> FastAPI:
    """The application that a checked configuration describes.

    Raises:
        Mistake: the checkpoint cannot be read or asked, or the accelerator is not there.
    """
    hush()
    device = trainer_of(**config["trainer"], devices=1, logger=False, enable_checkpointing=False).strategy.root_device
    choices = config["attributions"], config["domains"]
    is_ours = config.get("front_end") in choices_of("model/front_end")  # and made for one length
    own_length = bool(config.get("network")) and config["seconds"] is None and not is_ours
    model = LiveModel(TrainedModel.of_subject(opened(config)), *choices, device, config["smoothing"], own_length)
    return application(model, config["names"])


def application(model: LiveModel, names: Sequence[str] = LOOPBACK) -> FastAPI:
    """The application, in which the model answers. For `names` see `site`."""
    app = site(names)
    listening = Turns(1, MOST_WAITING)  # the network listens to one at a time
    page = template("live.html.j2", HERE)
    task = model.trained["task"]["name"]

    @app.get("/")
    def live() -> HTMLResponse:
        return HTMLResponse(
            page.render(
                network=model.trained["model"]["name"], task=task, corpus=model.trained["data"]["name"],
                attributions=list(model.attributions), domains=list(model.domains), classes=model.classes,
                kind=model.model.kind, seconds=MOST_SECONDS, megabytes=MOST_BYTES // 10**6,
            )
        )  # fmt: skip

    @app.post("/explain")
    async def explain(request: Request, attribution: str, domain: str, target: str) -> JSONResponse:
        """The recording is the whole body: no name and no form comes with it."""
        check_choice("attribution", attribution, model.attributions)
        check_choice("domain", domain, model.domains)
        check_choice("target", target, ["predicted", *model.classes])

        clip, cut = await made_of_upload(request, lambda content: model.clip(*decode(content)))
        answer = partial(model, clip, cut, attribution, domain, target)
        return JSONResponse(as_json(await made_in_turn(request, listening, answer)))

    return app


def check_choice(name: str, value: str, choices: Any) -> None:
    """Raises BadUpload if the visitor's choice is none of the choices."""
    if value not in choices:
        raise BadUpload(f"{name.capitalize()} is to be one of {', '.join(choices)}.")


def as_json(answer: Answer) -> dict[str, Any]:
    """The answer as the page reads it. What is seen and heard of the clip is a piece of the page."""
    pieces: Any = template("clip.html.j2").module
    return {
        "prediction": answer.prediction,
        "target": answer.target,
        "named": answer.named,
        "probabilities": list(answer.probabilities.items()),
        "clip": str(pieces.plate(answer.plate)) + str(pieces.sounds(answer.sounds, "your recording")),
        "length": answer.length,
        "cut": answer.cut,
        "seconds": answer.seconds,
    }
