"""The TWS text protocol as tables, with one encoder and decoder over them; used by the gateway and the broker adapter.

Server versions 157 to 178 are spoken. What a caller needs:

    framing   Frames, frame, split, take_hello, greeting, negotiate     bytes to frames to fields, and the handshake
    requests  decode_request, encode_request                            client to server
    replies   encode_reply, decode_reply, quick                         server to client
    bulk      read_bars, bar_columns                                    long histories, column by column
    fields    UnreadableField, show_decimal, show_double                one field: number formats, unset values, errors

Messages are named as in IB's own client libraries (`placeOrder`, `tickPrice`), their fields too (`orderId`,
`lmtPrice`). A message's values are a plain dict; prices, sizes and money in it are Decimal, what is unset is None.
"""
