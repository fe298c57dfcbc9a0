"""Whether joints that were found lie with the right person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..sighting import Sighting

__all__ = ["Belonging", "KnownPerson", "belonging"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

# A joint is found if it lies so near to a true one of its kind, over the longer side of the
# person's box: half a forearm.
_REACH = 0.1


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Where somebody's joints truly are."""

    joints_px: F64  # (J, 2) NaN where not known; hidden joints may be known
    size_px: float  # longer side of the box


@dataclass(frozen=True, slots=True)
class Belonging:
    """Counts of one or of many pictures."""

    found: int  # joints that people were given and that lie on somebody's true joint
    right: int  # of these on a joint of the person's own
    nearest: int  # of these nearer to the person's own joint than to anybody else's

    @property
    def share(self) -> float:
        """Of the found joints those with the right person, NaN if none was found."""
        return self.right / self.found if self.found else float("nan")

    @property
    def strict_share(self) -> float:
        """The same where a joint between two people's belongs to the nearer."""
        return self.nearest / self.found if self.found else float("nan")

    def __add__(self, other: "Belonging") -> "Belonging":
        return Belonging(
            self.found + other.found, self.right + other.right, self.nearest + other.nearest
        )


def belonging(people: Sequence[KnownPerson], found: Sequence[Sighting]) -> Belonging:
    """How many found joints are with the right person in one picture.

    Who a found person is follows from its joints: found and true people are matched so that as
    many joints as possible agree. All joints of whoever is then left over, found twice for
    instance, are wrong. Joints that were filled in rather than grouped are not counted.

    Args:
        people: everybody in the picture.
        found: people of the picture.
    """
    if not people or not found:
        return Belonging(0, 0, 0)
    apart = _apart(people, found)  # (F, P, J) over the reach, infinite where not known
    on = apart < 1
    nearest = on & (apart == apart.min(1, keepdims=True))
    rows, columns = linear_sum_assignment(nearest.sum(2), maximize=True)
    return Belonging(
        found=int(on.any(1).sum()),
        right=int(on[rows, columns].sum()),
        nearest=int(nearest[rows, columns].sum()),
    )


def _apart(people: Sequence[KnownPerson], found: Sequence[Sighting]) -> F64:
    """(F, P, J) from each grouped joint to everybody's of its kind."""
    truth = np.stack([person.joints_px for person in people])  # (P, J, 2)
    reach = _REACH * np.asarray([person.size_px for person in people])[:, None]  # (P, 1)
    places = np.stack([_grouped(person) for person in found])  # (F, J, 2)
    apart = np.linalg.norm(places[:, None] - truth[None], axis=-1) / reach
    return np.asarray(np.nan_to_num(apart, nan=np.inf), dtype=np.float64)


def _grouped(person: Sighting) -> F64:
    seen = (person.scores > 0) & ~person.inferred
    return np.where(seen[:, None], person.joints_px, np.nan)
