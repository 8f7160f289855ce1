//! The confidential client: code flow, silent acquisition, refresh, on-behalf-of.
