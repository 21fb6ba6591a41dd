"""From a strategy's weights to intended trades: methods, caps, sizes, and the rebalance that joins them."""
