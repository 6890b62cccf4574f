r"""SQLAlchemy's suite for dialects, on slsmysql's; `test_own_suite` runs it.

By hand, with a database and the two schemas beside it (``..._test_schema``, ``..._test_schema_2``):

    pytest -c /dev/null --rootdir=. --confcutdir=tests/contrib/sqlalchemy/suite \
        tests/contrib/sqlalchemy/suite --dburi=mysql+slsmysql://user:password@host:port/test_sa
"""
