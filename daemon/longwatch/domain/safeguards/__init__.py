"""What rests at the broker to protect a holding: stops and take-profits, and what is held without."""
