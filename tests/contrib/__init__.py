"""The package where its users look for it: SQLAlchemy, Django, telemetry."""
