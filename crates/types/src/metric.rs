//! Every metric's name, once, with unit and labels. `docs/reference/metrics.md` is written from here.

/// Token requests that failed, any attempt (counter; labels `source`, `resource`). Alert on any.
pub const TOKEN_ACQUISITION_FAILURES: &str = "entrant_token_acquisition_failures_total";
/// Token requests that succeeded (counter; labels `source`, `resource`).
pub const TOKEN_ACQUISITIONS: &str = "entrant_token_acquisitions_total";
/// Renewals that failed while an older token existed (counter; labels `source`, `resource`). Alert above 0 an hour.
pub const TOKEN_REFRESH_FAILURES: &str = "entrant_token_refresh_failures_total";
/// When the current token ends (gauge, Unix seconds; labels `source`, `resource`).
pub const TOKEN_EXPIRY: &str = "entrant_token_expiry_timestamp_seconds";
/// Duration of token requests (histogram, seconds; labels `source`, `resource`).
pub const TOKEN_REQUEST_SECONDS: &str = "entrant_token_request_duration_seconds";
/// AUTH commands sent on Redis connections (counter; labels `kind` = `connect` or `reauth`, `result` = `ok` or `error`).
pub const REDIS_AUTHS: &str = "entrant_redis_auth_total";
/// AUTH commands that Redis refused (counter; label `kind`). Alert on any.
pub const REDIS_AUTH_FAILURES: &str = "entrant_redis_auth_failures_total";
/// Redis connections that ended unexpectedly (counter; label `reason` = `expired`, `network`, `protocol`). Alert on a spike.
pub const REDIS_CONNECTION_DROPS: &str = "entrant_redis_connection_drops_total";
/// Live Redis connections (gauge).
pub const REDIS_CONNECTIONS: &str = "entrant_redis_connections";
/// AUTH attempts at the gate (counter; label `result` = `ok` or the reason of refusal).
pub const GATE_AUTHS: &str = "entrant_gate_auth_total";
/// Connections that the gate closed (counter; label `reason`).
pub const GATE_CLOSED: &str = "entrant_gate_closed_total";
/// Connections at the gate (gauge).
pub const GATE_CONNECTIONS: &str = "entrant_gate_connections";
/// Sign-ins finished (counter; label `result` = `ok` or a code).
pub const SIGN_INS: &str = "entrant_sign_ins_total";
/// Silent acquisitions of a user's token (counter; label `result` = `cache`, `refreshed`, `error`).
pub const SILENT_ACQUISITIONS: &str = "entrant_silent_acquisitions_total";
/// Bearer tokens checked by the API (counter; label `result` = `ok` or the reason of refusal).
pub const TOKEN_VALIDATIONS: &str = "entrant_token_validations_total";
/// Requests that the emulator answered (counter; labels `endpoint`, `status`).
pub const EMULATOR_REQUESTS: &str = "entrant_emulator_requests_total";
