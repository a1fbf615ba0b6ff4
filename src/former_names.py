"""Names that modules had in earlier versions. They still work in checkpoints, run folders and users' packages.

At first the package was imported as `src`, and most modules lay elsewhere. Since it is `auscult`, some have moved.
"""

import sys
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import CodeType, ModuleType
from typing import Any

FORMER, CURRENT = "src", "auscult"
# name of a module in `src` -> its first name in `auscult`, if the two differ
MOVED = {
    "arguments": "program.arguments",
    "card": "checkpoint.card",
    "checkpoint": "checkpoint.checkpoint",
    "checkpoint_file": "checkpoint.file",
    "command_line": "program.command_line",
    "complaint": "program.complaint",
    "conf": "program.conf",
    "config": "program.config",
    "environment": "program.environment",
    "epoch_table": "run.epoch_table",
    "explain.attribution.Gradient": "explain.attribution.gradients.Gradient",
    "explain.attribution.GradientXInput": "explain.attribution.gradients.GradientXInput",
    "explain.attribution.IntegratedGradients": "explain.attribution.gradients.IntegratedGradients",
    "explain.attribution.SmoothGrad": "explain.attribution.gradients.SmoothGrad",
    "explain.attribution.Occlusion": "explain.attribution.occlusion.Occlusion",
    "explain.attribution.Amplitude": "explain.attribution.controls.Amplitude",
    "explain.attribution.Random": "explain.attribution.controls.Random",
    "explain.attribution": "explain.attribution.base",
    "explain.audible": "explain.show.audible",
    "explain.canvas": "explain.show.canvas",
    "explain.checks": "explain.measures.stability",
    "explain.class_averages": "explain.report.class_averages",
    "explain.class_figures": "explain.report.class_figures",
    "explain.class_findings": "explain.report.class_findings",
    "explain.class_section": "explain.report.class_section",
    "explain.comparison": "sweep.curves",
    "explain.control": "explain.measures.control",
    "explain.cost": "explain.attribution.cost",
    "explain.domain": "explain.domain.domains",
    "explain.energy": "explain.measures.energy",
    "explain.explainer": "explain.relevance.explainer",
    "explain.fill": "explain.measures.fill",
    "explain.findings": "explain.report.findings",
    "explain.forward_check": "explain.attribution.lrp_check",
    "explain.fourier": "explain.domain.fourier",
    "explain.freqrise": "explain.attribution.freqrise",
    "explain.ground_truth": "explain.measures.localisation",
    "explain.inputs": "explain.domain.inputs",
    "explain.intervals": "intervals",
    "explain.interventions": "explain.intervention.interventions",
    "explain.leaderboard_figures": "leaderboard.figures",
    "explain.leaderboard_page": "leaderboard.page",
    "explain.lrp": "explain.attribution.lrp",
    "explain.measures": "explain.measures.catalogue",
    "explain.measures.intervals": "intervals",
    "explain.metrics": "explain.measures.metrics",
    "explain.page": "explain.report.page",
    "explain.panels": "explain.show.clip",
    "explain.perturbation": "explain.measures.perturbation",
    "explain.pitch": "explain.intervention.pitch",
    "explain.plots": "explain.show.plots",
    "explain.question": "explain.relevance.question",
    "explain.ranking": "leaderboard.ranking",
    "explain.relevance_file": "explain.relevance.file",
    "explain.report": "explain.report.html",
    "explain.results": "explain.relevance.results",
    "explain.rise": "explain.attribution.rise",
    "explain.rules": "explain.attribution.lrp_rules",
    "explain.spectra": "explain.show.spectra",
    "explain.typical": "explain.report.class_examples",
    "explanation": "explain.explanation",
    "explanation_folder": "explain.folder",
    "first_validation": "run.first_validation",
    "folder_lock": "run.lock",
    "hardware": "program.hardware",
    "hints": "program.hints",
    "interruption": "program.interruption",
    "leaderboard": "leaderboard.compare",
    "memory": "run.memory",
    "overrides": "program.overrides",
    "own_folder": "program.own_folder",
    "parts": "checkpoint.parts",
    "paths": "program.paths",
    "processes": "run.processes",
    "recipe": "run.recipe",
    "resume": "run.resume",
    "run_folder": "run.folder",
    "serve.record": "serve.record.app",
    "serve.record_corpus": "serve.record.corpus",
    "serve.record_file": "serve.record.file",
    "serve.record_links": "serve.record.links",
    "serve.record_series": "serve.record.series",
    "serve.record_session": "serve.record.session",
    "serve.record_take": "serve.record.take",
    "summary": "sweep.summary",
    "trainer": "run.trainer",
    "trainer_options": "program.trainer_options",
    "training": "run.training",
    "wandb_run": "run.wandb",
}

