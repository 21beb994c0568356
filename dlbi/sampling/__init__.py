"""The Markov chain over emitters of a whole movie, what it assumes, and what it is believed."""
