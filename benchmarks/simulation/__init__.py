"""A fleet of any size before a server of any size, in virtual time."""
