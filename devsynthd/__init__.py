"""devsynthd: an always-on local daemon between LM Studio and the programs that use it."""

__version__ = "0.1.0"