# earlier name of a module in `auscult` -> its name now
MOVED_SINCE = {
    "checkpoint.parts": "parts",
    "datamodules.audio_file": "datamodules.audio.audio_file",
    "datamodules.class_folders": "datamodules.labels.class_folders",
    "datamodules.energy": "datamodules.audio.energy",
    "datamodules.ffmpeg": "datamodules.audio.ffmpeg",
    "datamodules.mp3": "datamodules.audio.mp3",
    "datamodules.name_pattern": "datamodules.labels.name_pattern",
    "datamodules.quiet": "datamodules.audio.quiet",
    "datamodules.speakers": "datamodules.labels.speakers",
    "datamodules.table": "datamodules.labels.table",
    "datamodules.table_paths": "datamodules.labels.table_paths",
    "datamodules.truncation": "datamodules.audio.truncation",
    "explain.attribution.lrp_check": "explain.lrp.trial",
    "explain.attribution.lrp_rules": "explain.lrp.rules",
    "explain.measures.stability": "explain.measures.checks",
    "explain.measures.stability.Stability": "explain.measures.checks.Checks",
    "explain.source": "datamodules.source",
    "limits": "machine.limits",
    "modules.alexnet": "modules.networks.alexnet",
    "modules.audionet": "modules.networks.audionet",
    "modules.frontends": "modules.audiomnist_front_ends",
    "modules.melcnn": "modules.networks.melcnn",
    "program.hardware": "machine.hardware",
    "program.interruption": "machine.interruption",
    "run.lock": "machine.lock",
    "run.memory": "machine.memory",
    "run.processes": "machine.processes",
    "serve.doorkeeper": "serve.limited_server",
    "serve.listener": "serve.live_model",
    "serve.sharing": "serve.capacity",
    "serve.sparing": "serve.bounded_log",
    "study.planning": "study.sample_size",
}
# callbacks that explained at the end of a training: their options still work, without a class; see `explain_by`
EXPLAINED = ("auscult.explain.callbacks.PerturbationCurves", "auscult.explain.callbacks.InterventionTest")


def current_name(name: str) -> str:
    """The current name of a module, or of something in it: `auscult.run.folder` for `src.run_folder`."""
    first, dot, rest = name.partition(".")
    if first not in (FORMER, CURRENT):
        return name
    if first == FORMER:
        rest = moved(rest, MOVED)
    return CURRENT + dot + moved(rest, MOVED_SINCE)


def moved(name: str, places: dict[str, str]) -> str:
    """A name without the package's, whose longest beginning that is in `places` is replaced."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if (place := places.get(".".join(parts[:count]))) is not None:
            return ".".join([place, *parts[count:]])
    return name


def with_current_names(node: Any) -> Any:
    """A copy of a configuration in plain containers, with the current name in every `_target_`."""
    if isinstance(node, dict):
        current = {
            name: current_name(value) if name == "_target_" and isinstance(value, str) else with_current_names(value)
            for name, value in node.items()
        }
        if current.get("_target_") in EXPLAINED:
            del current["_target_"]
            if current.get("_recursive_") is False:
                del current["_recursive_"]
        return current
    return [with_current_names(value) for value in node] if isinstance(node, list) else node


class FormerNames(MetaPathFinder, InspectLoader):
    """Lets `import src.explain.lrp` give the same module as `import auscult.explain.attribution.lrp`."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a former name; None for other names, and for modules that never existed."""
        current = current_name(fullname)
        if current == fullname or "." not in fullname or find_spec(current) is None:
            return None
        return spec_from_loader(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module under its current name."""
        module = import_module(current_name(spec.name))
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restores the module's own spec, which the import by another name has replaced."""
        module.__spec__ = self.own

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the module, for `python -m src.summary`."""
        spec = find_spec(current_name(fullname))
        return spec.loader.get_code(spec.name) if spec and isinstance(spec.loader, InspectLoader) else None

    def get_source(self, fullname: str) -> None:
        """None: the source belongs to the current name."""
        return None

    def is_package(self, fullname: str) -> bool:
        """False: each former name is imported by itself."""
        return False


def let_former_names_be_imported() -> None:
    """Lets packages that were written for earlier versions import modules by their former names."""
    if not any(isinstance(finder, FormerNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, FormerNames())
