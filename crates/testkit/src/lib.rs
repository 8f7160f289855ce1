//! Manual clock, scripted transport, loopback guard, secret scan: for tests only.
