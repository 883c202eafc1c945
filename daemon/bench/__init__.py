"""Benchmarks: what the production path costs, measured from outside, beside a floor and a naive stack."""
