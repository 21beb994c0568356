"""The stages of a reconstruction put together: moments, network, Bayesian inference."""
