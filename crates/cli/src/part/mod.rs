//! The parts of the system as this process wires them: the same for `entrant dev` and for each command alone.

pub(crate) mod api;
pub(crate) mod emulator;
pub(crate) mod gate;
pub(crate) mod trusted;
pub(crate) mod web;
