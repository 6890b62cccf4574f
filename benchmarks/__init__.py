"""What slsmysql is measured with: commands that run beside the tests, never in them."""
