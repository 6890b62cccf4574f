"""slsmysql where its users look for it: SQLAlchemy, Django, telemetry.

Each module needs the library that it is for, and nothing in the package imports any of them.
"""
