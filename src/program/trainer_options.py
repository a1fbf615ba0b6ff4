"""The arguments of Lightning's Trainer: which are passed on, with what values, and what to use instead of the others.

Imports nothing heavy, so that a wrong option is named at once. A test compares this file with Lightning.
"""

import difflib
import re
from typing import Any, NamedTuple

from auscult.mistake import Mistake
from auscult.plain_data import typed


class Number(NamedTuple):
    """A number of `low` or more, or null if that is `nullable`."""

    kind: type
    low: float
    nullable: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value is a number of this kind, and not below the lowest."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (self.kind is float or isinstance(value, int)) and self.low <= value < float("inf")

    def __str__(self) -> str:
        return f"{'a whole number' if self.kind is int else 'a number'} of {self.low:g} or more"


class Batches(NamedTuple):
    """A number of batches, or a share of them."""

    nullable: bool = True
    none: bool = False  # whether it takes 0
    time: bool = False  # whether it takes a time

    def takes(self, value: Any) -> bool:
        """Whether a value is a number of batches, a share of them, or a time if that is allowed."""
        if self.time and Time().takes(value):
            return True
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return (self.none and value == 0) or (value >= 1 if isinstance(value, int) else 0 < value <= 1)

    def __str__(self) -> str:
        end = ', a time such as "00:00:10:00"' if self.time else ""
        return f"a whole number of batches, a share such as 0.5{' (1.0 is all)' if not self.time else ''}{end}"


class Time(NamedTuple):
    """A time, as text "days:hours:minutes:seconds" or a mapping of these names to numbers of 0 or more."""

    nullable: bool = True

    def takes(self, value: Any) -> bool:
        """Whether Lightning can read a value as a time."""
        if isinstance(value, dict):
            return bool(value) and all(
                name in ("days", "hours", "minutes", "seconds") and Number(float, 0).takes(part)
                for name, part in value.items()
            )
        return isinstance(value, str) and re.fullmatch(r"\d+:\d\d:\d\d:\d\d", value) is not None

    def __str__(self) -> str:
        return 'a time such as "00:02:00:00" (days:hours:minutes:seconds)'


class Choice(NamedTuple):
    """One of some values. The type counts, too: 1 is not True."""

    values: tuple[Any, ...]
    nullable: bool = True

    def takes(self, value: Any) -> bool:
        """Whether a value is one of the choices."""
        return any(value == own and type(value) is type(own) for own in self.values)

    def __str__(self) -> str:
        return f"one of {', '.join(dict.fromkeys(map(str, self.values))).lower()}"


class Anything(NamedTuple):
    """Any value: only Lightning and this machine can tell whether it is right."""

    nullable: bool = False

    def takes(self, value: Any) -> bool:
        """Lightning decides."""
        return True


YES_OR_NO = Choice((True, False), nullable=False)
MAYBE = Choice((True, False))
PRECISIONS = (
    64, 32, 16, "transformer-engine", "transformer-engine-float16", "16-true", "16-mixed", "bf16-true", "bf16-mixed",
    "32-true", "64-true", "64", "32", "16", "bf16",
)  # fmt: skip

Kind = Number | Batches | Time | Choice | Anything
OPTIONS: dict[str, Kind] = {
    "accelerator": Anything(),
    "devices": Anything(),
    "strategy": Anything(),
    "precision": Choice(PRECISIONS),
    "max_epochs": Number(int, -1, nullable=True),
    "min_epochs": Number(int, 0, nullable=True),
    "max_steps": Number(int, -1),
    "min_steps": Number(int, 0, nullable=True),
    "max_time": Time(),
    "gradient_clip_val": Number(float, 0, nullable=True),
    "gradient_clip_algorithm": Choice(("norm", "value")),
    "accumulate_grad_batches": Number(int, 1),
    "limit_train_batches": Batches(),
    "limit_val_batches": Batches(),
    "limit_test_batches": Batches(),
    "limit_predict_batches": Batches(none=True),
    "overfit_batches": Batches(none=True, nullable=False),
    "val_check_interval": Batches(time=True),
    "check_val_every_n_epoch": Number(int, 1, nullable=True),
    "num_sanity_val_steps": Number(int, -1, nullable=True),
    "reload_dataloaders_every_n_epochs": Number(int, 0),
    "log_every_n_steps": Number(int, 0, nullable=True),
    "enable_progress_bar": YES_OR_NO,
    "enable_model_summary": MAYBE,
    "enable_autolog_hparams": YES_OR_NO,
    "inference_mode": YES_OR_NO,
    "deterministic": Choice((True, False, "warn")),
    "benchmark": MAYBE,
    "detect_anomaly": YES_OR_NO,
    "profiler": Choice(("simple", "advanced", "pytorch")),
    "sync_batchnorm": YES_OR_NO,
}

NEEDED = ("limit_train_batches", "limit_val_batches", "limit_test_batches")

