"""The catalogue of all measures. Whoever lists, ranks, prints or explains measures reads it here."""

from collections.abc import Iterable, Iterator

from auscult.explain.measures.channels import Channels
from auscult.explain.measures.checks import Checks
from auscult.explain.measures.control import Control
from auscult.explain.measures.cost import Cost
from auscult.explain.measures.energy import Energy
from auscult.explain.measures.fall import Fall
from auscult.explain.measures.localisation import Localisation
from auscult.explain.measures.measure import Measure, Measurement, Topic
from auscult.explain.measures.metrics import Complexity, Faithfulness
from auscult.explain.measures.removal import Removal
from auscult.explain.measures.soundness import Soundness

# in the order in which they are taken, and in which `metrics.json` and the report show them
MEASUREMENTS: tuple[type[Measurement], ...] = (
    Removal,
    Fall,
    Cost,
    Complexity,
    Faithfulness,
    Localisation,
    Energy,
    Soundness,
    Channels,
    Checks,
    Control,
)
CONSERVATION = "conservation_error"  # like `biases` and `unshared`, a metric of every relevance file, see `Results`


def measures() -> Iterator[Measure]:
    """Yields all measures."""
    for measurement in MEASUREMENTS:
        yield from measurement.measures


def measure_of(column: str) -> Measure:
    """The measure that a column holds: `localisation/mass` of `localisation/mass/confound`."""
    return next(measure for measure in measures() if measure.is_in(column))


def label_of(column: str) -> str:
    """The name of a column for people: `Positive relevance there: confound`."""
    measure = measure_of(column)
    place = column.removeprefix(measure.column).strip("/").replace("/", ", ").replace("_", " ")
    return f"{measure.words}: {place}" if place else measure.words


def explanations(columns: Iterable[str]) -> list[str]:
    """Explains how to read some columns: a paragraph per topic, in the order of the topics."""
    known = set(map(measure_of, columns))
    sentences: dict[Topic, list[str]] = {}
    for measure in measures():
        if measure in known:
            sentences.setdefault(measure.topic, []).append(measure.sentence)
    topics = sorted(sentences, key=lambda topic: topic.place)
    return [f"{topic.name.capitalize()}: {topic.asks} {' '.join(sentences[topic])}" for topic in topics]


def decided_by_attribution() -> tuple[str, ...]:
    """The beginnings of the names of metrics that depend on the attribution."""
    topics = dict.fromkeys(measure.topic.name for measure in measures())
    return tuple(f"{name}/" for name in (*topics, "perturbation", CONSERVATION, "biases", "unshared"))


def summary_columns() -> list[str]:
    """The metrics of relevance that are columns in the summary of a multirun."""
    return [*(name for measurement in MEASUREMENTS for name in measurement.summary), f"{CONSERVATION}/median"]
