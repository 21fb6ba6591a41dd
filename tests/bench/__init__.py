"""Benches: plain scripts, each printing JSON lines; run together by `make bench`, never by the test suite."""
