"""Deployment packages: built by the recipes of docs/lambda.md, and run."""
