"""The differential suite: every operation through PyMySQL and through slsmysql, compared."""
