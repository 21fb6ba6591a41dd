"""A simulated IB Gateway that speaks the real wire protocol; used by the demo, the simulation and tests.

What a caller needs:

    app        Gateway(config, market, clock, faults=): start, protocol_factory, trade_by_hand, refuse_connections
    desk       GatewayConfig; Gateway.desk: lose_backend, restore_backend, break_farm, mend_farm
    market     Market(sources, hours, seed=, path_points=, spread_bps=), Replay(instrument, bars), Instrument
    path       DayBar: one session of one instrument
    sources    Source, ShortReplay: days, or parts of them, as they were recorded
    synthetic  synthetic_market(seed=, first=): any symbol trades, round the clock
    generator  shares(symbols, hours, seed=, first=, climate=): weather, gaps, splits, dividends, halts
    listings   extras(hours, seed=, first=): a fund, currencies, a chain of futures
    police     Limits, as GatewayConfig.pacing: how much may be asked
    faults     Faults, as Gateway.faults: what it does wrong, on demand
    events     Event, for Gateway.events.happen: splits, transfers and whatever else is done to an account
    ledger     Ledger, as Gateway.ledger: the true books; newest_entry_at(path): where a restarted clock begins

Bars are handed in, time comes from a Clock, and every choice is seeded: the same requests at the same times give the
same bytes.
"""
