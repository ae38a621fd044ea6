"""Record in the ledger what became of the files that a run planned."""
