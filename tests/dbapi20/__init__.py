"""PEP 249 as tests: what every DB-API 2.0 module promises, on real servers."""
