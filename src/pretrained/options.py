"""The options that name a network that `train.py` did not make, checked before PyTorch is imported."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.numbers import check_number
from auscult.program.paths import HUB, absolute, checkpoint_at, place_of_hub

NUMBER, LIKENESS = "regression:", "similarity:"  # how a target begins that names a number, or a recording
NETWORK = "auscult.modules.networks.hugging_face.HuggingFace"  # the network of model=hf
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
# options that say something of the network that `network` names
DESCRIBING = (
    "network_options", "weights", "sample_rate", "seconds", "channels", "classes", "front_end", "output", "frames",
    "stretch", "kind",
)  # fmt: skip
KINDS = ("classes", "tags", "number")
NAMES = ("display_name", "name", "label", "class", "category")  # columns of a table of classes, the first that is there
LOWEST_RATE, HIGHEST_RATE = 100, 1_000_000  # hertz
MOST_CHANNELS = 64
MOST_CLASSES = 100_000


def check_pretrained(config: dict[str, Any]) -> None:
    """Checks the options of a network of the user's own, makes paths absolute, and reads the names of its classes.

    Raises:
        Mistake: the first value that is missing, of the wrong type or contradicts another one.
    """
    config["checkpoint"] = config.get("checkpoint") or None
    if config.get("network") in (None, ""):
        if given := [option for option in DESCRIBING if config.get(option) not in (None, "")]:
            raise Mistake(f"{given[0]}=… describes a network that is named by network=…; add it, or leave this out.")
        for option in ("network", "label", *DESCRIBING):
            config.pop(option, None)  # so that the configuration is as if there were no such options
        return
    if config.get("checkpoint") not in (None, ""):
        raise Mistake("network=… and checkpoint=… are both set; keep one: a checkpoint of train.py has its network.")
    if config.get("control") not in (None, ""):
        raise Mistake("control=… compares with another checkpoint of train.py; leave it out with network=….")
    config["network"] = checked_name(config["network"])
    is_hub = config["network"].startswith(HUB)
    check_described(config)
    options = config["network_options"]
    if options is not None and not (isinstance(options, dict) and all(isinstance(name, str) for name in options)):
        raise Mistake(f"network_options={shown(options)} are no options; say 'network_options={{width: 64}}'.")
    if is_hub and options:
        raise Mistake("network_options are of a network in Python; one of Hugging Face has its own config.json.")
    check_stretch(config)
    if config["kind"] not in (None, *KINDS):
        raise Mistake(f"kind={shown(config['kind'])} is unknown; choose {', '.join(KINDS)}, or leave it out.")
    check_weights(config)
    target = str(config.get("target"))
    if target.startswith((NUMBER, LIKENESS)):
        config["kind"] = "number"
    config["classes"] = classes_of(config["classes"], 1 if config["kind"] == "number" else 2)
    if target.startswith(NUMBER) and config["classes"] is None and not target.removeprefix(NUMBER).isdigit():
        config["classes"] = [target.removeprefix(NUMBER)]
    if not re.fullmatch(r"[^\W\d]\w*", str(config["label"])):
        raise Mistake(f"label={shown(config['label'])} is no name of a column of data.csv or a group of data.pattern.")


def check_described(config: dict[str, Any]) -> None:
    """Raises a Mistake if the rate, the length, the channels or the frames of a network's clips are impossible."""
    check_number(config, "sample_rate", int, LOWEST_RATE, HIGHEST_RATE, True)
    check_number(config, "seconds", float, 0.001, 3600, True)
    check_number(config, "channels", int, 1, MOST_CHANNELS, True)
    frames = config.get("frames")
    if frames is not None and (config.get("channels") or 1) > 1:
        raise Mistake("frames=… cuts clips of one channel; leave channels out.")
    if frames is not None and not (
        isinstance(frames, list) and len(frames) == 2 and all(type(each) is int and each > 0 for each in frames)
    ):
        raise Mistake(f"frames={shown(frames)} is no window and hop in samples, such as [1024,160].")


def check_stretch(config: dict[str, Any]) -> None:
    """Raises a Mistake if `stretch` is no part of a clip, in seconds."""
    stretch = config["stretch"]
    if stretch is None:
        return
    if not isinstance(stretch, list) or len(stretch) != 2 or not all(type(end) in (int, float) for end in stretch):
        raise Mistake(f"stretch={shown(stretch)} has no beginning and end in seconds, such as [0.5,1.2].")
    if not 0 <= stretch[0] < stretch[1]:
        raise Mistake(f"stretch={shown(stretch)} does not end after it begins; say [0.5,1.2].")


