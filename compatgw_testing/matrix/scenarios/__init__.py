"""The scenarios of the matrix, by what they are about. What does not live here: playing them."""
