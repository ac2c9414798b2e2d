"""The daemon in a thread, spoken to over real sockets, its upstream a simulated LM Studio.

F and R numbers in the docstrings of tests are those of the tables in ``docs/lm-studio.md``.
"""
