"""How a reply looks: as text for people, as lines for programs, as JSON. Pure."""
