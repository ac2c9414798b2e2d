"""Proofs that what the tests need of the machine is there and starts."""
