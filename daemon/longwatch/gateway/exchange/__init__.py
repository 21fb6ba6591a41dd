"""The simulated exchange and broker: orders meet the market, fills are booked to accounts, reports go out."""
