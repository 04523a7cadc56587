"""Studies without slots: no run, no notes, no toll."""
