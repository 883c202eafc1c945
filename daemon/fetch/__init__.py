"""`tickd fetch`: the past of many instruments, from an exchange or its archive straight to Parquet."""
