"""CoRIM (draft-ietf-rats-corim): signed reference values of others, in and out. See ../REFERENCES.md."""
