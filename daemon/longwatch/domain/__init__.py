"""The rules of trading, pure: no I/O, no clock, no asyncio; called by the engine and the backtest alike."""
