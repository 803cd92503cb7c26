"""Encoders that are pipelines: their steps."""

from __future__ import annotations

from typing import Any

__all__ = ["steps_of"]


def steps_of(encoder: Any) -> list[Any]:
    """Steps of a Pipeline, or the encoder alone."""
    return [step for _, step in encoder.steps] if hasattr(encoder, "steps") else [encoder]
