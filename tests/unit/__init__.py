"""Pure rooms, by tables of cases."""
