"""Market data in: one decoder an exchange, one core for all."""
