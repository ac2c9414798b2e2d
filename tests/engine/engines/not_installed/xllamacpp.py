"""A stand-in for an engine that is not there."""

raise ModuleNotFoundError(name="xllamacpp")
