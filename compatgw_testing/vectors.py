"""Embeddings that follow from the text and a seed alone, and texts that are set to be near each other.

Every vector has length 1; different texts are nearly at right angles. What does not live here:
how a vendor asks for them and writes them.
"""

from __future__ import annotations

import hashlib
import math
import random
from typing import TYPE_CHECKING

from compatgw_testing.script import ScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

Vector = list[float]


class Vectors:
    """The embeddings of one fake.

    Args:
        seed: From which all of them follow.
    """

    def __init__(self, seed: int | str = 0) -> None:
        self._seed = seed
        # For each text that was placed: how near it is to texts placed before it.
        self._near: dict[str, dict[str, float]] = {}
        self._known: dict[tuple[str, int], Vector] = {}

    def similar(self, one: str, other: str, *, cos: float) -> None:
        """Sets the cosine between the embeddings of two texts.

        Raises:
            ScriptError: `cos` is not from -1 to 1, or the texts are the same.
        """
        if not -1 <= cos <= 1 or one == other:
            raise ScriptError(f"similar() needs two texts and a cosine from -1 to 1, got {one!r}, {other!r}, {cos}")
        order = list(self._near)
        self._near.setdefault(one, {})
        self._near.setdefault(other, {})
        later, earlier = (one, other) if other in order and one not in order else (other, one)
        if one in order and other in order:
            later, earlier = (one, other) if order.index(one) > order.index(other) else (other, one)
        self._near[later][earlier] = cos
        self._known.clear()

    def clear(self) -> None:
        """Forgets which texts are near each other."""
        self._near.clear()
        self._known.clear()

    def embed(self, text: str, dimensions: int) -> Vector:
        """The embedding of a text: so many floats, of length 1.

        Raises:
            ScriptError: What `similar` was told cannot hold all at once.
        """
        found = self._known.get((text, dimensions))
        if found is None:
            near = self._near.get(text)
            found = self._placed(text, near, dimensions) if near else self._free(text, dimensions)
            if text in self._near:
                self._known[text, dimensions] = found
        return list(found)

    def _free(self, text: str, dimensions: int) -> Vector:
        digest = hashlib.sha256(f"{self._seed}|{text.strip()}".encode()).digest()
        source = random.Random(digest)
        return _unit([source.gauss(0.0, 1.0) for _ in range(dimensions)])

    def _placed(self, text: str, near: dict[str, float], dimensions: int) -> Vector:
        """A vector at the given cosines to earlier ones: their combination, and the rest in a direction of its own."""
        others = [self.embed(one, dimensions) for one in near]
        basis: list[Vector] = []
        inside: list[float] = []
        for other, cos in zip(others, near.values(), strict=True):
            shares = [_dot(other, axis) for axis in basis]
            rest = _minus(other, basis, shares)
            size = math.sqrt(_dot(rest, rest))
            known = sum(share * one for share, one in zip(shares, inside, strict=True))
            if size < 1e-6:
                if abs(known - cos) > 1e-6:
                    raise self._impossible(text, near)
                continue
            basis.append([one / size for one in rest])
            inside.append((cos - known) / size)
        left = 1.0 - sum(one * one for one in inside)
        if left < -1e-9:
            raise self._impossible(text, near)
        own = self._free(text, dimensions)
        rest = _minus(own, basis, [_dot(own, axis) for axis in basis])
        vector = [math.sqrt(max(0.0, left)) * one for one in _unit(rest)]
        for share, axis in zip(inside, basis, strict=True):
            vector = [one + share * other for one, other in zip(vector, axis, strict=True)]
        return vector

    def ranked(self, query: str, documents: Sequence[str], dimensions: int = 256) -> list[tuple[int, float]]:
        """The documents by how near they are to a query, each as its place and its score, the nearest first.

        Args:
            query: What is looked for.
            documents: What is ranked.
            dimensions: Of the vectors that are compared; a cosine of 1 is a score of 1, of -1 is 0.
        """
        wanted, *found = [self.embed(one, dimensions) for one in (query, *documents)]
        scores = [min(1.0, max(0.0, round((1 + _dot(wanted, one)) / 2, 8))) for one in found]
        return sorted(enumerate(scores), key=lambda one: (-one[1], one[0]))

    @staticmethod
    def _impossible(text: str, near: dict[str, float]) -> ScriptError:
        told = ", ".join(f"{cos:g} to {one!r}" for one, cos in near.items())
        return ScriptError(f"no embedding of {text!r} has the cosines {told} at once; change one of them")


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _minus(vector: Vector, basis: list[Vector], shares: list[float]) -> Vector:
    for share, axis in zip(shares, basis, strict=True):
        vector = [one - share * other for one, other in zip(vector, axis, strict=True)]
    return vector


def _unit(vector: Vector) -> Vector:
    size = math.sqrt(_dot(vector, vector))
    return [one / size for one in vector] if size else [1.0, *vector[1:]]
