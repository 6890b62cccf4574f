"""Leave SQLAlchemy's suite to `test_own_suite`: its plugin wants a pytest for itself."""

collect_ignore = ["suite"]
