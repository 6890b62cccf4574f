"""Tests of the life of a connection, on real servers."""
