"""What crosses a wire and what it costs: messages, codec, transports, books, spaces, choreography."""
