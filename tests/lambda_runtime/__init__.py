"""slsmysql in a function under AWS Lambda's own runtime client."""
