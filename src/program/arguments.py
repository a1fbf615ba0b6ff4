"""Rewrites the words of a command line for Hydra, or says in one sentence what is wrong with them.

Imports nothing heavy, so that a mistake in a word is named at once.
"""

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from auscult.mistake import Mistake
from auscult.program.conf import CONF, PROGRAMS, top_level
from auscult.program.hints import meant

PATHS = (
    "checkpoint", "checkpoint_2", "control", "ckpt_path", "input", "results", "data.root", "data.name", "data.csv",
    "data.speakers", "data.cache_dir", "record.root", "study.root", "hydra.run.dir", "hydra.sweep.dir",
)  # fmt: skip
EXPRESSIONS = ("data.pattern",)  # regular expressions, whose characters mean something else to Hydra
ANY = ("…",)
# Hydra's flags, and the values that some take; --experimental-rerun is left out, as it runs what a file says
FLAGS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (
        "-h", "--help", "--hydra-help", "--version", "-r", "--run", "-m", "--multirun", "--resolve",
        "-sc", "--shell-completion",
    ), ()
)  # fmt: skip
FLAGS |= dict.fromkeys(("-p", "--package", "-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir"), ANY)
FLAGS |= dict.fromkeys(("-c", "--cfg"), ("job", "hydra", "all"))
FLAGS |= dict.fromkeys(("-i", "--info"), ("", "all", "config", "defaults", "defaults-tree", "plugins", "searchpath"))
MULTIRUN = ("-m", "--multirun")
DASHES = ("–", "—", "−")  # en dash, em dash and minus, as in commands that are copied from a page
SETS = re.compile(r"[~+]*[\w./@:]+=")  # how an override begins


def arranged(words: Sequence[str], program: str) -> list[str]:
    """The words of a command line, as Hydra can read them: first overrides, then flags.

    Hydra refuses an override behind a flag that is behind an override (`experiment=table1 -m data=audiomnist`). It also
    refuses `data.root=~/clips`, as a shell leaves this tilde as it is, and letters beyond a to z in a path.

    Args:
        program: the program of the command line, "train", "explain", ...

    Raises:
        Mistake: the first word that is neither a flag nor an override.
    """
    refuse_torn(words)
    if program == "serve" and set(MULTIRUN) & set(words):
        raise Mistake("serve.py has no -m, as it serves until it is ended; start it once for each value.")
    overrides: list[str] = []
    flags: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            flags += flag(word, rest, program)
        elif re.fullmatch(r"~[\w./@]+", word):
            overrides.append(word)
        elif "=" in word:
            refuse_bundled(word)
            if word.endswith(","):
                raise Mistake(f"{word} ends with a comma; say {word.rstrip(',')}.")
            overrides.append(readable(word))
        else:
            if word.startswith(DASHES):
                raise Mistake(f"{word} begins with a dash that is no hyphen; say -{word.lstrip(''.join(DASHES))}.")
            before = words[len(words) - len(rest) - 2] if len(rest) + 1 < len(words) else ""
            if before.partition("=")[0] in PATHS and os.path.exists(before.partition("=")[2]):
                raise Mistake(
                    f"{before} {word} names two; say -m {before},{word} to run with each, or name a folder that holds"
                    " both."
                )
            if before.partition("=")[0] in PATHS:
                raise Mistake(f"{before} {word} has a space in it; put quotes around it: '{before} {word}'.")
            if re.fullmatch(r"[\w.]+=[\d.,]+", before) and re.fullmatch(r"[\d.]+", word):
                raise Mistake(f"{before} {word} has a space in it; say -m {before},{word} to run with each value.")
            raise Mistake(f"{word} is not of the form option=value{meant_by_word(word, program)}; --help lists them.")
    return overrides + flags


def refuse_torn(words: Sequence[str]) -> None:
    """Raises a Mistake if a space stands within an option's value or around its equal sign."""
    for number, word in enumerate(words):
        if "=" not in word or word.startswith("-"):
            continue
        first = number
        if word.startswith("=") and number and is_bare(words[number - 1]):
            first = number - 1
        end = number + 1
        while end < len(words) and goes_on("".join(words[first:end]), words[end]):
            end += 1
        if end - first > 1:
            whole = "".join(words[first:end])
            if re.match(r"[\w.]+=\{", whole):
                pairs = re.findall(r"(\w+):\s*([^\s,{}]+)", " ".join(words[first:end]))
                each = " ".join(f"{whole.partition('=')[0]}.{name}={value}" for name, value in pairs)
                raise Mistake(f"{' '.join(words[first:end])} has a space in it; say {each or in_shell(whole)}.")
            several = "," in whole and not re.search(r"[\[({]", whole) and not set(MULTIRUN) & set(words)
            raise Mistake(
                f"{' '.join(words[first:end])} has a space in it; say {'-m ' if several else ''}{in_shell(whole)}."
            )


def goes_on(text: str, word: str) -> bool:
    """Whether a word belongs to the override before it, from which a space separates it."""
    if word in FLAGS or SETS.match(word) or word.startswith(("--", "~", "+")):
        return False
    opened = sum(map(text.count, "[({")) > sum(map(text.count, "])}"))
    return opened or text.endswith(("=", ",")) or word.startswith(",")


def is_bare(word: str) -> bool:
    """Whether a word could be a name or a path."""
    return re.fullmatch(r"[\w./@]+", word) is not None


def in_shell(override: str) -> str:
    """An override as it is typed: in quotes if a shell would interpret parts of it."""
    return f"'{override}'" if re.search(r"[\[\](){}*?$&;|<>\\\" ]", override) else override


