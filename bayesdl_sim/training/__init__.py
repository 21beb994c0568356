"""Both steps of a training: settings, run, samplers, tail, summary."""
