"""The simulated market: where prices come from, and what is known of the past; knows nothing of clients or orders."""
