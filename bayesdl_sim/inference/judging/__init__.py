"""The verdict on a stack and its result: findings of the raw frames, and the misuse gate."""
