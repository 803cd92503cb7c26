"""One text for every argument that several estimators share, filled into their docstrings by its name."""

from __future__ import annotations

from causalinv import _docs

__all__ = ["Documented", "documented"]

_TEXTS = {
    # -- parameters of estimators
    "finite_support": """
        outcome_support : (float, float), "observed" or None, default None
            Limits of the outcome (of phi, if `functional` is a function); either may be infinite. ``"observed"`` takes
            the arm's sample range and warns. None: 0 and 1 for an indicator or a 0/1 outcome; else no limits, infinite
            ends and a warning that says why.""",
    "functional": """
        functional : "mean", ("cdf", t), ("exceedance", t) or callable, default "mean"
            phi, whose mean is bounded: the outcome, ``Y <= t``, ``Y > t``, or a vectorised function.""",
    "features": """
        features : transformer, optional
            Turns X into finite numbers before any learner sees it: a `ColumnTransformer` that codes text and
            categories, an imputer. It is fitted to all rows, without arm and outcome. Policies and `where` get X as it
            came.""",
    "learners": """
        propensity : classifier, optional
            P(A | X), with ``predict_proba``; gets a frame if X had names. Logistic regression on standardised features
            if left out.""",
    "law": """
        law : {"forest", "kernel", "knn", "marginal"}, forest or callable, default "forest"
            Conditional law of phi in each arm: as weights of a random forest's leaves, of a Gaussian kernel, of nearest
            neighbours, without X; a forest of yours (anything with ``apply``); or a function
            ``(X_train, X_query) -> weights (m, n_train)``.""",
    "folds": """
        cv : int, default 5
            Folds of the cross-fitting, stratified by arm.
        clip : float, default 0.01
            Propensities are clipped to [clip, 1 - clip], and counted.
        n_repeats : int, default 1
            Independent divisions into folds. Ends are medians over them; errors include how far they differ.
        n_jobs : int, optional
            Folds fitted at once, through joblib.
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed of folds and learners.""",
    # -- attributes
    "attributes": """
        arms_ : ndarray
            Labels of the arms, sorted.
        outcome_support_ : ndarray of shape (n_arms, 2)
            Limits used, infinite where none are known.
        n_features_in_ : int
            0 if X was None.
        feature_names_in_ : ndarray of str, only if X had names""",
    "crossfitted": """
        oof_propensity_ : ndarray of shape (n, n_arms)
            Propensities by models that did not see the row, clipped, first repeat; rows of positive weight.
        n_clipped_ : int
            Rows of which one was clipped, first repeat.
        propensity_ : classifier
            Fitted to all rows, when first asked for; for new features.""",
    # -- arguments of questions
    "estimand": """
        estimand : {"ate", "mean", "att", "overlap", "policy"}, default "ate"
            Mean of Y(arm) - Y(control) over all rows; mean of Y(arm); the difference over the rows that took `arm`;
            over all rows weighted by e_arm e_control / (e_arm + e_control), which asks little where an arm is rare
            (only `SensitivityBounds`); mean under a policy. Not "att" for `FDivergenceBounds`: a ball around the arm's
            law says nothing about the others beyond the outcome's limits.
        arm, control : label, optional
            May be left out if the arms are 0 and 1: then 1 and 0.
        policy : callable, optional
            Features -> probabilities (n, n_arms), or (n,) of the last of two arms; gets a frame if X had names.
        where : array-like of bool of shape (n,), or callable, optional
            Over which rows of fit the average is taken: a mask, or a function of X that gives one. A mask made from
            estimated propensities (trimming) defines the estimand by these rows.
        by : str, int or array-like of shape (n,), optional
            One answer per group of rows: the name or position of a column of X, or labels. What has an index, here, in
            `where` and from a policy, must have that of fit, in its order.""",
    "interval": """
        confidence_level : float, default 0.95
        target : {"parameter", "set"}, default "parameter"
            Whether the interval covers the estimand, wherever it lies between the ends, or both ends at once. Every
            row of the answer has this level by itself. Where all outcomes of an arm are one number, its error is 0, and
            the interval reaches as far as outcomes that were not seen could move an end within `outcome_support`, by
            Clopper and Pearson's limit of what did not happen (its version for unequal weights, and for clusters); of
            an f-ball, as far as they could move Manski's end. Without known limits a warning says that it does not.
            Where one of two possible outcomes is rare, the interval reaches as far as Fay and Feuer's (1997) limit,
            with the mean weight of a further event in place of the largest (limits of 97.5% held in 97% and more; in
            92% at the least where all events are in the tenth of rows with the smallest propensity). Of more possible
            outcomes a warning says where nearly all are one number (of 100 rows with 2 to 5 others, limits of 97.5%
            held in 75% to 91%).""",
    "arm": """
        arm : label, optional
            May be left out if the arms are 0 and 1: then 1.""",
    "pointwise": """
        Parameters
        ----------
        X : array-like of shape (m, d), or None
            Where; None: the rows of fit (of positive weight, under their labels), by models that did not see them.
        arm : label, optional
            May be left out if the arms are 0 and 1: then 1.""",
    "pointwise_result": """
        Returns
        -------
        PointwiseBounds
            No standard errors.""",
    # -- arguments of functions of a law
    "law_and_propensity": """
        Parameters
        ----------
        values : array-like of shape (K,)
            Atoms of the law of Y in arm a.
        propensity : float or array-like of shape (m,)
            P(A = a | x), in (0, 1].
        weights : array-like of shape (K,) or (m, K), optional
            Probabilities of the atoms, per propensity if two-dimensional; rescaled to sum to one; equal if left out.
            """,
    "both_ends": """
        Returns
        -------
        lower, upper : float or ndarray of shape (m,)""",
}


documented = _docs.documented(_TEXTS)


class Documented(_docs.Documented):
    """Base of this room's estimators: their docstrings share the texts above."""

    _shared_texts = _TEXTS