def refuse_bundled(word: str) -> None:
    """Raises a Mistake if one pair of quotes holds several overrides, or if an override is in quotes twice."""
    bare = word.strip("'\" ")
    option, _, value = bare.partition("=")
    if re.match(r"""['"]""", word):
        raise Mistake(f"{word} is in quotes twice; say {in_shell(bare)}.")
    if option not in (*PATHS, *EXPRESSIONS) and re.fullmatch(r"""[^\s"'\[{=]+(\s+[\w./@+~]+=[^\s=]+)+""", value):
        raise Mistake(f"'{word}' holds several options in one pair of quotes; say {bare} without them.")


def flag(word: str, rest: list[str], program: str) -> list[str]:
    """A flag, and its value if it takes one. The value may be the first word of `rest`, which is then removed there.

    Raises:
        Mistake: it is no flag, or the word behind it is no value of it.
    """
    name, equals, value = word.partition("=")
    if name not in FLAGS or (equals and not name.startswith("--")):
        if not equals and rest and not rest[0].startswith("-") and "=" not in rest[0]:
            value = rest[0]
        option = name.lstrip("-")
        advice = "options are said as name=value, without dashes"
        close = difflib.get_close_matches(name, [each for each in FLAGS if each.startswith("--")], 1, 0.85)
        if re.split(r"\W", option)[0] in top_level(program):
            advice = f"say {option}={value or '…'}"
        elif close:
            advice = f"say {close[0]}"
        elif hint := meant(option, value, program):
            advice = hint
        raise Mistake(f"{name} is not a flag; {advice}; --help lists them.")
    values = FLAGS[name]
    if not values:
        if equals:
            raise Mistake(f"{name} takes no value; say {name}.")
        return [word]
    if not equals:
        taken = bool(rest) and (values == ANY or rest[0] in values)
        value = rest.pop(0) if taken else ""
    if values == ANY and value:
        return [name, config_name(value, program) if name in ("-cn", "--config-name") else value]
    if values == ANY or value not in values:
        needed = "a value" if values == ANY else f"one of {', '.join(filter(None, values))}"
        raise Mistake(f"{name} needs {needed} behind it.")
    return [name, value] if value else [name]


def config_name(value: str, program: str) -> str:
    """The name of a configuration of this program, such as "mine" for conf/mine.yaml.

    Raises:
        Mistake: there is no such file, or it is another program's.
    """
    name = value.removesuffix(".yaml")
    if name != program and name in PROGRAMS:
        raise Mistake(f"--config-name {value} is the configuration of python {name}.py; run that, or leave it out.")
    if not (CONF / f"{name}.yaml").exists():
        raise Mistake(f"--config-name {value} names no file in conf/; leave it out, or add conf/{name}.yaml.")
    return name


def meant_by_word(word: str, program: str) -> str:
    """The hint at what a word without an equal sign may have meant; empty if nobody can tell."""
    if word.lower() in ("help", "version"):
        return f"; say --{word.lower()}"
    if word.endswith((".yaml", ".yml")):
        return f"; put it into conf/experiment/ and say experiment={Path(word).stem}"
    if word.endswith(".ckpt") or (("." in word or "/" in word) and (program == "study" or os.path.exists(word))):
        option = {"train": "ckpt_path", "study": "results"}.get(program, "checkpoint")
        return f"; say {'input' if program == 'explain' and not word.endswith('.ckpt') else option}={word}"
    option, colon, value = word.strip("{}").partition(":")
    if colon:
        return f"; say {option}={value}"
    groups = sorted({path.parent.name for path in CONF.glob(f"*/{word}.yaml")})
    if groups:
        return f"; say {' or '.join(f'{group}={word}' for group in groups)}"
    if hint := meant(word, "", program):
        return f"; {hint}"
    return ""


def readable(override: str) -> str:
    """An override, with quotes around a value that Hydra could not read otherwise.

    Such values are paths, regular expressions and words in any script. The tilde of a path becomes the home folder.
    """
    option, _, value = override.partition("=")
    if option in EXPRESSIONS:
        is_whole = re.fullmatch(r"""(["']).*\1|null|""", value, re.DOTALL)
        return override if is_whole else f"{option}={quoted(value)}"
    if option == "record.words" and not value.isascii() and not re.search(r"""["'\[{$]""", value):
        value = f"[{value}]"  # one word, or several without brackets
    if not value.isascii() and re.fullmatch(r"""\[[^"'\[\]{}$]*\]""", value):
        items = [item.strip() for item in value[1:-1].split(",")]
        return f"{option}=[{','.join(item if item.isascii() else quoted(item) for item in items)}]"
    is_path = option in PATHS or re.match(r"~(/|$)", value) is not None
    if re.match(r"~(/|$)", value):
        value = str(Path.home()) + value[1:]
    if re.search(r"""^["'\[{]|\$\{""", value) or re.fullmatch(r"[\w/.:+-]*", value, re.ASCII):
        return f"{option}={value}"
    if is_path:
        several = "," in value and not os.path.exists(value)  # paths for the jobs of a multirun
        return f"{option}={value if several else quoted(value)}"
    if value.isascii():
        return f"{option}={value}"
    return f"{option}={','.join(map(quoted, value.split(',')))}"


def quoted(text: str) -> str:
    """A text in quotes as Hydra reads it: backslashes are doubled in front of a quote, and nowhere else."""
    return '"' + re.sub(r'(\\*)("|$)', lambda match: 2 * match[1] + ('\\"' if match[2] else ""), text) + '"'
