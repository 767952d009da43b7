"""AMD SEV-SNP: attestation reports (AMD 56860) and their VCEK and VLEK chains (AMD 57230)."""
