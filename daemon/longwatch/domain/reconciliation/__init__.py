"""The account as the broker tells it against our book: what agrees, what is proven, what is quarantined."""
