"""From an approved intention to its last fill: state, manager, risk, portfolio, journal, recovery."""
