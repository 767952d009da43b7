"""What TDX and SGX share: quotes, PCK chains, QE reports, TCB info, enclave identities, TCB levels (Intel DCAP)."""
