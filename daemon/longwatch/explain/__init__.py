"""Why: what the journal says of an order, a decision, a moment; read by the command line, writes nothing."""
