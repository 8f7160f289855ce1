//! Sans-I/O protocol: OAuth, JOSE, managed identity, RESP, the refresh machine, the re-AUTH machine.
