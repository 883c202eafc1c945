"""The loop, the wire, the orders, the files and the faces."""

__version__ = "0.1.0"
