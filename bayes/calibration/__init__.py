"""From stated uncertainties to ones that hold: fitted on validation cells, stored, applied."""
