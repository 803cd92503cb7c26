"""AutoencoderMMREncoder: the neural encoder of the paper, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.base import clone

from causalinv._parallel import generator, streams
from causalinv._printing import counted
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_number, check_whole
from causalinv._warn import warn
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation._action_encoder import ActionEncoder
from causalinv.extrapolation._dimension import Directions
from causalinv.extrapolation._features import standardizer, whitening
from causalinv.extrapolation._representation import Learner, noise_units
from causalinv.extrapolation._steps import steps_of

__all__ = ["AutoencoderMMREncoder"]

_SLOPE = 0.1  # of the activation below zero
_DISTIL_STEPS = 600
_LOST = 0.5  # share of the effect that a kernel fit finds, below which a direction counts as lost


@dataclass(frozen=True)
class Network:
    """A trained multilayer perceptron, as arrays: using it needs no torch."""

    weights: tuple[tuple[FloatArray, FloatArray], ...]

    def __call__(self, rows: FloatArray) -> FloatArray:
        for depth, (weight, bias) in enumerate(self.weights):
            rows = rows @ weight + bias
            if depth < len(self.weights) - 1:
                rows = np.where(rows > 0, rows, _SLOPE * rows)
        return rows


@dataclass(frozen=True)
class Chain:
    """Maps applied one after the other."""

    stages: tuple[Callable[[FloatArray], FloatArray], ...]

    def __call__(self, rows: FloatArray) -> FloatArray:
        for stage in self.stages:
            rows = stage(rows)
        return rows


def _torch(device: str) -> Any:
    """Torch, if it is there and has the device."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            'AutoencoderMMREncoder needs torch: python -m pip install "causalinv[torch]". LinearInvarianceEncoder '
            "does without."
        ) from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device must be one that torch has here, such as 'cpu', got {device!r}: {error}") from error
    return torch


def _expected(rows: FloatArray, acts: FloatArray, rng: np.random.Generator) -> Directions:
    """What the action does along the directions of a kernel fit, by rows that it was not learnt from."""
    out = np.arange(len(rows)) % 3 == 0
    learner = Learner(rows[~out], acts[~out], [(1.0, rng)], n_landmarks=100, n_references=300, ridge=1e-4)
    return Directions.measure(learner.natural(rows[out]), acts[out])


def _followed(code: Directions, expected: Directions) -> tuple[float, bool]:
    """Smallest share of the expected effects that a code follows, and whether one is lost beyond sampling error."""
    most = min(len(code.effects), len(expected.effects))
    share = float(np.min(code.effects[:most] / np.maximum(expected.effects[:most], 1e-300)))
    return share, bool((code.upper[:most] < _LOST * expected.lower[:most]).any())


