"""What TDX and SGX share: quotes, PCK chains, QE reports, TCB info, identities, TCB levels (Intel DCAP)."""
