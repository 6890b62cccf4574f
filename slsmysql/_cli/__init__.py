"""The parts of the command line, ``python -m slsmysql``: nothing else imports them."""
