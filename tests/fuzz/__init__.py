"""What no list of cases can hold: generated texts, and a server that speaks nonsense."""
