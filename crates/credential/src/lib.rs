//! Where an Entra token comes from, and keeping it fresh.
