"""Whose turn it is: the fair queue of generations."""
