"""The Markov chain over emitters of a whole movie, its assumptions, and how far to believe it."""
