"""What decides, compiled once and shared by live, paper, replay and backtest: numba and numpy only."""
