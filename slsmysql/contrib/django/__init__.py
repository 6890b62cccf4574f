"""The Django back end: ``"ENGINE": "slsmysql.contrib.django"``."""
