"""Administrators who log in at an identity provider (OpenID Connect): its tokens, its keys, what they
mean."""
