"""The Markov chain over emitters of a whole movie, its priors, and the weight of its samples."""
