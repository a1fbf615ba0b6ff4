"""Options of a network of one's own: what is wrong is said before PyTorch is imported."""

import json
import subprocess
import sys

import pytest

from auscult.mistake import Mistake
from auscult.pretrained.options import check_pretrained, classes_of
from auscult.program.conf import content_of
from tests.conftest import ROOT


def checked(**options):
    config = {**content_of("pretrained"), "checkpoint": None, "control": None, **options}
    check_pretrained(config)
    return config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "a.pt"}, "weights=… describes a network that is named by network=…"),
        ({"sample_rate": 8000}, "sample_rate=… describes a network"),
        ({"stretch": [0, 1]}, "stretch=… describes a network"),
        ({"network": "nets:CNN", "sample_rate": 8000, "stretch": 1}, "stretch=1 has no beginning and end in seconds"),
        ({"network": "nets:CNN", "sample_rate": 8000, "stretch": [1, 1]}, "does not end after it begins"),
        ({"network": "nets:CNN", "sample_rate": 8000, "kind": "sets"}, "kind=sets is unknown; choose classes, tags"),
        ({"network": "nets:CNN", "sample_rate": 8000, "frames": [0, 1]}, "is no window and hop in samples"),
        ({"network": "nets:CNN", "sample_rate": 16}, "sample_rate=16 is not a whole number of 100 or more"),
        ({"network": "nets:CNN", "sample_rate": "fast"}, "sample_rate=fast is not a whole number"),
        ({"network": "nets:CNN", "sample_rate": 8000, "checkpoint": "best.ckpt"}, "both set"),
        ({"network": "nets:CNN", "sample_rate": 8000, "control": "best.ckpt"}, "control=… compares"),
        ({"network": "nets.CNN", "sample_rate": 8000}, "names no class or function; say my_package.nets:CNN"),
        ({"network": "nets:", "sample_rate": 8000}, "names no class or function"),
        ({"network": "my-nets:CNN", "sample_rate": 8000}, "neither a module nor a file"),
        ({"network": "nowhere.py:CNN", "sample_rate": 8000}, "there is no file"),
        ({"network": "best.safetensors", "sample_rate": 8000}, "are weights; name the class by network=…"),
        ({"network": ["a"], "sample_rate": 8000}, "is no name of a network"),
        ({"network": "hf:"}, "names no network"),
        ({"network": "hf:a/b", "network_options": {"a": 1}}, "has its own config.json"),
        ({"network": "hf:a/b", "weights": str(ROOT / "src/checkpoint/example.ckpt")}, "has its weights in its folder"),
        ({"network": "nets:CNN", "sample_rate": 8000, "weights": "nowhere.pt"}, "is no file"),
        ({"network": "nets:CNN", "sample_rate": 8000, "weights": str(ROOT / "README.md")}, "is none of .safetensors"),
        ({"network": "nets:CNN", "sample_rate": 8000, "network_options": [1]}, "are no options"),
        ({"network": "nets:CNN", "sample_rate": 8000, "seconds": -1}, "seconds=-1 is not a number"),
        ({"network": "nets:CNN", "sample_rate": 8000, "label": "what not"}, "is no name of a column"),
        ({"network": "nets:CNN", "sample_rate": 8000, "classes": "nowhere.txt"}, "is no file"),
        ({"network": "nets:CNN", "sample_rate": 8000, "classes": ["cat"]}, "has 1 names"),
        ({"network": "nets:CNN", "sample_rate": 8000, "classes": ["cat", "cat"]}, "names cat 2 times"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(Mistake, match=message):
        checked(**options)


def test_numbers_may_have_one_name():
    own = {"network": "nets:CNN", "sample_rate": 8000}
    assert checked(**own, target="regression:f0")["classes"] == ["f0"]
    named = checked(**own, target="regression:f0", classes=["f0", "loudness"])
    assert (named["kind"], named["classes"]) == ("number", ["f0", "loudness"])
    assert checked(**own, kind="number", classes=["f0"])["classes"] == ["f0"]
    assert checked(**own, target="regression:3")["classes"] is None  # by its number
    assert checked(**own, target="similarity:/a.wav")["kind"] == "number"


def test_a_folder_of_hugging_face_is_recognised(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Mistake, match="say network=hf:"):
        checked(network=str(tmp_path), sample_rate=8000)
    assert checked(network=f"hf:{tmp_path}")["network"] == f"hf:{tmp_path}"


def test_without_a_network_the_options_are_gone():
    assert checked() == {"checkpoint": None, "control": None}


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("a.txt", "cat\r\n\n dog \n", ["cat", "dog"]),
        ("a.txt", "\ufeffkatze\nhund", ["katze", "hund"]),
        ("a.json", '["cat", "dog"]', ["cat", "dog"]),
        ("a.json", '{"1": "dog", "0": "cat"}', ["cat", "dog"]),
        ("a.json", '{"dog": 1, "cat": 0}', ["cat", "dog"]),
        ("a.json", '{"id2label": {"0": "cat", "1": "dog"}, "hidden_size": 3}', ["cat", "dog"]),
        ("a.csv", 'index,mid,display_name\n0,/m/1,"cat, purring"\n1,/m/2,dog\n', ["cat, purring", "dog"]),
        ("a.tsv", "label\tcount\ncat\t3\ndog\t4\n", ["cat", "dog"]),
    ],
)
def test_names_of_classes(tmp_path, name, text, names):
    (tmp_path / name).write_bytes(text.encode())
    assert classes_of(str(tmp_path / name)) == names


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "has 0 names"),
        ("a.json", "{", "cannot be read"),
        ("a.json", '{"0": "a", "2": "b"}', "not 0, 1, 2"),
        ("a.csv", "index,mid\n0,a\n", "has none of the columns display_name"),
        ("a.json", json.dumps("cat"), "has 1 names"),
    ],
)
def test_files_without_names(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(Mistake, match=message):
        classes_of(str(tmp_path / name))


def test_checking_imports_nothing_heavy():
    code = (
        "import sys, auscult.pretrained.options; print({'torch', 'transformers', 'safetensors'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "set()"
