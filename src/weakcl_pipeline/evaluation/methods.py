"""The methods that are compared, in the order in which tables and figures show them."""

from collections.abc import Iterable
from dataclasses import dataclass

LOWER, METHOD, UPPER = "self_supervised", "attribute", "supervised"


@dataclass(frozen=True)
class Method:
    """How a method is shown.

    Attributes:
        name: Its namespace in the catalog.
        title: Its name in tables and figures.
        colour: Its colour in figures; those of Okabe and Ito (2008) and Tol (2021), safe for colour-blind readers.
        trained: Whether it is trained here, as opposed to a reference without training.
        rival: Whether it is there for comparison alone, which the pipeline `full` leaves out.
        needs_attributes: Whether it learns from side information, which not all data have.
        clusters: Whether it learns from clusters that it finds while it is trained.
    """

    name: str
    title: str
    colour: str
    trained: bool = True
    rival: bool = False
    needs_attributes: bool = False
    clusters: bool = False


METHODS = (
    Method("majority", "Majority class", "#8c8c8c", trained=False),
    Method("raw_pixels", "Raw pixels", "#8c8c8c", trained=False),
    Method("random_encoder", "Random encoder", "#8c8c8c", trained=False),
    Method("self_supervised", "Self-supervised", "#0072B2"),
    Method("pcl", "PCL", "#999933", rival=True, clusters=True),
    Method("swav", "SwAV", "#DDCC77", rival=True),
    Method("iterative", "Iterative k-means", "#E69F00", clusters=True),
    Method("cluster_cross_entropy", "Cluster cross-entropy", "#AA4499", rival=True, needs_attributes=True),
    Method("attribute_prediction", "Attribute prediction", "#882255", rival=True, needs_attributes=True),
    Method("cmc", "CMC", "#332288", rival=True, needs_attributes=True),
    Method("attribute", "Attributes", "#D55E00", needs_attributes=True),
    Method("affinity", "Affinity", "#661100", rival=True, needs_attributes=True),
    Method("supervised", "Supervised", "#009E73"),
)

_KNOWN = {method.name: method for method in METHODS}


def describe_method(name: str) -> Method:
    """Return how a method is shown; one that is not registered is shown under its own name."""
    return _KNOWN.get(name) or Method(name, name.replace("_", " ").capitalize(), "#CC79A7")


def in_order(names: Iterable[str]) -> list[str]:
    """Sort methods as they are registered, others last by name."""
    rank = {name: position for position, name in enumerate(_KNOWN)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))
