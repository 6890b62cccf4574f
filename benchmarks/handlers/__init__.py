"""The functions that a fleet runs: programs of users, who know nothing of what is around them."""
