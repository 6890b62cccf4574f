"""The folder that is deployed."""
