"""The run folder of an explanation. One process fills it at a time; an unchanged run can be continued in it."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import h5py
import torch
import yaml

from auscult.datamodules.source import Source
from auscult.explain.relevance.explainer import columns_of, lay_out
from auscult.explain.relevance.file import check_own
from auscult.explain.relevance.question import Question
from auscult.mistake import Mistake, Occupied
from auscult.modules.model import Model
from auscult.program.config import differences, read
from auscult.program.earlier_run import add_what_was_no_option, holds_another
from auscult.run import folder as run_folder

log = logging.getLogger(__name__)

COMPLETE, INCOMPLETE = "relevance.h5", "relevance.part.h5"


def prepare(folder: Path, config: dict[str, Any], source: Source, question: Question) -> None:
    """Claims the folder and lays out its relevance file, unless the same run has done so before.

    Raises:
        Mistake: the folder holds another run, or a run of another checkpoint or of other recordings.
        OSError: the disk is full.
    """
    now, before = digest(config, source, question.domain.model), digest_in(folder)
    held = read(folder) if (folder / "config.yaml").exists() else None
    if held is not None:
        add_what_was_no_option(held, config)
    if held is not None and "attribution" in held and (changed := differences(held, config)):
        raise Occupied(holds_another(folder, "an explanation", changed))
    if before is not None and before != now:
        raise Occupied(
            f"{folder} holds an explanation from before its checkpoint or its recordings were changed; name another"
            " folder with hydra.run.dir."
        )
    if (folder / INCOMPLETE).exists():
        with h5py.File(folder / INCOMPLETE) as file:
            if any(name not in file for name in columns_of(source, question)):
                raise Mistake(f"{folder / INCOMPLETE} is of an earlier version of Auscult; remove it to explain anew.")
    run_folder.claim(folder, config, resume=held == config)
    if before is not None:
        log.info("Going on with the run in %s.", folder)
        return
    about = {"config": yaml.safe_dump(config, sort_keys=False), "digest": now}
    lay_out(folder / INCOMPLETE, source, question, about)


def digest(config: dict[str, Any], source: Source, model: Model) -> str:
    """A SHA-256 digest of the network and of the clips: their names, labels and samples.

    The network is that of the checkpoint's bytes; one of the user's own, its weights.
    """
    if config["checkpoint"]:
        with open(config["checkpoint"], "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256")
    else:
        sha256 = hashlib.sha256()
        for name, value in model.state_dict().items():
            sha256.update(name.encode())
            sha256.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    for number, clip in zip(source.dataset.clips, source.clips, strict=True):
        sha256.update(repr((clip.path, clip.speaker, sorted(clip.labels.items()))).encode(errors="surrogateescape"))
        sha256.update(source.dataset.cache.samples(int(number)).tobytes())
    return sha256.hexdigest()


def digest_in(folder: Path) -> str | None:
    """The digest in the relevance file of a folder; None if the folder has no such file."""
    for name in (COMPLETE, INCOMPLETE):
        if (folder / name).exists():
            check_own(folder / name)
            with h5py.File(folder / name) as file:
                return str(file.attrs.get("digest", ""))
    return None
