"""The command `test`: its options, and what it does with them."""
