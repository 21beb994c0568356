"""What makes a network a posterior: energies, likelihoods, SGLD, the predictive distribution."""
