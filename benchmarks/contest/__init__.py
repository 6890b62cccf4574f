"""Fleets of functions with slsmysql, and with what its users would pick instead."""
