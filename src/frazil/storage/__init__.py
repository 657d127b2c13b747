"""Where repositories live: the public names, and behind them the backends."""