class AutoencoderMMREncoder(ActionEncoder):
    r"""Autoencoder whose code has a mean that is linear in the action (extra: torch).

    Minimises reconstruction error plus a maximum moment restriction on the residuals :math:`\varphi(X) - W A - b`,
    with a Gaussian kernel on the action; W and b are least squares within each batch. Non-convex: another seed is
    another representation. For comparison: `LinearInvarianceEncoder` is cheaper and usually better.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Size of the code; ``"auto"`` is the number of columns of the action.
    hidden : tuple of int, default (64, 64)
        Hidden layers of encoder and (reversed) decoder.
    mmr_weight : float, default 30.0
        Weight of the moment restriction.
    n_steps, batch_size : int, default 3000, 256
        Of Adam; 8000 and 512 are slower and more accurate.
    learning_rate : float, default 2e-3
        Falls to 0 as a cosine.
    n_restarts : int, default 2
        Further trainings from other weights, while along some direction the code follows the action less than half as
        far as a kernel fit does: in about 1 of 18 trainings a direction was lost.
    init : encoder, optional
        A clone is fitted first, and imitated for 600 steps. Its components are those of the code, so `n_components` is
        ``"auto"`` or the same number; it is given the transformed action.
    device : str, default "cpu"
        Where torch trains.
    action_transform : callable, optional
        A known nonlinear t, applied to the action first.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of the starting weights and batches.

    Attributes
    ----------
    n_components_ : int
    W_ : ndarray of shape (d, k)
        In the units of `LinearInvarianceEncoder`: standard deviations of V per unit of action.
    intercept_ : ndarray of shape (d,)
    loss_ : ndarray of shape (n_steps,)
        Training loss of the training that was kept.
    n_iter_ : int
    n_actions_in_, n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    IdentificationWarning
        If every training lost a direction that the action moves.

    Notes
    -----
    Valid under the assumptions of `LinearInvarianceEncoder`. Training uses torch; `transform` and pickles do not.

    Source: Saengkyongam, Rosenfeld, Ravikumar, Pfister and Peters, arXiv 2310.04295; the weights, widths and the
    within-batch projection are this package's choices.

    Examples
    --------
    >>> from causalinv.extrapolation import AutoencoderMMREncoder
    >>> AutoencoderMMREncoder(n_steps=8000, batch_size=512)
    AutoencoderMMREncoder(batch_size=512, n_steps=8000)
    """

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        hidden: Sequence[int] = (64, 64),
        mmr_weight: float = 30.0,
        n_steps: int = 3000,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        n_restarts: int = 2,
        init: Any = None,
        device: str = "cpu",
        action_transform: Callable[[FloatArray], FloatArray] | None = None,
        random_state: RandomState = None,
    ):
        self.n_components = n_components
        self.hidden = hidden
        self.mmr_weight = mmr_weight
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.n_restarts = n_restarts
        self.init = init
        self.device = device
        self.action_transform = action_transform
        self.random_state = random_state

    def _learn(self, rows: FloatArray, acts: FloatArray) -> Chain:
        self._check_choices()
        torch = _torch(self.device)
        units, centred = standardizer(rows), standardizer(acts)(acts)
        X_units = units(rows)
        d, target = self._goal(rows, acts)
        expected = _expected(rows, acts, generator(self.random_state, "autoencoder reference"))
        best: tuple[float, bool, Network, FloatArray] | None = None
        again = streams(self.random_state, self.n_restarts, "autoencoder again")
        for rng in (generator(self.random_state, "autoencoder"), *again):
            network, loss = self._train(torch, X_units, centred, d if target is None else target, rng)
            share, lost = _followed(Directions.measure(network(X_units), acts), expected)
            if best is None or share > best[0]:
                best = share, lost, network, loss
            if not lost:
                break
        assert best is not None
        share, lost, network, self.loss_ = best
        if lost:
            warn(
                "The representation has lost something that the action moves, and predictions miss it: in one "
                f"direction it follows the action {share:.0%} as far as a kernel fit does, in the best of "
                f"{1 + self.n_restarts} trainings. Use more n_steps or n_restarts, or LinearInvarianceEncoder.",
                IdentificationWarning,
            )
        _, last = noise_units(network(X_units), centred, np.eye(d))
        self.n_iter_ = len(self.loss_)
        return Chain((units, network, last))

    def _check_choices(self) -> None:
        for name in ("n_steps", "batch_size"):
            check_whole(getattr(self, name), name, low=1)
        check_whole(self.n_restarts, "n_restarts", low=0)
        if isinstance(self.hidden, str) or not np.iterable(self.hidden):
            raise TypeError(f"hidden must be a tuple of sizes of layers, such as (64, 64), got {self.hidden!r}.")
        for size in self.hidden:
            check_whole(size, "hidden", low=1)
        check_number(self.mmr_weight, "mmr_weight", low=0.0)
        check_number(self.learning_rate, "learning_rate", low=0.0, open_low=True)
        if isinstance(self.n_components, str):
            if self.n_components != "auto":
                raise ValueError(f"n_components must be a whole number or 'auto', got {self.n_components!r}.")
        else:
            check_whole(self.n_components, "n_components", low=1)
        if any(getattr(step, "action_transform", None) is not None for step in steps_of(self.init)):
            raise ValueError(
                "action_transform must be set on AutoencoderMMREncoder and not on its init, which is given the "
                "transformed action: set on both, the action would be transformed twice."
            )

    def _goal(self, rows: FloatArray, acts: FloatArray) -> tuple[int, FloatArray | None]:
        """Size of the code, and the whitened code of `init` that is imitated first."""
        asked = None if isinstance(self.n_components, str) else int(self.n_components)
        if self.init is None:
            return acts.shape[1] if asked is None else asked, None
        code = clone(self.init).fit(rows, action=acts).transform(rows)
        if asked is not None and asked != code.shape[1]:
            raise ValueError(
                f"n_components={asked}, but init has {counted(code.shape[1], 'component')} to imitate; leave "
                "n_components "
                "out or give init as many."
            )
        return code.shape[1], whitening(code)(code)

    def _train(
        self,
        torch: Any,
        X: FloatArray,
        action: FloatArray,
        target: FloatArray | int,
        rng: np.random.Generator,
    ) -> tuple[Network, FloatArray]:
        """Adam on batches; `target` is what to imitate first, or the size of the code.

        Every random number comes from `rng`, so torch's own generators stay untouched.
        """

        def tensor(values: FloatArray) -> Any:
            return torch.as_tensor(values, dtype=torch.float32, device=self.device)

        def layers(sizes: Sequence[int]) -> list[tuple[Any, Any]]:
            made = []
            for fan_in, fan_out in pairwise(sizes):
                weight = tensor(rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)))
                made.append((weight.requires_grad_(True), tensor(np.zeros(fan_out)).requires_grad_(True)))
            return made

        def forward(net: list[tuple[Any, Any]], rows: Any) -> Any:
            for depth, (weight, bias) in enumerate(net):
                rows = rows @ weight + bias
                if depth < len(net) - 1:
                    rows = torch.nn.functional.leaky_relu(rows, _SLOPE)
            return rows

        n, D = X.shape
        d = target if isinstance(target, int) else target.shape[1]
        sizes = [D, *self.hidden, d]
        encoder, decoder = layers(sizes), layers(sizes[::-1])
        parameters = [p for pair in (*encoder, *decoder) for p in pair]
        x, a = tensor(X), tensor(action)
        gaps = pdist(action[:500])
        width = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
        goal = None if isinstance(target, int) else tensor(target)
        losses = []
        phases = [(self.n_steps, None)] if goal is None else [(_DISTIL_STEPS, goal), (self.n_steps, None)]
        for n_steps, imitated in phases:
            optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
            for _ in range(n_steps):
                batch = torch.as_tensor(rng.integers(n, size=min(self.batch_size, n)), device=self.device)
                some, acts = x[batch], a[batch]
                code = forward(encoder, some)
                loss = torch.mean((forward(decoder, code) - some) ** 2)
                if imitated is not None:
                    loss = loss + torch.mean((code - imitated[batch]) ** 2)
                else:
                    basis = torch.linalg.qr(torch.cat([torch.ones_like(acts[:, :1]), acts], dim=1))[0]
                    left = code - basis @ (basis.T @ code)
                    kernel = torch.exp(-(torch.cdist(acts, acts) ** 2) / (2 * width**2))
                    loss = loss + self.mmr_weight * torch.sum(left * (kernel @ left)) / len(acts) ** 2
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                if imitated is None:
                    losses.append(float(loss.detach()))
        arrays = tuple(tuple(p.detach().cpu().numpy().astype(np.float64) for p in pair) for pair in encoder)
        return Network(arrays), np.array(losses)
