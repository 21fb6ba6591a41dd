"""The broker's door: a connection to IB's gateway as `live.IbBroker`, a market without one as `mock.MockBroker`."""
