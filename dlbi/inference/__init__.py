"""How the Bayesian stage infers: chains, blocks of chains, positions, load."""
