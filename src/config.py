"""Checks a configuration and says what is wrong in one sentence. Imports nothing heavy: `--help` must be quick."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.mistake import Mistake

CONF = Path(__file__).parents[1] / "conf"
EXTRA = ("joblib", "submitit_local", "submitit_slurm")  # what the presets of hydra/launcher are made of
HELP = "`python train.py --help` lists them"
# what decides how many steps a run takes
STEPS = tuple(
    f"trainer.{name}" for name in ("max_epochs", "max_steps", "accumulate_grad_batches", "limit_train_batches")
)
GROUPS = ("data", "task", "model", "optimizer")  # what a checkpoint is bound to

# option, type, lowest, highest, whether null is a value of it
NUMBERS: list[tuple[str, type, float, float, bool]] = [
    ("fold", int, 0, 10**6, False),
    ("seed", int, 0, 2**32 - 1, False),
    ("data.batch_size", int, 1, 10**6, False),
    ("data.clip.sample_rate", int, 100, 10**6, False),
    ("data.clip.seconds", float, 1e-3, 3600, False),
    ("data.clip.highpass_hz", float, 0, 10**6, True),
    ("data.clip.trim_db", float, 0, 1000, True),
    ("data.clip.min_seconds", float, 0, 3600, False),
    ("augmentation.gain_db", float, 0, 100, False),
    ("augmentation.speed", float, 0, 0.5, False),
    ("label_smoothing", float, 0, 1, False),
    ("task.folds", int, 3, 10**6, False),
    ("optimizer.lr", float, 0, 1e3, False),
    ("optimizer.weight_decay", float, 0, 1e3, False),
    ("optimizer.momentum", float, 0, 1, False),
    ("model.network.dropout", float, 0, 1, False),
    ("trainer.max_epochs", int, -1, 10**9, True),
    ("trainer.max_steps", int, -1, 10**12, False),
]


def sorted_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Flags and overrides of a command line, as Hydra can read them.

    It accepts no override behind a flag that is behind an override (`experiment=table1 -m data=audiomnist`), and
    no `data.root=~/clips`, where a shell leaves the tilde as it is.
    """
    overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    flags = [argument for argument in arguments if argument not in overrides]
    return flags, [re.sub(r"^([\w.+]+)=~(/.*)?$", at_home, override) for override in overrides]


def at_home(option: re.Match[str]) -> str:
    path = str(Path.home()) + (option[2] or "")
    return f"{option[1]}={path}" if re.fullmatch(r"[\w/.:+-]+", path) else f'{option[1]}="{path}"'


def register_resolvers() -> None:
    """Makes `${run_dir:…}` and `${hydra_subdir:…}` known, which let a resumed run keep its folder."""
    OmegaConf.register_new_resolver("run_dir", run_folder_of, replace=True)
    # a resumed run keeps the record of how it was started
    OmegaConf.register_new_resolver(
        "hydra_subdir", lambda ckpt_path: None if run_folder_of(ckpt_path, None) else ".hydra", replace=True
    )


def run_folder_of(ckpt_path: str | None, otherwise: str | None) -> str | None:
    """The run folder that holds a checkpoint, or `otherwise` where there is none."""
    path = Path(ckpt_path).expanduser().absolute() if ckpt_path else None
    if path and path.is_file() and path.parent.name == "checkpoints":
        return str(path.parents[1])
    return otherwise


def check(cfg: DictConfig) -> dict[str, Any]:
    """Resolves a configuration into plain containers and checks its values.

    What only the recordings can tell (whether a fold or a label exists) is checked where they are read.

    Raises:
        Mistake: the first value that is missing, of the wrong type or out of range.
    """
    try:
        config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise Mistake(sentence(error)) from error
    for option, kind, low, high, nullable in NUMBERS:
        check_number(config, option, kind, low, high, nullable)
    if config["missing_fold"] not in ("error", "skip"):
        raise Mistake(f"missing_fold={config['missing_fold']} is neither error nor skip.")
    noise = config["augmentation"]["noise_snr_db"]
    if noise is not None and not (
        isinstance(noise, list) and len(noise) == 2 and all(is_number(end) for end in noise) and noise[0] <= noise[1]
    ):
        raise Mistake(f"augmentation.noise_snr_db={noise} is neither null nor [low, high] in dB.")
    classes = config["task"]["classes"]
    if classes is not None and (not isinstance(classes, list) or len(set(map(str, classes))) < 2):
        raise Mistake(f"task.classes={classes} is not a list of two or more different names.")
    for option in ("limit_train_batches", "limit_val_batches", "limit_test_batches"):
        if config["trainer"][option] == 0:
            raise Mistake(f"trainer.{option}=0 would leave nothing to train on, to choose by or to test; leave it out.")
    if str(config["trainer"]["strategy"]).endswith(("_spawn", "_fork", "_notebook")):
        raise Mistake(f"trainer.strategy={config['trainer']['strategy']} is not supported; use ddp.")
    if config["trainer"]["max_epochs"] in (-1, None) and config["trainer"]["max_steps"] == -1:
        raise Mistake("trainer.max_epochs=-1 would train for ever; set trainer.max_epochs or trainer.max_steps.")
    for option in ("root", "csv", "cache_dir"):  # whoever reads the configuration later may stand elsewhere
        path = config["data"].get(option)
        if path and (option != "csv" or Path(path).expanduser().exists()):  # a table may also lie in the root
            config["data"][option] = str(Path(path).expanduser().absolute())
    return config


