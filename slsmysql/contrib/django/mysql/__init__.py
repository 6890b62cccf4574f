"""Django's MySQL back end a second time: its modules are loaded from Django's folder by this name.

So they can have slsmysql where Django's own have mysqlclient, and both can be used in one process.
"""

from django.db.backends import mysql

__path__ = list(mysql.__path__)
