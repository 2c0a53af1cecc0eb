"""Benchmarks: kgrec, floors and peers on one split under one protocol."""