def check_number(config: dict[str, Any], option: str, kind: type, low: float, high: float, nullable: bool) -> None:
    """Raises a Mistake unless the option is absent, or a number of its kind within its range."""
    value: Any = config
    for name in option.split("."):
        if not isinstance(value, dict):
            raise Mistake(f"{option.rsplit('.', 1)[0]}={value} is not a group of options; {HELP}.")
        if name not in value:
            return
        value = value[name]
    if value is None and nullable:
        return
    if not is_number(value) or (kind is int and not isinstance(value, int)) or not low <= value <= high:
        number = "a whole number" if kind is int else "a number"
        bounds = f"from {low:g} to {high:g}" if high < 1e3 else f"of {low:g} or more"
        raise Mistake(f"{option}={value} is not {number} {bounds}{' or null' if nullable else ''}.")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def resumed(config: dict[str, Any], overrides: Iterable[str], ckpt_path: str) -> dict[str, Any]:
    """A checkpoint's configuration with what the command line changes of it.

    Args:
        config: the checkpoint's own.
        overrides: the command line's, such as `trainer.max_epochs=20`.
        ckpt_path: the checkpoint, for the message.

    Raises:
        Mistake: the command line asks for another network, task, corpus or recipe than the checkpoint's.
    """
    result = OmegaConf.create(config)
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        name, value = override.key_or_group, override.value()
        own = OmegaConf.select(result, name)
        chosen = own["name"] if name in GROUPS else own
        if name == "ckpt_path" or chosen == value:
            continue
        if not name.startswith(("trainer.", "logger", "data.cache_dir", "data.root", "data.csv")):
            raise Mistake(
                f"ckpt_path={ckpt_path} was trained with {name}={chosen}, not {value}; leave {name} out to resume"
                " that run, or leave ckpt_path out to start another."
            )
        if name in STEPS and "total_steps" in config["optimizer"]["schedule"]:
            raise Mistake(
                f"{name}={value} cannot change when resuming: the run's one-cycle schedule ends with its {chosen};"
                f" leave {name} out, or start another run."
            )
        if name == "logger":
            result.logger = OmegaConf.load(CONF / "logger" / f"{value}.yaml")
        else:
            OmegaConf.update(result, name, value, force_add=True)
    result.ckpt_path = ckpt_path
    return check(result)


def sentence(error: Exception, overrides: Iterable[str] = ()) -> str:
    """One sentence for what Hydra or OmegaConf complained about."""
    text = "\n".join(str(cause) for cause in chain(error))
    if found := re.search(r"Could not (?:find|load) '([^'\n]+)/([^'/\n]+)'", text):
        group, name = found.groups()
        if group == "hydra/launcher" and name in EXTRA:
            return "hydra/launcher needs an extra that is not installed; pip install '.[cluster]' in the checkout."
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        if choices:
            return f"{group}={name} is unknown; choose one of {', '.join(choices)}."
    if found := re.search(r"Could not override '([^'\n]+)'", text):
        option = found.group(1).split("@")[0]
        if owners := owners_of(option):
            return f"{option} is an option of {' and '.join(owners)} only; {HELP}."
        close = difflib.get_close_matches(option, options(overrides), n=1, cutoff=0.6)
        return f"{option} is not an option{f' (did you mean {close[0]}?)' if close else ''}; {HELP}."
    if found := re.search(r"Missing mandatory value.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(1)} has no value; set it with {found.group(1)}=…"
    said = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    if isinstance(error, OverrideParseException):
        if "=" not in str(error.override):
            return f"{error.override} is not of the form option=value; {HELP}."
        return (
            f"{said[0].rstrip('.')}; put a value with spaces, brackets, commas or equal signs in two pairs of"
            " quotes: 'option=\"value\"'."
        )
    return f"{' '.join(said[:2]).rstrip('.') or type(error).__name__}; {HELP}."


def owners_of(option: str) -> list[str]:
    """The choices of a group that have an option which the one chosen lacks, such as data=folder for data.pattern."""
    group, _, name = option.partition(".")
    files = sorted((CONF / group).glob("*.yaml")) if name else []
    return [f"{group}={path.stem}" for path in files if name in yaml.safe_load(path.read_text())]


def chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def options(overrides: Iterable[str] = ()) -> list[str]:
    """Every option there is, given the groups chosen on the command line (`data=folder`)."""
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    chosen = [text for text in overrides if text.split("=")[0] in groups and "," not in text]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=chosen)

    def names(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return [path]
        inner = [name for key, value in node.items() for name in names(value, f"{path}.{key}" if path else str(key))]
        return [path, *inner] if path else inner

    return sorted(groups | set(names(OmegaConf.to_container(cfg, resolve=False), "")))
