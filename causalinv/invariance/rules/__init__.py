"""Linear rules: their gaps, and those made to have small ones (minimax, neutral, by descent)."""
