"""Moments per cell: the one sufficient statistic that every linear method of this package consumes."""

from causalinv.moments._features import take_features as take_features
from causalinv.moments._moments import Moments

__all__ = ["Moments"]