def checked_name(network: Any) -> str:
    """The option `network`, with an absolute path where it names a file.

    Raises:
        Mistake: it is none of the three forms, or names a file that does not exist.
    """
    forms = f"say my_package.nets:CNN, my_nets.py:CNN, or {HUB} with a name or folder of Hugging Face"
    if not isinstance(network, str):
        raise Mistake(f"network={shown(network)} is no name of a network; {forms}.")
    if network.startswith(HUB):
        place = network.removeprefix(HUB)
        if not place:
            raise Mistake(f"network={HUB} names no network; {forms}.")
        return HUB + place_of_hub(place)
    place, _, name = network.rpartition(":")
    if not place or not name.isidentifier():
        if Path(network).suffix in WEIGHTS:
            raise Mistake(f"network={shown(network)} are weights; name the class by network=…, and them by weights=….")
        if os.path.isfile(os.path.join(network, "config.json")):
            raise Mistake(f"network={shown(network)} is a folder of Hugging Face; say network={HUB}{shown(network)}.")
        raise Mistake(f"network={shown(network)} names no class or function; {forms}.")
    if place.endswith(".py"):
        path = absolute("network", place)
        if not os.path.isfile(path):
            raise Mistake(f"network={shown(network)}: there is no file {path}; {forms}.")
        return f"{path}:{name}"
    if not all(part.isidentifier() for part in place.split(".")):
        raise Mistake(f"network={shown(network)} is neither a module nor a file; {forms}.")
    return network


def check_weights(config: dict[str, Any]) -> None:
    """Makes the path of the weights absolute. Raises a Mistake if there is no such file, or one of another kind."""
    if config["weights"] in (None, ""):
        config["weights"] = None
        return
    path = weights_at("weights", config["weights"])
    if config["network"].startswith(HUB):
        raise Mistake("weights=… are of a network in Python; one of Hugging Face has its weights in its folder.")
    config["weights"] = path


def weights_at(option: str, value: Any) -> str:
    """The absolute path of a file of weights, also by the run folder that holds it.

    Raises:
        Mistake: there is no such file, or it is of another kind.
    """
    path = Path(absolute(option, value))
    if path.is_dir():
        return checkpoint_at(option, value)
    if not path.is_file():
        raise Mistake(
            f"{option}={shown(value)} is no file and no run folder; name a state dict, such as best.safetensors."
        )
    if path.suffix not in WEIGHTS:
        raise Mistake(f"{option}={shown(value)} is none of {', '.join(WEIGHTS)}; save the state dict as one.")
    return str(path)


def classes_of(value: Any, fewest: int = 2) -> list[str] | None:
    """The names of classes, in the order of the logits: a list, a text with a line for each, a JSON file, or a table.

    Raises:
        Mistake: there is no such file, or it holds no names that all differ.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return checked_classes(value, "classes", fewest)
    path = Path(absolute("classes", value))
    if not path.is_file():
        raise Mistake(f"classes={shown(value)} is no file; name one with a line per class, or list them: [cat,dog].")
    option = f"classes={shown(value)}"
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            names: Iterable[Any] = names_in(json.loads(text))
        elif path.suffix in (".csv", ".tsv"):
            rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ","))
            column = next((name for name in NAMES if rows and name in rows[0]), None)
            if column is None:
                raise Mistake(f"{option} has none of the columns {', '.join(NAMES)}; name its column of names so.")
            names = [row[column] for row in rows]
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise Mistake(f"{option} cannot be read ({error.strerror}); check its permissions.") from error
    except (ValueError, csv.Error) as error:
        raise Mistake(f"{option} cannot be read ({shown(error, 160)}); write a line per class.") from error
    return checked_classes(names, option, fewest)


def names_in(content: Any) -> list[Any]:
    """The names in a JSON file: a list, or a group `{"0": "cat"}` or `{"cat": 0}`, also as its `id2label`."""
    if isinstance(content, dict) and isinstance(content.get("id2label"), dict):
        content = content["id2label"]
    if isinstance(content, dict):
        if all(isinstance(number, int) for number in content.values()):
            content = {number: name for name, number in content.items()}
        numbered = {int(number): name for number, name in content.items()}
        if sorted(numbered) != list(range(len(numbered))):
            raise ValueError("its numbers are not 0, 1, 2, ...")
        return [numbered[number] for number in range(len(numbered))]
    return content if isinstance(content, list) else [content]


def checked_classes(names: Iterable[Any], option: str, fewest: int = 2) -> list[str]:
    """The names as texts.

    Raises:
        Mistake: they are fewer than two, too many, no names, or not all different.
    """
    words = [str(name).lower() if isinstance(name, bool) else str(name).strip() for name in names]
    if len(words) < fewest or len(words) > MOST_CLASSES or not all(words):
        wanted = "two or more" if fewest > 1 else "one or more"
        raise Mistake(f"{option} has {len(words)} names of classes; {wanted} are wanted, none of them empty.")
    name, times = Counter(words).most_common(1)[0]
    if times > 1:
        raise Mistake(f"{option} names {shown(name)} {times} times; the names are to differ.")
    return words
