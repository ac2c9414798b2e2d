"""Who answers: an OpenAI-compatible server over HTTP, or the embedded engine."""
