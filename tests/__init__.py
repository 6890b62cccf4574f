"""The tests of slsmysql, and the launcher of the real servers that they run on."""
