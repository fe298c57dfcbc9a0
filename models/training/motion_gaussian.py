"""The plain baselines of the pose prior: a Gaussian with full covariance, a mixture of them."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

__all__ = ["Mixture", "fit_mixture", "marginal"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

_ROUNDS = 40
_ENOUGH = 1e-4  # nats per row; below, a round has changed nothing


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture of K Gaussians with full covariance over D columns; K = 1 is a Gaussian."""

    weights: F64  # (K,)
    means: F64  # (K, D)
    covariances: F64  # (K, D, D)

    def log_prob(self, data: F64) -> F64:
        """(N,) nats of rows (N, D)."""
        return np.asarray(logsumexp(self._parts(data), axis=1))

    def _parts(self, data: F64) -> F64:
        """(N, K) log of weight times density."""
        dims = data.shape[1]
        columns = []
        for weight, mean, covariance in zip(
            self.weights, self.means, self.covariances, strict=True
        ):
            root = np.linalg.cholesky(covariance)
            white = solve_triangular(root, (data - mean).T, lower=True)
            log_det = 2 * np.log(np.diag(root)).sum()
            square = (white**2).sum(axis=0)
            columns.append(np.log(weight) - 0.5 * (square + log_det + dims * np.log(2 * np.pi)))
        return np.stack(columns, axis=1)


def fit_mixture(data: F64, count: int, floor: float, seed: int = 0) -> Mixture:
    """Expectation maximization from random rows as means.

    Args:
        data: (N, D)
        count: of Gaussians.
        floor: smallest variance that is added to each covariance's diagonal, tiny.
        seed: of the first means.
    """
    rng = np.random.default_rng(seed)
    whole = np.cov(data.T) + floor * np.eye(data.shape[1])
    mixture = Mixture(
        np.full(count, 1 / count),
        data[rng.choice(len(data), count, replace=False)] if count > 1 else data.mean(0)[None],
        np.repeat(whole[None], count, axis=0),
    )
    if count == 1:
        return mixture
    last = -np.inf
    for _ in range(_ROUNDS):
        parts = mixture._parts(data)
        total = logsumexp(parts, axis=1)
        share = np.exp(parts - total[:, None])  # (N, K)
        mass = share.sum(axis=0) + 1e-9
        means = (share.T @ data) / mass[:, None]
        covariances = np.empty_like(mixture.covariances)
        for k in range(count):
            off = data - means[k]
            own = (off * share[:, k : k + 1]).T @ off / mass[k]
            # A component of few rows leans on the whole, so that it stays invertible.
            lean = data.shape[1] / (data.shape[1] + mass[k])
            covariances[k] = (1 - lean) * own + lean * 0.1 * whole + floor * np.eye(data.shape[1])
        mixture = Mixture(mass / mass.sum(), means, covariances)
        mean = float(total.mean())
        if mean - last < _ENOUGH:
            break
        last = mean
    return mixture


def marginal(mixture: Mixture, columns: Bool) -> Mixture:
    """The mixture over some columns (D,) only."""
    return Mixture(
        mixture.weights,
        mixture.means[:, columns],
        mixture.covariances[:, columns][:, :, columns],
    )
