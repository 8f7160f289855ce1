//! The laptop Azure: Entra ID and managed identity on loopback.
