"""What is published: built, looked into, installed where nothing else is, and used from there."""
