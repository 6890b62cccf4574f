"""The fault laboratory: units of work under faults, and a ledger that says what became of them."""
