"""Numbers of the MySQL protocol, one module for each kind, under PyMySQL's names."""