NOTHING: tuple[Any, ...] = ()
# options that the program sets itself, the values that change nothing, and what to use instead
INSTEAD: dict[str, tuple[tuple[Any, ...], str]] = {
    "default_root_dir": (NOTHING, "hydra.run.dir says where a run goes"),
    "logger": (NOTHING, "choose logger=csv or logger=wandb"),
    "callbacks": (
        NOTHING,
        "choose callbacks=explain or callbacks=intervention, or a YAML of your own in conf/callbacks",
    ),
    "plugins": (NOTHING, "trainer.precision and trainer.strategy choose what Lightning plugs in"),
    "use_distributed_sampler": (NOTHING, "clips are shared out over trainer.devices without it"),
    "enable_checkpointing": (
        (True, None),
        "best.ckpt is what is tested in the end; keep_last says what stays beside it",
    ),
    "barebones": ((False,), "it leaves nothing to test; speed/training.py measures speed"),
    "model_registry": ((None,), "logger=wandb keeps track of models"),
    "num_nodes": ((1,), "a run stays on one machine: trainer.devices says on how many devices"),
    "fast_dev_run": (
        (False, 0),
        "trainer.limit_train_batches=1 trainer.limit_val_batches=1 trainer.limit_test_batches=1 trainer.max_epochs=1"
        " goes through everything once",
    ),
}
# the same for explain.py and benchmark.py
INSTEAD_OF_EXPLAINING = INSTEAD | {
    "callbacks": (NOTHING, "the report needs none"),
    "logger": (NOTHING, "the results are in the run folder; benchmark.py has logger=wandb"),
    "enable_checkpointing": ((False, None), "an explanation trains nothing; leave it out"),
    "enable_model_summary": ((False, None), "python train.py trainer.enable_model_summary=true shows the network"),
    "inference_mode": ((False,), "relevance needs gradients; leave it out"),
    "fast_dev_run": ((False, 0), "limit=1 goes through everything with one clip"),
    "limit_predict_batches": ((None, 1.0), "limit=… says how many clips are explained"),
}


def refusal(name: str, value: str = "…", explaining: bool = False) -> str | None:
    """The sentence for an argument that the program sets itself; None for any other."""
    instead = INSTEAD_OF_EXPLAINING if explaining else INSTEAD
    if name not in instead:
        return None
    return f"trainer.{name}={value} is not yours to set here: {instead[name][1]}."


def check_trainer(options: Any, explaining: bool = False) -> dict[str, Any]:
    """Checks the options for Lightning's Trainer, and returns those that are passed on to it.

    Raises:
        Mistake: an argument does not exist, is set by the program itself, or has a value of no use.
    """
    if not isinstance(options, dict):
        raise Mistake(f"trainer={options} is not a group of options; leave it out.")
    instead = INSTEAD_OF_EXPLAINING if explaining else INSTEAD
    for name, value in options.items():
        if name in NEEDED and value == 0 and not explaining and not isinstance(value, bool):
            raise Mistake(f"trainer.{name}=0 would leave nothing to train on, to choose by or to test; leave it out.")
        if name in instead:
            if not any(value == own and type(value) is type(own) for own in instead[name][0]):
                raise Mistake(str(refusal(name, value, explaining)))
        elif name not in OPTIONS:
            close = difflib.get_close_matches(str(name), [*OPTIONS, *INSTEAD], n=1)
            meant = f" (did you mean trainer.{close[0]}?)" if close else ""
            raise Mistake(f"trainer.{name} is not an argument of Lightning's Trainer{meant}; leave it out.")
        elif not (value is None and OPTIONS[name].nullable) and not OPTIONS[name].takes(value):
            kind = OPTIONS[name]
            if name == "precision":
                raise Mistake(
                    f"trainer.precision={value} is not known; say bf16-mixed, 16-mixed (on a GPU), 32-true, 64-true,"
                    " bf16-true or 16-true; null is 32."
                )
            raise Mistake(f"trainer.{name}={typed(value)} is not {kind}{' or null' if kind.nullable else ''}.")
    return {name: value for name, value in options.items() if name not in instead}


def check_training(options: dict[str, Any]) -> None:
    """Checks that the arguments fit together, as far as the configuration alone can tell.

    Raises:
        Mistake: a run with them would not end, or would have nothing to choose by.
    """
    if str(options.get("strategy", "")).endswith(("_spawn", "_fork", "_notebook")):
        raise Mistake(f"trainer.strategy={options['strategy']} is not supported; use ddp.")
    epochs, steps = options.get("max_epochs"), options.get("max_steps", -1)
    if epochs in (-1, None) and steps == -1:
        raise Mistake("trainer.max_epochs=-1 would train for ever; set trainer.max_epochs or trainer.max_steps.")
    if epochs == 0 or steps == 0:
        name = "max_epochs" if epochs == 0 else "max_steps"
        raise Mistake(f"trainer.{name}=0 would leave nothing to test; set 1 or more.")
    every = options.get("check_val_every_n_epoch", 1)
    if every is None and not isinstance(options.get("val_check_interval"), int | str | dict):
        raise Mistake(
            "trainer.check_val_every_n_epoch=null needs trainer.val_check_interval=…, a whole number of batches or a"
            " time."
        )
    if every is not None and epochs not in (-1, None) and every > epochs:
        raise Mistake(
            f"trainer.check_val_every_n_epoch={every} would validate none of {epochs} epochs, which leaves nothing to"
            f" choose by; set {epochs} or less."
        )
    if (options.get("min_epochs") or 0) > (epochs if epochs not in (-1, None) else float("inf")):
        raise Mistake(f"trainer.min_epochs={options['min_epochs']} is more than trainer.max_epochs={epochs}.")
    if (options.get("min_steps") or 0) > (steps if steps != -1 else float("inf")):
        raise Mistake(f"trainer.min_steps={options['min_steps']} is more than trainer.max_steps={steps}.")
