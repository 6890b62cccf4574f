"""One small program for each library that people read and write databases with."""
