//! The real outside: HTTP, clock, entropy, environment, files, processes.
