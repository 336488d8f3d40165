"""Results become verdicts; numpy and scipy, no torch."""
