"""Linear structural equation models, acyclic or cyclic, with exact first and second moments: what users call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._typing import ArrayLike, FloatArray, Node, RandomState
from causalinv._validation import check_numbers
from causalinv.results import ConditionalLaw, PopulationRegression, Printed, Summary
from causalinv.sem._describe import describe
from causalinv.sem._environments import EnvironmentSet
from causalinv.sem._interventions import Intervention, drafted, warn_about_target
from causalinv.sem._io import from_dict, from_frame, from_networkx, to_dict, to_frame, to_networkx
from causalinv.sem._latent import marginalize, observe
from causalinv.sem._model import CommonCauses, Model
from causalinv.sem._noise import Noise
from causalinv.sem._population import condition, d_separated, regress

__all__ = ["LinearSEM"]


class LinearSEM(Model, Printed):
    r"""Linear structural equation model :math:`Z = \text{intercept} + B Z + \eta`, independent :math:`\eta_i`.

    Solved, :math:`Z = M(\text{intercept} + \eta)` with :math:`M = (I - B)^{-1}`, so that
    :math:`E Z = M(\text{intercept} + \mu)` and :math:`\operatorname{Cov} Z = M \Omega M'` whatever the law of
    the noise. Cyclic (simultaneous) models are legal when :math:`I - B` is invertible. Hidden common causes make
    :math:`\Omega` a full matrix: they arise from `marginalize`, or are given as `with_noise_cov`. Objects are
    immutable; an intervened model is a model.

    Parameters
    ----------
    B : array-like of shape (p, p), or DataFrame
        ``B[i, j]`` is the effect of node j ON node i (row = child). The diagonal is zero. For a matrix written
        the other way round use `from_adjacency`. A frame names the nodes by its index.
    noise : float, array-like of shape (p,), Noise, or sequence of Noise, default 1.0
        Standard deviations of Gaussian noise (not variances), or noise objects.
    intercept : float or array-like of shape (p,), default 0.0
        Constants of the equations.
    names : sequence of str, optional
        Names of the nodes; ``z0, z1, …`` if left out. Every method takes positions or names.
    target : int or str, optional
        The node that is the outcome of a regression.
    features : sequence of int or str, optional
        The nodes that are its features, in this order; all others in their own order if left out. A node that is
        neither is hidden: simulated, but not part of X.
    shift_std : float or array-like of shape (p,), default 0.0
        Standard deviations of independent Gaussian terms beside the nodes' own noise: what `Shift` adds.
    common : CommonCauses, optional
        Hidden common causes of the noise.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, the diagonal is not zero, a variance is negative, a name is
        repeated, or :math:`I - B` is singular.

    Warns
    -----
    DegenerateInputWarning
        If a cyclic model is nearly singular (condition number above 1e12).

    Examples
    --------
    >>> from causalinv.sem import Do, LinearSEM
    >>> chain = LinearSEM([[0, 0, 0], [2, 0, 0], [0, 3, 0]], names=["a", "b", "c"])
    >>> chain.cov()
    array([[ 1.,  2.,  6.],
           [ 2.,  5., 15.],
           [ 6., 15., 46.]])
    >>> chain.intervene(Do("b", 1.0)).mean()
    array([0., 1., 3.])

    A two-cycle is solved, not refused:

    >>> LinearSEM([[0, 0.5], [0.5, 0]]).M
    array([[1.33333333, 0.66666667],
           [0.66666667, 1.33333333]])
    """

    @classmethod
    def from_adjacency(cls, W: ArrayLike, **kwargs: Any) -> Self:
        """Build from ``W[i, j]`` = weight of the edge i → j, the transpose of `B` (networkx, sempler)."""
        return cls(W.T if isinstance(W, pd.DataFrame) else check_numbers(W, "W").T, **kwargs)

    @classmethod
    def with_noise_cov(cls, B: ArrayLike, noise_cov: ArrayLike, **kwargs: Any) -> Self:
        """Build with correlated Gaussian noise: bidirected edges, latent confounding.

        Parameters
        ----------
        B : array-like of shape (p, p)
            As in the class.
        noise_cov : array-like of shape (p, p)
            Covariance of the noise; positive semidefinite.
        **kwargs
            `intercept`, `names`, `target`, `features` of the class.

        Returns
        -------
        LinearSEM
        """
        taken = sorted({"noise", "common", "shift_std"} & set(kwargs))
        if taken:
            raise TypeError(f"noise_cov is all of the noise, so {taken[0]} cannot be given beside it.")
        cov = check_numbers(noise_cov, "noise_cov")
        shape = B.shape if isinstance(B, pd.DataFrame) else check_numbers(B, "B").shape
        if cov.shape != shape:
            raise ValueError(f"noise_cov must have shape {shape}, that of B, got {cov.shape}.")
        return cls(B, noise=0.0, common=CommonCauses.of_cov(cov, "noise_cov"), **kwargs)

    # -- new models ---------------------------------------------------------------------------------------------

    def intervene(self, intervention: Intervention) -> Self:
        """Apply an intervention; the result is a model with the same nodes.

        Parameters
        ----------
        intervention : Intervention
            One of `Do`, `Shift`, `ShiftTogether`, `ScaleNoise`, `SetNoise`, `SetWeights`, `ScaleWeights`, or a
            sum of them.

        Returns
        -------
        LinearSEM
            The same nodes under new equations.

        Raises
        ------
        ValueError
            If two terms set the same thing, or a node is unknown.
        CyclicModelError
            If new weights close a cycle in an acyclic model.

        Warns
        -----
        TargetInterventionWarning
            If the target's own equation changes: no set of features need stay invariant then.
        """
        draft = drafted(self, intervention)
        if intervention is not None and self.target in {self.node(site) for site in intervention.sites}:
            warn_about_target(self.names[self.target], 1, 1)
        return draft.build()

    def standardize(self) -> Self:
        """Rescale every node to variance one, keeping the graph; means shrink with their node.

        Raw random models let variances explode along the causal order, which betrays that order.

        Raises
        ------
        ValueError
            If a node does not vary, or only by rounding (its parents cancel out).
        """
        still = ~self.varies()
        if still.any():
            raise ValueError(
                f"Node {self.names[int(np.argmax(still))]!r} has variance 0, so the model cannot be standardised."
            )
        scale = np.sqrt(np.diag(self.cov()))
        noise = [replace(each.scale(1.0 / s), mean=each.mean / s) for each, s in zip(self.noise, scale, strict=True)]
        return self.replace(
            B=self.B * scale / scale[:, None],
            noise=noise,
            intercept=self.intercept / scale,
            shift_std=self.shift_std / scale,
            common=CommonCauses(self.common.loading / scale[:, None], self.common.laws),
        )

    def marginalize(self, nodes: Sequence[Node]) -> Self:
        """Drop nodes, keeping the exact law of the others, also under `Do` and `Shift` on them.

        The dropped nodes' effects become direct edges, their noise common causes: the latent projection, with a full
        noise covariance. What sets or scales the noise or the weights of a child of dropped nodes then acts on all it
        has, the part from the dropped nodes included. Where a cycle runs through dropped nodes, the equation of a node
        on it is divided by one minus the loop's gain, so there a shift is in other units.

        Parameters
        ----------
        nodes : sequence of int or str
            The nodes to drop; not the target, and not all. None of them: the model itself.

        Returns
        -------
        LinearSEM
            On the remaining nodes, in their order.

        Raises
        ------
        ValueError
            If the target or every node would be dropped, or a loop through dropped nodes has gain one.
        """
        return marginalize(self, nodes)

    def observe(
        self,
        A: ArrayLike,
        *,
        noise: ArrayLike | Noise | Sequence[Noise | float] = 0.0,
        names: Sequence[str] | None = None,
    ) -> Self:
        """See the features only through linear measurements X = A Z + noise.

        Parameters
        ----------
        A : array-like of shape (D, d), or DataFrame
            Mixing of the d features, in their order; any rank, D smaller or larger than d. The columns of a frame name
            the features, and its index the measurements.
        noise : float, array-like of shape (D,), Noise, or sequence of Noise, default 0.0
            Measurement noise, as in the class.
        names : sequence of str, optional
            Names of the measurements; ``obs0, obs1, …`` if left out.

        Returns
        -------
        LinearSEM
            With D more nodes, which are its features; the former features are hidden and can still be intervened on.
        """
        return observe(self, A, noise, names)

    # -- samples ------------------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        *,
        intervention: Intervention | None = None,
        random_state: RandomState = None,
        as_frame: bool = False,
    ) -> FloatArray | pd.DataFrame:
        """Draw independent rows.

        Parameters
        ----------
        n : int
            Number of rows, >= 0.
        intervention : Intervention, optional
            Sample under this intervention.
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed. The nodes' own noise is drawn first, so one seed means the same own noise under interventions that
            keep its family (and, from 150 nodes on, leave a sparse graph sparse).
        as_frame : bool, default False
            Return a DataFrame whose columns are the names of the nodes.

        Returns
        -------
        ndarray or DataFrame of shape (n, p)
        """
        model: Model = self if intervention is None else self.intervene(intervention)
        return Model.sample(model, n, random_state=random_state, as_frame=as_frame)

    def environments(
        self, interventions: Sequence[Intervention | None], *, labels: Sequence[Any] | None = None
    ) -> EnvironmentSet[Self]:
        """Collect the models under several interventions (None: the observational one); needs a target."""
        return EnvironmentSet(self, interventions, labels=labels)

    # -- questions to the population ----------------------------------------------------------------------------------

    def regress(self, y: Node, on: Iterable[Node]) -> PopulationRegression:
        """Best linear prediction of a node from others, in the whole population.

        Parameters
        ----------
        y : int or str
            The node that is predicted.
        on : sequence of int or str
            The nodes that it is predicted from; none of them: its mean.

        Returns
        -------
        PopulationRegression
            Coefficients, intercept, variance of the residual, and whether that is the conditional mean.

        Raises
        ------
        ValueError
            If `y` is among `on`, a node is unknown or given twice.

        Warns
        -----
        DegenerateInputWarning
            If nodes in `on` are constant or determine each other: coefficients are then those of minimum norm, each
            regressor scaled to variance one.

        Examples
        --------
        >>> from causalinv.sem import textbook_sem
        >>> fit = textbook_sem("chain").regress("y", ["x1", "x2"])
        >>> fit.coef.round(6), round(fit.residual_variance, 6)
        (array([0.5, 0.5]), 0.5)
        """
        return regress(self, y, on)

    def condition(self, given: Mapping[Any, float], *, nodes: Iterable[Node] | None = None) -> ConditionalLaw:
        """Mean and covariance of nodes where others have been seen at certain values.

        Seeing is not setting: for the law under an intervention use ``intervene(Do(...))``.

        Parameters
        ----------
        given : mapping of node to float
            What was seen.
        nodes : sequence of int or str, optional
            The nodes asked about; all others if left out.

        Returns
        -------
        ConditionalLaw
            Exact for Gaussian noise, and wherever what the given nodes do not explain is independent of them; else
            the best linear approximation, and it says so.

        Raises
        ------
        ValueError
            If a value is impossible in this model, or a node is unknown, given twice, or both given and asked about.

        Examples
        --------
        >>> from causalinv.sem import textbook_sem
        >>> law = textbook_sem("chain").condition({"x1": 2.0, "x2": 1.0})
        >>> law.names, law.mean.round(6), law.cov.round(6)
        (('y',), array([1.5]), array([[0.5]]))
        """
        return condition(self, given, nodes)

    def d_separated(self, x: Node | Iterable[Node], y: Node | Iterable[Node], given: Iterable[Node] = ()) -> bool:
        """Whether the graph alone makes x and y independent given other nodes (extra: graph).

        Hidden common causes of the noise count as nodes of the graph; Gaussian ones, known by their covariance alone,
        as arrows between nodes whose noise is correlated. If True, x and y are independent given the nodes whatever
        the weights; if False, they are dependent for almost all weights, which effects that cancel out are not.

        Parameters
        ----------
        x, y : int or str, or sequence of these
            Nodes, disjoint.
        given : sequence of int or str, default ()
            Nodes that are held fixed; none of x or y.

        Returns
        -------
        bool

        Raises
        ------
        CyclicModelError
            If the model is cyclic.
        ValueError
            If a set is empty, a node is unknown, or the sets overlap.

        Examples
        --------
        >>> from causalinv.sem import textbook_sem
        >>> chain = textbook_sem("chain")
        >>> chain.d_separated("x1", "x2"), chain.d_separated("x1", "x2", ["y"])
        (False, True)
        """
        return d_separated(self, x, y, given)

    # -- round trips ------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything that defines the model, ready for JSON; the round trip is exact to the bit."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return from_dict(cls, values)

    def to_frame(self) -> pd.DataFrame:
        """Edges as a frame with columns ``parent``, ``child``, ``weight``."""
        return to_frame(self)

    @classmethod
    def from_frame(cls, edges: pd.DataFrame, **kwargs: Any) -> Self:
        """Build from a frame with columns ``parent``, ``child``, ``weight``; `names` fixes the order of the nodes."""
        return from_frame(cls, edges, **kwargs)

    def to_networkx(self) -> Any:
        """A networkx DiGraph with edge attribute ``weight`` (extra: graph)."""
        return to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: Any, *, weight: str = "weight", **kwargs: Any) -> Self:
        """Build from a networkx DiGraph whose edges carry a number named `weight`."""
        return from_networkx(cls, graph, weight=weight, **kwargs)

    def summary(self) -> Summary:
        """The nodes with their roles, parents and spread, on one screen."""
        return describe(self)

    def __repr__(self) -> str:
        return Model.__repr__(self)
