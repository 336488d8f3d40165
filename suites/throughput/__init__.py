"""How fast each pocket backbone is, as a ratio to a matrix product measured beside it."""
